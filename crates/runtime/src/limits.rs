//! Resource limits and the OOM score of a process.

use oci_spec::runtime::{PosixRlimitType, Process as ProcessSpec};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit};
use sandbar_sys::During;

use crate::error::{Error, Kind};
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

/// Sets the limits. One that may not be raised so far is raised as far as it may be, and told.
pub(crate) fn apply_rlimits(spec: &ProcessSpec, reporter: &Reporter) -> Result<(), Error> {
    for limit in spec.rlimits().as_deref().unwrap_or_default() {
        let (kind, soft, hard) = (limit.typ(), limit.soft(), limit.hard());
        if soft > hard {
            let message = format!(
                "process.rlimits {kind}: the soft limit {soft} is above the hard limit {hard}"
            );
            return Err(Error::new(Kind::InvalidSpec, message));
        }
        let wanted = Rlimit { current: number(soft), maximum: number(hard) };
        let set = |limit| rustix::process::setrlimit(resource(kind), limit);
        match set(wanted) {
            Err(Errno::PERM) => {
                let highest = rustix::process::getrlimit(resource(kind)).maximum;
                let current = highest.map_or(number(soft), |highest| Some(highest.min(soft)));
                set(Rlimit { current, maximum: highest })
                    .during("setrlimit", || format!("{kind} {highest:?}"))?;
                let highest =
                    highest.map_or_else(|| "unlimited".into(), |highest| highest.to_string());
                let name = kind.to_string().to_lowercase();
                let name = name.strip_prefix("rlimit_").unwrap_or(&name);
                reporter.tell(&format!(
                    "the limit {name} can't be raised above {highest} without CAP_SYS_RESOURCE"
                ));
            }
            done => done.during("setrlimit", || format!("{kind} {hard}"))?,
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
