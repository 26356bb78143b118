//! Telling processes apart, by what `/proc` says (`proc_pid_stat(5)`).

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// When the process `pid` began, in clock ticks since boot (`/proc/PID/stat`, field 22); `None` if there is
/// no such process, or only its zombie.
#[must_use]
pub fn process_start(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, field 2, may hold anything but ends at the last parenthesis.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Whether the process `pid` is the one that began at `start`, and lives: one that has let go of its
/// namespaces is ending, even if it can be seen a little longer.
#[must_use]
pub fn process_lives(pid: i32, start: Option<u64>) -> bool {
    let begun = process_start(pid);
    let has_namespaces = || match std::fs::read_link(format!("/proc/{pid}/ns/mnt")) {
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        Ok(_) => true,
    };
    begun.is_some() && begun == start && has_namespaces()
}

/// Waits until the process that `pidfd` refers to has ended, `within` this time at the most; whether it has.
///
/// # Errors
/// As poll(2).
pub fn ends_within(pidfd: impl AsFd, within: Duration) -> Result<bool, Errno> {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            polled => return polled.map(|_| true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_beginning_and_a_number_out_of_use_has_none() {
        assert!(process_start(i32::try_from(std::process::id()).unwrap()).is_some());
        assert_eq!(process_start(i32::MAX), None);
    }
}
