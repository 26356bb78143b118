//! Room for many descriptors: each port of the host that a pod has is one.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sandbar_sys::During;

use crate::error::{Error, Kind};

/// How many descriptors are needed beside those of ports: what a supervisor has of its containers and clients.
const BESIDE: u64 = 200;

/// So few ports that whether there is room for them shows when they are taken.
const FEW: usize = 64;

/// The soft limit before it was raised.
static BEFORE: OnceLock<Option<u64>> = OnceLock::new();

/// The limit that what this process starts begins with, unless it is told otherwise; `None` without a limit.
pub(crate) fn limit_for_others() -> Option<u64> {
    *BEFORE.get_or_init(|| getrlimit(Resource::Nofile).current)
}

/// Makes room for the sockets of so many ports, as far as this process may (`RLIMIT_NOFILE`).
///
/// # Errors
/// [`Kind::Unsupported`] if that is not far enough.
pub(crate) fn make_room(ports: usize) -> Result<(), Error> {
    let _kept = limit_for_others();
    if ports <= FEW {
        return Ok(());
    }
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let needed = u64::try_from(ports).unwrap_or(u64::MAX).saturating_add(BESIDE);
    if current.is_none_or(|limit| needed <= limit) {
        return Ok(());
    }
    if let Some(limit) = maximum.filter(|limit| needed > *limit) {
        let most = limit.saturating_sub(BESIDE);
        let message = format!(
            "{ports} ports are too many: each takes a descriptor, and the limit of {limit} \
             (RLIMIT_NOFILE, 'ulimit -Hn') has room for {most}"
        );
        return Err(Error::new(Kind::Unsupported, message));
    }
    raise()
}

/// Whether a pod's supervisor, which allows itself all it may, has room for so many descriptors of ports.
pub(crate) fn is_room_for(ports: usize) -> bool {
    let needed = u64::try_from(ports).unwrap_or(u64::MAX).saturating_add(BESIDE);
    getrlimit(Resource::Nofile).maximum.is_none_or(|limit| needed <= limit)
}

/// Raises the limit of descriptors as far as this process may.
pub(crate) fn raise() -> Result<(), Error> {
    let _kept = limit_for_others();
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .during("setrlimit", || format!("RLIMIT_NOFILE {maximum:?}"))?;
    Ok(())
}
