//! The device nodes and links of a container's `/dev`, made in the tmpfs that we mounted there.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid, makedev};
use rustix::io::Errno;
use sandbar_sys::During;

use crate::error::{Error, Kind, Step};
use crate::root::{Links, Root};

/// The devices that every container has (runtime-spec, "Default Devices").
const DEFAULT: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// The links that every container has (runtime-spec, "/dev symbolic links").
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// Fills `dev`.
pub(crate) fn make(dev: BorrowedFd<'_>, more: &[LinuxDevice]) -> Result<(), Error> {
    for (name, major, minor) in DEFAULT {
        node(dev, Path::new(name), FileType::CharacterDevice, (major, minor), 0o666)
            .step(|| format!("make the device /dev/{name}"))?;
    }
    for device in more {
        asked(dev, device).step(|| format!("make the device {}", device.path().display()))?;
    }
    for (target, name) in LINKS {
        rustix::fs::symlinkat(target, dev, name).during("symlinkat", || format!("/dev/{name}"))?;
    }
    Ok(())
}

/// The container's own null device, open; `None` if it has none.
pub(crate) fn null(root: &Root) -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let null = root.open(Path::new("/dev/null"), flags, Links::Refuse).ok()?;
    is_null(null.as_fd()).then_some(null)
}

/// Whether an open file is the null device, wherever it lies.
pub(crate) fn is_null(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
            && (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)) == (1, 3)
    })
}

/// What a device of the specification must be: checked before anything is made.
pub(crate) fn check(device: &LinuxDevice) -> Result<PathBuf, Error> {
    let wrong = |why: &str| {
        Error::new(Kind::InvalidSpec, format!("linux.devices {}: {why}", device.path().display()))
    };
    let name = device.path().strip_prefix("/dev").map_err(|_outside| wrong("not below /dev"))?;
    let mut components = name.components();
    if !matches!(components.next(), Some(std::path::Component::Normal(_)))
        || components.next().is_some()
    {
        return Err(wrong("only a name directly below /dev is supported"));
    }
    if u32::try_from(device.major()).is_err() || u32::try_from(device.minor()).is_err() {
        return Err(wrong("its numbers are out of range"));
    }
    Ok(name.to_owned())
}

fn asked(dev: BorrowedFd<'_>, device: &LinuxDevice) -> Result<(), sandbar_sys::Failure> {
    let invalid =
        || sandbar_sys::Failure::new("mknodat", device.path().display().to_string(), Errno::INVAL);
    let name = check(device).map_err(|_checked_before| invalid())?;
    let kind = match device.typ() {
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::P => FileType::Fifo,
        LinuxDeviceType::C | LinuxDeviceType::U | LinuxDeviceType::A => FileType::CharacterDevice,
    };
    let numbers = (
        u32::try_from(device.major()).map_err(|_overflow| invalid())?,
        u32::try_from(device.minor()).map_err(|_overflow| invalid())?,
    );
    node(dev, &name, kind, numbers, device.file_mode().unwrap_or(0o666))?;
    let owner = (device.uid().map(Uid::from_raw), device.gid().map(Gid::from_raw));
    rustix::fs::chownat(dev, &name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
        .during("fchownat", || device.path().display().to_string())
}

fn node(
    dev: BorrowedFd<'_>,
    name: &Path,
    kind: FileType,
    (major, minor): (u32, u32),
    mode: u32,
) -> Result<(), sandbar_sys::Failure> {
    let mode = Mode::from_raw_mode(mode & 0o7777);
    rustix::fs::mknodat(dev, name, kind, mode, makedev(major, minor))
        .during("mknodat", || format!("/dev/{} {major}:{minor}", name.display()))
}
