//! Telling processes apart, by what `/proc` says (`proc_pid_stat(5)`).

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_beginning_and_a_number_out_of_use_has_none() {
        assert!(process_start(i32::try_from(std::process::id()).unwrap()).is_some());
        assert_eq!(process_start(i32::MAX), None);
    }
}
