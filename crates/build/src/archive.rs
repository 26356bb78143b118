//! Archives that are unpacked: a context, and what `ADD` is given.

use std::fs::File;
use std::io::{self, Cursor, Read};

use rustix::fs::{FileType, Timespec};
use tar::{Archive, EntryType};

use crate::canvas::{Attributes, Canvas, Content};
use crate::error::{Error, Kind, Result};
use crate::tree::{joined, shown};

/// Whose what is unpacked is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owners {
    /// The archive's.
    Archives,
    /// This one's.
    Are((u32, u32)),
}

/// A tar header's length.
const BLOCK: usize = 512;

/// Finds out whether `file` is an archive, compressed or not; gives all of it, decompressed.
pub(crate) fn look(file: &File) -> Result<(Box<dyn Read + '_>, bool)> {
    let mut input = sandbar_image::decompressed(file, "the archive")?;
    let mut beginning = Vec::with_capacity(BLOCK);
    // What can't be decompressed is no archive.
    let read = (&mut input).take(BLOCK as u64).read_to_end(&mut beginning);
    let is_archive = read.is_ok() && is_header(&beginning);
    Ok((Box::new(Cursor::new(beginning).chain(input)), is_archive))
}

/// Whether an archive begins so: its checksum fits.
fn is_header(block: &[u8]) -> bool {
    let Ok(block) = <&[u8; BLOCK]>::try_from(block) else { return false };
    let header = tar::Header::from_byte_slice(block);
    let sum = |at: usize, byte: &u8| if (148..156).contains(&at) { 32 } else { u32::from(*byte) };
    let sum: u32 = block.iter().enumerate().map(|(at, byte)| sum(at, byte)).sum();
    header.cksum().is_ok_and(|promised| promised == sum) && block[0] != 0
}

/// Unpacks an archive into the directory `to`, which is made where it is missing.
pub(crate) fn unpack(
    input: impl Read,
    canvas: &mut Canvas,
    to: &[u8],
    owners: Owners,
    what: &str,
) -> Result<()> {
    let broken = |error: io::Error| {
        Error::new(Kind::Invalid, format!("{what} can't be unpacked")).because(error)
    };
    let mut archive = Archive::new(input);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let Some(path) = clean(&entry.path_bytes()) else {
            let path = shown(&entry.path_bytes());
            let message = format!("{what} can't be unpacked: {path} leads out of it");
            return Err(Error::new(Kind::Invalid, message));
        };
        let header = entry.header();
        let (kind, attributes) = (header.entry_type(), attributes(header, owners).map_err(broken)?);
        let device = || -> io::Result<u64> {
            let major = header.device_major()?.unwrap_or(0);
            Ok(rustix::fs::makedev(major, header.device_minor()?.unwrap_or(0)))
        };
        let at = joined(to, &path);
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        match kind {
            EntryType::Directory if path.is_empty() => {}
            EntryType::Directory => canvas.put(&at, Content::Directory, &attributes)?,
            EntryType::Symlink => canvas.put(&at, Content::Symlink(&link), &attributes)?,
            EntryType::Link => {
                let target = clean(&link).filter(|target| !target.is_empty()).ok_or_else(|| {
                    let message = format!("{what} can't be unpacked: a link leads out of it");
                    Error::new(Kind::Invalid, message)
                })?;
                canvas.put(&at, Content::Link(&joined(to, &target)), &attributes)?;
            }
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                let special = match kind {
                    EntryType::Char => FileType::CharacterDevice,
                    EntryType::Block => FileType::BlockDevice,
                    _ => FileType::Fifo,
                };
                let content = Content::Special(special, device().map_err(broken)?);
                canvas.put(&at, content, &attributes)?;
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                canvas.put(&at, Content::File(&mut entry), &attributes)?;
            }
            EntryType::XGlobalHeader => {}
            other => {
                let message = format!("{what} can't be unpacked: an entry is of kind {other:?}");
                return Err(Error::new(Kind::Unsupported, message));
            }
        }
    }
    Ok(())
}

fn attributes(header: &tar::Header, owners: Owners) -> io::Result<Attributes> {
    let id = |id: u64| u32::try_from(id).map_err(io::Error::other);
    let owner = match owners {
        Owners::Are(owner) => owner,
        Owners::Archives => (id(header.uid()?)?, id(header.gid()?)?),
    };
    let tv_sec = i64::try_from(header.mtime()?).unwrap_or(0);
    Ok(Attributes {
        mode: header.mode()? & 0o7777,
        owner,
        mtime: Timespec { tv_sec, tv_nsec: 0 },
        extended: Vec::new(),
    })
}

/// A path without `.`; `None` if it leads up.
fn clean(path: &[u8]) -> Option<Vec<u8>> {
    let mut clean: Vec<&[u8]> = Vec::new();
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return None,
            name => clean.push(name),
        }
    }
    Some(clean.join(&b'/'))
}
