//! Resource limits and the OOM score of a process.

use oci_spec::runtime::{PosixRlimitType, Process as ProcessSpec};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use sandbar_sys::During;

use crate::error::{Error, Kind, Step};
use crate::report::Reporter;

/// What needs the host's `/proc`: the OOM score, clamped to what this process may set.
pub(crate) fn apply_before_namespaces(
    spec: &ProcessSpec,
    reporter: &Reporter,
) -> Result<(), Error> {
    let Some(score) = spec.oom_score_adj() else { return Ok(()) };
    let file = "/proc/self/oom_score_adj";
    match std::fs::write(file, score.to_string()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            let kept = std::fs::read_to_string(file).unwrap_or_default();
            let kept = kept.trim();
            reporter
                .tell(&format!("the OOM score {score} needs CAP_SYS_RESOURCE; it stays at {kept}"));
            Ok(())
        }
        Err(error) => {
            Err(error).during("write", || format!("{score} to {file}")).map_err(Error::from)
        }
    }
}

/// Sets the limits; a hard limit that may not be raised is an error, for it was asked for by name.
pub(crate) fn apply_rlimits(spec: &ProcessSpec) -> Result<(), Error> {
    for limit in spec.rlimits().as_deref().unwrap_or_default() {
        if limit.soft() > limit.hard() {
            let message = format!(
                "process.rlimits {}: the soft limit {} is above the hard limit {}",
                limit.typ(),
                limit.soft(),
                limit.hard()
            );
            return Err(Error::new(Kind::InvalidSpec, message));
        }
        let wanted = Rlimit { current: number(limit.soft()), maximum: number(limit.hard()) };
        match rustix::process::setrlimit(resource(limit.typ()), wanted) {
            Ok(()) => {}
            Err(errno @ Errno::PERM) => {
                let step = || format!("raise the limit {} to {}", limit.typ(), limit.hard());
                return Err(errno)
                    .during("setrlimit", || format!("{} (needs CAP_SYS_RESOURCE)", limit.typ()))
                    .step(step);
            }
            Err(errno) => {
                return Err(errno)
                    .during("setrlimit", || format!("{} {}", limit.typ(), limit.hard()))
                    .map_err(Error::from);
            }
        }
    }
    Ok(())
}

/// The specification writes "unlimited" as the largest number.
fn number(limit: u64) -> Option<u64> {
    (limit != u64::MAX).then_some(limit)
}

fn resource(of: PosixRlimitType) -> Resource {
    match of {
        PosixRlimitType::RlimitCpu => Resource::Cpu,
        PosixRlimitType::RlimitFsize => Resource::Fsize,
        PosixRlimitType::RlimitData => Resource::Data,
        PosixRlimitType::RlimitStack => Resource::Stack,
        PosixRlimitType::RlimitCore => Resource::Core,
        PosixRlimitType::RlimitRss => Resource::Rss,
        PosixRlimitType::RlimitNproc => Resource::Nproc,
        PosixRlimitType::RlimitNofile => Resource::Nofile,
        PosixRlimitType::RlimitMemlock => Resource::Memlock,
        PosixRlimitType::RlimitAs => Resource::As,
        PosixRlimitType::RlimitLocks => Resource::Locks,
        PosixRlimitType::RlimitSigpending => Resource::Sigpending,
        PosixRlimitType::RlimitMsgqueue => Resource::Msgqueue,
        PosixRlimitType::RlimitNice => Resource::Nice,
        PosixRlimitType::RlimitRtprio => Resource::Rtprio,
        PosixRlimitType::RlimitRttime => Resource::Rttime,
    }
}
