//! A layer's archive, made of what overlayfs wrote: a stream that is the same for the same content
//! ([OCI layers](https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md)).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, OFlags, Stat};
use rustix::io::Errno;
use tar::{EntryType, Header};

use super::changes::{Changes, joined, unsupported};
use crate::error::{Error, Result, shown};
use crate::unpack::is_whiteout;

/// What an archive consists of.
const BLOCK: usize = 512;

/// The stream: entries in the order of their names, a directory before what is in it.
pub(super) struct ChangesStream<'a> {
    changes: &'a Changes,
    /// Headers that were made and not read yet.
    ready: Vec<u8>,
    read: usize,
    /// The file whose content comes next, how much of it is left, and how much there is.
    file: Option<(File, u64, u64)>,
    /// The directories on the way, each with what is left of it.
    levels: Vec<(Vec<u8>, std::vec::IntoIter<Vec<u8>>)>,
    /// Where a file with several names was met first.
    links: BTreeMap<(u64, u64), Vec<u8>>,
    ended: bool,
}

impl<'a> ChangesStream<'a> {
    pub(super) fn new(changes: &'a Changes) -> Result<Self> {
        let mut stream = Self {
            changes,
            ready: Vec::new(),
            read: 0,
            file: None,
            levels: Vec::new(),
            links: BTreeMap::new(),
            ended: false,
        };
        let root = changes.stat(b"")?;
        if root.st_mode & 0o7777 != 0o755 || (root.st_uid, root.st_gid) != (0, 0) {
            stream.header(b"./", &root, EntryType::Directory, None, &[]);
        }
        stream.levels.push((Vec::new(), changes.names(b"")?.into_iter()));
        Ok(stream)
    }

    /// Makes the next entry's headers, or those of the end.
    fn next_entry(&mut self) -> Result<()> {
        while let Some((directory, names)) = self.levels.last_mut() {
            if let Some(name) = names.next() {
                let path = joined(directory, &name);
                return self.entry(&path, &name);
            }
            self.levels.pop();
        }
        self.ready.resize(2 * BLOCK, 0);
        self.ended = true;
        Ok(())
    }

    fn entry(&mut self, path: &[u8], name: &[u8]) -> Result<()> {
        if name.starts_with(b".wh.") {
            return Err(unsupported(path, "has a name that stands for a removal in a layer"));
        }
        let stat = self.changes.stat(path)?;
        if is_whiteout(&stat) {
            self.whiteout(path, name);
            return Ok(());
        }
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.directory(path, &stat)?,
            FileType::RegularFile => self.file(path, &stat)?,
            FileType::Symlink => {
                let target = self.target(path)?;
                self.header(path, &stat, EntryType::Symlink, Some(&target), &[]);
            }
            FileType::CharacterDevice => self.header(path, &stat, EntryType::Char, None, &[]),
            FileType::BlockDevice => self.header(path, &stat, EntryType::Block, None, &[]),
            FileType::Fifo => self.header(path, &stat, EntryType::Fifo, None, &[]),
            // A socket is nobody's once its program has ended, and archives have none.
            _ => {}
        }
        Ok(())
    }

    fn whiteout(&mut self, path: &[u8], name: &[u8]) {
        let directory = path.len() - name.len();
        self.marker(&[&path[..directory], b".wh.", name].concat());
    }

    /// An empty file that stands for something.
    fn marker(&mut self, path: &[u8]) {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        self.push(header, path, None, &[]);
    }

    fn directory(&mut self, path: &[u8], stat: &Stat) -> Result<()> {
        let fd = self.changes.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let Attributes { kept, is_opaque } = attributes(&fd, path)?;
        let with_slash = [path, b"/"].concat();
        self.header(&with_slash, stat, EntryType::Directory, None, &kept);
        if is_opaque {
            self.marker(&joined(path, b".wh..wh..opq"));
        }
        self.levels.push((path.to_vec(), self.changes.names(path)?.into_iter()));
        Ok(())
    }

    fn file(&mut self, path: &[u8], stat: &Stat) -> Result<()> {
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)).cloned() {
                self.header(path, stat, EntryType::Link, Some(&first), &[]);
                return Ok(());
            }
            self.links.insert((stat.st_dev, stat.st_ino), path.to_vec());
        }
        // It may have become something else that is waited for when it is opened.
        let fd = self.changes.open(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let Attributes { kept, .. } = attributes(&fd, path)?;
        self.header(path, stat, EntryType::Regular, None, &kept);
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        self.file = (size > 0).then(|| (File::from(fd), size, size));
        Ok(())
    }

    fn target(&self, path: &[u8]) -> Result<Vec<u8>> {
        let (parent, name) = crate::unpack::split(path).unwrap_or((b"", path));
        let parent = self.changes.open(parent, OFlags::PATH | OFlags::DIRECTORY)?;
        rustix::fs::readlinkat(&parent, name, Vec::new())
            .map(std::ffi::CString::into_bytes)
            .map_err(|e| Error::call("readlinkat", shown(path), e))
    }

    fn header(
        &mut self,
        path: &[u8],
        stat: &Stat,
        kind: EntryType,
        link: Option<&[u8]>,
        attributes: &[(String, Vec<u8>)],
    ) {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(stat.st_uid.into());
        header.set_gid(stat.st_gid.into());
        header.set_mtime(self.changes.seconds(stat));
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        header.set_size(if kind == EntryType::Regular { size } else { 0 });
        if matches!(kind, EntryType::Char | EntryType::Block) {
            let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
            // A header of this kind has both fields.
            let _ = header.set_device_major(major).and_then(|()| header.set_device_minor(minor));
        }
        self.push(header, path, link, attributes);
    }

    /// Adds a header, before it an extended one for all that it can't hold.
    fn push(
        &mut self,
        mut header: Header,
        path: &[u8],
        link: Option<&[u8]>,
        attributes: &[(String, Vec<u8>)],
    ) {
        let mut records = Vec::new();
        if let Some(ustar) = header.as_ustar_mut() {
            if !fits(&mut ustar.name, path) {
                record(&mut records, b"path", path);
            }
            if let Some(link) = link
                && !fits(&mut ustar.linkname, link)
            {
                record(&mut records, b"linkpath", link);
            }
        }
        for (name, value) in attributes {
            record(&mut records, format!("SCHILY.xattr.{name}").as_bytes(), value);
        }
        if !records.is_empty() {
            let mut extended = Header::new_ustar();
            extended.set_entry_type(EntryType::XHeader);
            extended.set_mode(0o644);
            extended.set_uid(0);
            extended.set_gid(0);
            extended.set_mtime(0);
            extended.set_size(records.len() as u64);
            if let Some(ustar) = extended.as_ustar_mut() {
                fits(&mut ustar.name, b"PaxHeaders/entry");
            }
            extended.set_cksum();
            self.ready.extend_from_slice(extended.as_bytes());
            self.ready.extend_from_slice(&records);
            self.ready.resize(self.ready.len().next_multiple_of(BLOCK), 0);
        }
        header.set_cksum();
        self.ready.extend_from_slice(header.as_bytes());
    }
}

/// Writes `text` to a header's field if it has the room; a cut beginning of it if not.
fn fits(field: &mut [u8], text: &[u8]) -> bool {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
    length == text.len()
}

/// Adds an extended header's record: its own length, in decimal, is part of what it counts.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    length = rest + length.to_string().len();
    records.extend_from_slice(length.to_string().as_bytes());
    for part in [b" ", key, b"=", value, b"\n"] {
        records.extend_from_slice(part);
    }
}

/// The extended attributes of a file or directory.
struct Attributes {
    kept: Vec<(String, Vec<u8>)>,
    is_opaque: bool,
}

fn attributes(fd: &OwnedFd, path: &[u8]) -> Result<Attributes> {
    let mut found = Attributes { kept: Vec::new(), is_opaque: false };
    let mut names = Vec::with_capacity(64 << 10);
    match rustix::fs::flistxattr(fd, rustix::buffer::spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(Errno::OPNOTSUPP) => return Ok(found),
        Err(errno) => return Err(Error::call("flistxattr", shown(path), errno)),
    }
    for name in names.split(|c| *c == 0).filter(|name| !name.is_empty()) {
        let Ok(name) = std::str::from_utf8(name) else {
            return Err(unsupported(path, "has an extended attribute whose name is not UTF-8"));
        };
        let value = || {
            let mut value = Vec::with_capacity(64 << 10);
            rustix::fs::fgetxattr(fd, name, rustix::buffer::spare_capacity(&mut value))
                .map_err(|e| Error::call("fgetxattr", format!("{}, {name}", shown(path)), e))?;
            Ok::<_, Error>(value)
        };
        match name {
            "trusted.overlay.opaque" => found.is_opaque = value()? == b"y",
            "trusted.overlay.redirect" | "trusted.overlay.metacopy" => {
                let why = "is known to overlayfs by another name or without its content: turn the \
                           module's options redirect_dir and metacopy off";
                return Err(unsupported(path, why));
            }
            name if crate::unpack::keeps(name).unwrap_or(false) => {
                found.kept.push((name.to_owned(), value()?));
            }
            _ => {}
        }
    }
    found.kept.sort();
    Ok(found)
}

impl Read for ChangesStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.read < self.ready.len() {
                let rest = &self.ready[self.read..];
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                self.read += count;
                return Ok(count);
            }
            self.ready.clear();
            self.read = 0;
            if let Some((file, left, size)) = &mut self.file {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                let count = file.read(&mut buffer[..most])?;
                if count == 0 && most > 0 {
                    let message = "a file got shorter while it was read";
                    return Err(io::Error::other(message));
                }
                *left -= count as u64;
                if *left == 0 {
                    let over = usize::try_from(*size % BLOCK as u64).unwrap_or(0);
                    self.ready.resize(over.next_multiple_of(BLOCK) - over, 0);
                    self.file = None;
                }
                return Ok(count);
            }
            if self.ended {
                return Ok(0);
            }
            self.next_entry().map_err(io::Error::other)?;
        }
    }
}
