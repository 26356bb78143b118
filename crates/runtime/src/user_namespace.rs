//! Making user namespaces (user_namespaces(7)): one for a container, and one for each mount whose owners are
//! mapped.

use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use oci_spec::runtime::LinuxIdMapping;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Signal, WaitId, WaitIdOptions};
use sandbar_sys::{Child, CloneOptions, During, clone_child};

use crate::error::{Error, Kind, Step};

/// A new user namespace with these mappings. It lives as long as somebody holds it: the process that it is
/// made with ends at once.
pub(crate) fn make(uids: &[LinuxIdMapping], gids: &[LinuxIdMapping]) -> Result<OwnedFd, Error> {
    let step = || "make a user namespace".to_owned();
    let options = CloneOptions { new_user_namespace: true, ..CloneOptions::default() };
    let (waits, holds) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).during("pipe2", String::new)?;
    // It waits until this process has done with it: an end of file, or its death.
    let child = clone_child(options, || {
        let _killed = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        let _end = rustix::io::read(&waits, &mut [0_u8; 1]);
        0
    });
    let Child { pidfd, .. } = child.during("clone3", || "CLONE_NEWUSER".into()).step(step)?;
    let made = map(pidfd.as_fd(), uids, gids);
    // The other end is also the child's, so that the read ends by this signal alone.
    let _gone = rustix::process::pidfd_send_signal(&pidfd, Signal::KILL);
    let _reaped = rustix::io::retry_on_intr(|| {
        rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
    });
    drop(holds);
    made
}

/// Maps the ids of the process that `pidfd` refers to, and opens its user namespace.
fn map(
    pidfd: BorrowedFd<'_>,
    uids: &[LinuxIdMapping],
    gids: &[LinuxIdMapping],
) -> Result<OwnedFd, Error> {
    let process = format!("/proc/{}", number(pidfd)?);
    write(&format!("{process}/uid_map"), uids)?;
    write(&format!("{process}/gid_map"), gids)?;
    let path = format!("{process}/ns/user");
    rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .during("open", || path)
        .step(|| "open a user namespace".into())
}

/// The number that `/proc` has for the process that `pidfd` refers to, whatever PID namespace this process is
/// in (proc_pid_fdinfo(5)).
pub(crate) fn number(pidfd: BorrowedFd<'_>) -> Result<i32, Error> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = std::fs::read_to_string(&path).during("read", || path.clone())?;
    let number = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    let number = number.and_then(|number| number.trim().parse().ok()).filter(|&number| number > 0);
    number.ok_or_else(|| Error::new(Kind::System, format!("{path}: it tells of no process")))
}

/// Refuses mappings that the kernel would: none, empty ones, those that overlap or run over the end.
pub(crate) fn check(field: &str, mappings: &[LinuxIdMapping]) -> Result<(), Error> {
    let wrong = |why: &str| Err(Error::new(Kind::InvalidSpec, format!("{field}: {why}")));
    if mappings.is_empty() {
        return wrong("a mapping is needed");
    }
    // user_namespaces(7): since Linux 4.15.
    if mappings.len() > 340 {
        return wrong("more than 340 mappings");
    }
    for side in [LinuxIdMapping::host_id, LinuxIdMapping::container_id] {
        let mut ranges: Vec<(u64, u64)> = mappings
            .iter()
            .map(|one| (u64::from(side(one)), u64::from(side(one)) + u64::from(one.size())))
            .collect();
        ranges.sort_unstable();
        if ranges.iter().any(|&(from, to)| from == to || to > u64::from(u32::MAX)) {
            return wrong("a mapping is empty, or runs over the largest id");
        }
        if ranges.windows(2).any(|pair| matches!(pair, [one, next] if one.1 > next.0)) {
            return wrong("two mappings overlap");
        }
    }
    Ok(())
}

fn write(path: &str, mappings: &[LinuxIdMapping]) -> Result<(), Error> {
    let mut text = String::new();
    for mapping in mappings {
        // Writing to a String can't fail.
        let _written =
            writeln!(text, "{} {} {}", mapping.container_id(), mapping.host_id(), mapping.size());
    }
    // The kernel takes the whole map in one write.
    std::fs::write(path, &text)
        .during("write", || format!("{:?} to {path}", text.trim_end()))
        .step(|| "map the ids of a user namespace".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxIdMappingBuilder;

    fn mappings(list: &[(u32, u32, u32)]) -> Vec<LinuxIdMapping> {
        let one = |&(inside, host, size): &(u32, u32, u32)| {
            let mapping = LinuxIdMappingBuilder::default().container_id(inside).host_id(host);
            mapping.size(size).build().unwrap()
        };
        list.iter().map(one).collect()
    }

    #[test]
    fn mappings_that_contradict_themselves_are_refused() {
        assert!(check("x", &mappings(&[(0, 1000, 1), (1, 100_000, 65536)])).is_ok());
        for wrong in [
            &[][..],
            &[(0, 1000, 0)],
            &[(0, 1000, 10), (5, 5000, 1)],
            &[(0, 1000, 10), (20, 1005, 1)],
            &[(0, 4_294_967_000, 1000)],
        ] {
            assert_eq!(check("x", &mappings(wrong)).unwrap_err().kind(), Kind::InvalidSpec);
        }
    }
}
