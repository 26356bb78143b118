//! What entries make: one function a kind.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dev, FileType, Mode, OFlags};

use super::attributes;
use super::name::Name;
use super::root::{Before, Directory, Fill, Root, is_directory, stat};
use super::whiteout;
use crate::error::{Error, Result, shown};
use crate::recipe::Recording;
use crate::tarball::{Entry, Sparse, TarReader};

/// Makes a file and fills it with the entry's data.
pub(crate) fn file<R: Read>(
    root: &mut Root,
    parent: &Directory,
    name: &[u8],
    entry: &Entry,
    tar: &mut TarReader<Recording<R>>,
) -> Result<()> {
    let fd = create(root, parent, name)?;
    if entry.size > 0 {
        tar.input_mut().refer(&parent.path_of(name)?, entry.size)?;
        root.count_contents();
    }
    if root.fill == Fill::Outline {
        rustix::fs::ftruncate(&fd, entry.size)
            .map_err(|e| Error::call("ftruncate", shown(&entry.path), e))?;
    }
    tar.data(|mut bytes| {
        if root.fill == Fill::Outline {
            return Ok(());
        }
        while !bytes.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(&fd, bytes))
                .map_err(|e| Error::call("write", shown(&entry.path), e))?;
            bytes = &bytes[written..];
        }
        Ok(())
    })?;
    attributes::set(fd.as_fd(), entry)?;
    rustix::fs::futimens(&fd, &attributes::times(entry.mtime))
        .map_err(|e| Error::call("futimens", shown(&entry.path), e))
}

/// Makes a file with holes, and fills in the entry's data.
pub(crate) fn sparse_file<R: Read>(
    root: &mut Root,
    parent: &Directory,
    name: &[u8],
    (entry, sparse): (&Entry, &Sparse),
    tar: &mut TarReader<Recording<R>>,
) -> Result<()> {
    let failed = |call: &str, errno| Error::call(call, shown(&entry.path), errno);
    let fd = create(root, parent, name)?;
    rustix::fs::ftruncate(&fd, sparse.size).map_err(|e| failed("ftruncate", e))?;
    tar.input_mut().refer_sparse(&parent.path_of(name)?, sparse, entry.size)?;
    root.count_contents();
    let mut map = sparse.map.iter();
    let (mut at, mut left) = (0, 0);
    tar.data(|mut bytes| {
        if root.fill == Fill::Outline {
            return Ok(());
        }
        while !bytes.is_empty() {
            if left == 0 {
                // The map is of just as many bytes as come.
                (at, left) = map.next().copied().unwrap_or((sparse.size, u64::MAX));
            }
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            let written = rustix::io::retry_on_intr(|| rustix::io::pwrite(&fd, &bytes[..most], at))
                .map_err(|e| failed("pwrite64", e))?;
            bytes = &bytes[written..];
            at += written as u64;
            left -= written as u64;
        }
        Ok(())
    })?;
    attributes::set(fd.as_fd(), entry)?;
    rustix::fs::futimens(&fd, &attributes::times(entry.mtime)).map_err(|e| failed("futimens", e))
}

/// Makes an empty file, which nobody else can open yet.
fn create(root: &mut Root, parent: &Directory, name: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o600);
    let open = || rustix::fs::openat(parent.fd(), name, flags, mode);
    root.make(parent, name, "openat", open).map(|(fd, _)| fd)
}

/// Makes a directory, or takes the one that is there. Its time is set when the layer is whole.
pub(crate) fn directory(
    root: &mut Root,
    parent: &Directory,
    name: &[u8],
    entry: &Entry,
) -> Result<()> {
    let mode = Mode::from_raw_mode(0o700);
    let before = match stat(parent.fd(), name)? {
        Some(found) if is_directory(&found) => Before::Entry,
        _ => root.make(parent, name, "mkdirat", || rustix::fs::mkdirat(parent.fd(), name, mode))?.1,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(parent.fd(), name, flags, Mode::empty())
        .map_err(|e| Error::call("openat", shown(&entry.path), e))?;
    if before == Before::Whiteout {
        whiteout::make_opaque(fd.as_fd(), name)?;
    }
    attributes::set(fd.as_fd(), entry)
}

/// Makes a symbolic link. Where it points is nobody's business until a container follows it.
pub(crate) fn symlink(
    root: &mut Root,
    parent: &Directory,
    name: &[u8],
    entry: &Entry,
    target: &[u8],
) -> Result<()> {
    root.make(parent, name, "symlinkat", || rustix::fs::symlinkat(target, parent.fd(), name))?;
    attributes::set_at(parent.fd(), name, entry, true)
}

/// Gives what the same layer has at `target` another name.
pub(crate) fn hard_link(
    root: &mut Root,
    parent: &Directory,
    name: &[u8],
    target: &[u8],
) -> Result<()> {
    let link = Name::parse(target)?;
    let missing = || {
        let (name, target) = (shown(name), shown(target));
        Error::malformed(format!("{name} is a link to {target}, which is no file of its layer"))
    };
    let (directory, file) = link.split().ok_or_else(missing)?;
    let directory = root.existing(directory)?;
    let old = stat(directory.as_fd(), file)?.ok_or_else(missing)?;
    if is_directory(&old) || whiteout::is_whiteout(&old) {
        return Err(missing());
    }
    if let Some(found) = stat(parent.fd(), name)?
        && (found.st_dev, found.st_ino) == (old.st_dev, old.st_ino)
    {
        // A link to itself, or one more to the same: to make room for it would remove it.
        return Ok(());
    }
    root.make(parent, name, "linkat", || {
        rustix::fs::linkat(&directory, file, parent.fd(), name, AtFlags::empty())
    })?;
    Ok(())
}

/// Makes a device or a FIFO.
pub(crate) fn special(
    root: &mut Root,
    parent: &Directory,
    name: &[u8],
    entry: &Entry,
    (kind, device): (FileType, Dev),
) -> Result<()> {
    if kind == FileType::CharacterDevice && device == 0 {
        return Err(Error::malformed(format!(
            "{} is the device 0:0, which is a whiteout to overlayfs",
            shown(&entry.path)
        )));
    }
    let mode = Mode::from_raw_mode(0o600);
    root.make(parent, name, "mknodat", || {
        rustix::fs::mknodat(parent.fd(), name, kind, mode, device)
    })?;
    attributes::set_at(parent.fd(), name, entry, false)
}
