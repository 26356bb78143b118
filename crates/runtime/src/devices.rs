//! The device nodes and links of a container's `/dev`: made in the tmpfs that we mounted there, or bound.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, makedev};
use rustix::io::Errno;
use sandbar_sys::{During, Failure, MountAttributes, set_mount_attributes};

use crate::error::{Error, Kind};
use crate::mounts::{StepInto, attach, clone_at};
use crate::root::{Covers, Links, Root};

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

/// What a container's `/dev` is.
pub(crate) enum Dev<'a> {
    /// A tmpfs that we mounted there.
    Fresh(BorrowedFd<'a>),
    /// The image's own directory.
    Image,
    /// A directory of the host's, which is left as it is.
    Bound,
}

/// Fills `/dev` with the default devices and those of the specification, which come first.
pub(crate) fn make(root: &Root, dev: &Dev<'_>, more: &[LinuxDevice]) -> Result<(), Error> {
    for device in more {
        asked(root, dev, device)
            .step_into(|| format!("make the device {}", device.path().display()))?;
    }
    if matches!(dev, Dev::Bound) {
        return Ok(());
    }
    for (name, major, minor) in DEFAULT {
        let path = Path::new("/dev").join(name);
        if more.iter().any(|device| *device.path() == path) {
            continue;
        }
        let numbers = Numbers { kind: FileType::CharacterDevice, major, minor };
        node(root, dev, &path, numbers, 0o666)
            .step_into(|| format!("make the device {}", path.display()))?;
    }
    let directory = match dev {
        Dev::Fresh(dev) => dev.try_clone_to_owned().during("fcntl", || "F_DUPFD_CLOEXEC".into())?,
        _ => root.mount_point(Path::new("/dev"), Covers::Directory, Links::Refuse)?,
    };
    for (target, name) in LINKS {
        link(directory.as_fd(), target, name)?;
    }
    Ok(())
}

/// A link that the image has already must be the same.
fn link(dev: BorrowedFd<'_>, target: &str, name: &str) -> Result<(), Error> {
    match rustix::fs::symlinkat(target, dev, name) {
        Err(Errno::EXIST)
            if rustix::fs::readlinkat(dev, name, Vec::new())
                .is_ok_and(|there| there.to_bytes() == target.as_bytes()) =>
        {
            Ok(())
        }
        done => done.during("symlinkat", || format!("/dev/{name}")).map_err(Error::from),
    }
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
pub(crate) fn check(device: &LinuxDevice) -> Result<(), Error> {
    let wrong = |why: &str| {
        let message = format!("linux.devices {}: {why}", device.path().display());
        Err(Error::new(Kind::InvalidSpec, message))
    };
    let path = device.path();
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return wrong("not an absolute path");
    }
    if path.file_name().is_none() {
        return wrong("it names no file");
    }
    if device.typ() == LinuxDeviceType::A {
        return wrong("type 'a' is for cgroup rules alone");
    }
    if u32::try_from(device.major()).is_err() || u32::try_from(device.minor()).is_err() {
        return wrong("its numbers are out of range");
    }
    Ok(())
}

/// What kind of device a node is, and which.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Numbers {
    kind: FileType,
    major: u32,
    minor: u32,
}

impl Numbers {
    fn of(file: BorrowedFd<'_>) -> Option<Self> {
        let stat = rustix::fs::fstat(file).ok()?;
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        Some(Self { kind: FileType::from_raw_mode(stat.st_mode), major, minor })
    }
}

fn asked(root: &Root, dev: &Dev<'_>, device: &LinuxDevice) -> Result<(), Error> {
    check(device)?;
    let kind = match device.typ() {
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::P => FileType::Fifo,
        LinuxDeviceType::C | LinuxDeviceType::U | LinuxDeviceType::A => FileType::CharacterDevice,
    };
    let number = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    let numbers = match kind {
        FileType::Fifo => Numbers { kind, major: 0, minor: 0 },
        _ => Numbers { kind, major: number(device.major()), minor: number(device.minor()) },
    };
    let path = device.path();
    let Some(made) = node(root, dev, path, numbers, device.file_mode().unwrap_or(0o666))? else {
        return Ok(());
    };
    let owner = (device.uid().map(Uid::from_raw), device.gid().map(Gid::from_raw));
    rustix::fs::chownat(&made, "", owner.0, owner.1, AtFlags::EMPTY_PATH)
        .during("fchownat", || path.display().to_string())?;
    Ok(())
}

/// Makes a node in our own `/dev` and returns it. Elsewhere, and where this process may not make nodes, the
/// host's node is bound, if it is the same device.
fn node(
    root: &Root,
    dev: &Dev<'_>,
    path: &Path,
    numbers: Numbers,
    mode: u32,
) -> Result<Option<OwnedFd>, Error> {
    if let Dev::Fresh(dev) = dev
        && let Ok(name) = path.strip_prefix("/dev")
    {
        match make_node(*dev, name, numbers, mode) {
            Err(failure) if failure.errno() == Errno::PERM => {}
            made => return Ok(Some(made?)),
        }
    }
    if let Ok(there) = root.open(path, OFlags::PATH, Links::Refuse)
        && Numbers::of(there.as_fd()) == Some(numbers)
        && matches!(dev, Dev::Bound)
    {
        return Ok(None);
    }
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let host = rustix::fs::open(path, flags, Mode::empty())
        .during("open", || format!("{} of the host", path.display()))?;
    if Numbers::of(host.as_fd()) != Some(numbers) || matches!(dev, Dev::Bound) {
        let message = format!(
            "{}: a node can't be made here, and there is not that device to be bound",
            path.display()
        );
        return Err(Error::new(Kind::Unsupported, message));
    }
    let copy = clone_at(host.as_fd())?;
    // The device works all the same; its mode and its owner are the host's.
    let read_only = MountAttributes { set: MountAttributes::RDONLY, ..MountAttributes::default() };
    set_mount_attributes(copy.as_fd(), read_only, false)
        .during("mount_setattr", || format!("{} read-only", path.display()))?;
    attach(root, copy.as_fd(), path, Covers::File, Links::Refuse)?;
    Ok(None)
}

/// Makes a node below the tmpfs that nobody but us writes to yet.
fn make_node(
    dev: BorrowedFd<'_>,
    path: &Path,
    numbers: Numbers,
    mode: u32,
) -> Result<OwnedFd, Failure> {
    let words = || format!("/dev/{} {}:{}", path.display(), numbers.major, numbers.minor);
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let open = |path: &Path| {
        rustix::fs::openat2(dev, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut reached = PathBuf::new();
    for part in directory.components() {
        reached.push(part);
        match rustix::fs::mkdirat(dev, &reached, Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) => {}
            made => made.during("mkdirat", words)?,
        }
    }
    let mode = Mode::from_raw_mode(mode & 0o7777);
    rustix::fs::mknodat(dev, path, numbers.kind, mode, makedev(numbers.major, numbers.minor))
        .during("mknodat", words)?;
    open(path).during("openat2", words)
}
