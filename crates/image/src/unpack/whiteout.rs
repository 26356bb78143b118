//! Whiteouts: an archive's `.wh.` names become what overlayfs knows
//! ([OCI layers](https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts),
//! [overlayfs](https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories)).

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, Mode, OFlags, Stat, XattrFlags};

use super::root::{is_directory, stat};
use crate::error::{Error, Result, shown};

const PREFIX: &[u8] = b".wh.";

/// What a name's last component asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Whiteout<'a> {
    /// An ordinary name.
    None,
    /// `.wh.NAME`: NAME of the layers below is gone.
    Of(&'a [u8]),
    /// `.wh..wh..opq`: nothing of the layers below is left in this directory.
    Opaque,
}

impl<'a> Whiteout<'a> {
    /// Reads a name's directory and last component; refuses reserved names that stand for nothing.
    pub(crate) fn parse(directory: &[u8], name: &'a [u8]) -> Result<Self> {
        if directory.split(|c| *c == b'/').any(|component| component.starts_with(PREFIX)) {
            let shown = shown(directory);
            return Err(Error::malformed(format!("{shown} goes through a whiteout's name")));
        }
        match name.strip_prefix(PREFIX) {
            None => Ok(Self::None),
            Some(b".wh..opq") => Ok(Self::Opaque),
            Some(b"" | b"." | b"..") => {
                Err(Error::malformed(format!("the whiteout {} names no file", shown(name))))
            }
            Some(hidden) if hidden.starts_with(PREFIX) => {
                Err(Error::malformed(format!("the whiteout {} is reserved", shown(name))))
            }
            Some(hidden) => Ok(Self::Of(hidden)),
        }
    }
}

/// A whiteout as overlayfs has it: a character device 0:0.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Hides `name` of the layers below; what this very layer has of that name stays.
pub(crate) fn hide(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    match stat(parent, name)? {
        None => {
            let mode = Mode::empty();
            rustix::fs::mknodat(parent, name, FileType::CharacterDevice, mode, 0)
                .map_err(|e| Error::call("mknodat", format!("{}, c 0:0", shown(name)), e))
        }
        Some(found) if is_directory(&found) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = rustix::fs::openat(parent, name, flags, Mode::empty())
                .map_err(|e| Error::call("openat", shown(name), e))?;
            make_opaque(fd.as_fd(), name)
        }
        // A file hides what is below it as it is.
        Some(_) => Ok(()),
    }
}

/// Cuts a directory off from the layers below.
pub(crate) fn make_opaque(directory: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    rustix::fs::fsetxattr(directory, "trusted.overlay.opaque", b"y", XattrFlags::empty()).map_err(
        |e| Error::call("fsetxattr", format!("{}, trusted.overlay.opaque", shown(name)), e),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whiteouts_are_told_from_names() {
        let parse = |name: &'static str| Whiteout::parse(b"a", name.as_bytes());
        assert_eq!(parse("x").unwrap(), Whiteout::None);
        assert_eq!(parse(".wh").unwrap(), Whiteout::None);
        assert_eq!(parse(".wh.x").unwrap(), Whiteout::Of(b"x"));
        assert_eq!(parse(".wh..x").unwrap(), Whiteout::Of(b".x"));
        assert_eq!(parse(".wh....").unwrap(), Whiteout::Of(b"..."));
        assert_eq!(parse(".wh..wh..opq").unwrap(), Whiteout::Opaque);
        for name in [".wh.", ".wh..", ".wh...", ".wh..wh.", ".wh..wh..plnk"] {
            assert!(parse(name).is_err(), "{name}");
        }
        assert!(Whiteout::parse(b"a/.wh.b", b"c").is_err());
    }
}
