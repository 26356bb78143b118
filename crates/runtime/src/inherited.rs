//! What a starting process has inherited that leads out of its container until it executes: a program named
//! `/proc/self/fd/N/…` is looked for while descriptors are still open (CVE-2024-21626).

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use sandbar_sys::{During, Failure};

use crate::process::Stdio;

/// Puts `by` in the place of each directory and each program among this process's descriptors from 3 on, but for
/// the first `preserved` and those of `stdio`, which are given to the program. It looks in the host's `/proc`.
pub(crate) fn cover(stdio: &Stdio, preserved: u32, by: BorrowedFd<'_>) -> Result<(), Failure> {
    let place = "/proc/self/fd";
    let words = || place.to_owned();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let own = rustix::fs::open(place, flags, Mode::empty()).during("open", words)?;
    let mut found = Vec::new();
    for entry in Dir::read_from(&own).during("getdents64", words)? {
        let entry = entry.during("getdents64", words)?;
        let name = entry.file_name();
        let number = name.to_str().ok().and_then(|name| name.parse().ok());
        if let Some(number) = number
            && !is_given(number, stdio, preserved)
            && rustix::fs::statat(&own, name, AtFlags::empty()).is_ok_and(|it| leads_out(&it))
        {
            found.push(number);
        }
    }
    drop(own);
    for number in found {
        // Not what was open for the look itself.
        sandbar_sys::replace_descriptor(number, leads_out, by)
            .during("dup3", || number.to_string())?;
    }
    Ok(())
}

fn is_given(number: RawFd, stdio: &Stdio, preserved: u32) -> bool {
    let in_stdio = match stdio {
        Stdio::Descriptors(fds) => fds.iter().any(|fd| fd.as_raw_fd() == number),
        Stdio::Terminal => false,
    };
    in_stdio || u32::try_from(number).is_ok_and(|it| it < preserved.saturating_add(3))
}

/// Whether a path can go on from a file, or it can be executed itself.
fn leads_out(file: &Stat) -> bool {
    match FileType::from_raw_mode(file.st_mode) {
        FileType::Directory => true,
        FileType::RegularFile => file.st_mode & 0o111 != 0,
        _ => false,
    }
}
