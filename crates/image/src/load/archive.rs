//! An archive's members: where in the file each of them is.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fs::File;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result, shown};
use crate::tarball::{Kind, Section, Seeking, TarReader};

/// More members than any archive of images has.
const MEMBERS: usize = 100_000;
/// Docker once wrote a layer that two images share as a link to a link; never longer chains.
const HOPS: usize = 8;

/// The members of a tar file by name.
pub(super) struct Archive {
    file: Arc<File>,
    start: u64,
    members: HashMap<String, Member>,
}

enum Member {
    File { offset: u64, size: u64 },
    Link { target: String },
}

impl Archive {
    /// Looks at all headers. Contents are not read, nor anything written.
    pub(super) fn index(file: Arc<File>, start: u64, size: u64) -> Result<Self> {
        let section = Section::new(Arc::clone(&file), start, size);
        let mut tar = TarReader::new(Seeking::new(section), "the archive");
        let mut members = HashMap::new();
        while let Some(entry) = tar.next()? {
            let name = normal("", &entry.path)?;
            let member = match entry.kind {
                Kind::Directory => continue,
                Kind::File => Member::File { offset: tar.position(), size: entry.size },
                Kind::HardLink { target } => Member::Link { target: normal("", &target)? },
                Kind::Symlink { target } => {
                    let directory = name.rsplit_once('/').map_or("", |(directory, _)| directory);
                    Member::Link { target: normal(directory, &target)? }
                }
                Kind::Sparse(_) => {
                    let message = format!(
                        "{name} in the archive is a sparse file: pack the archive without --sparse"
                    );
                    return Err(Error::new(ErrorKind::Unsupported, message));
                }
                _ => {
                    return Err(Error::malformed(format!(
                        "{name} in the archive is a special file"
                    )));
                }
            };
            if members.len() == MEMBERS {
                return Err(Error::new(ErrorKind::TooLarge, "the archive has too many members"));
            }
            match members.entry(name) {
                Slot::Vacant(slot) => slot.insert(member),
                // Which of the two counts would be anyone's guess.
                Slot::Occupied(slot) => {
                    return Err(Error::malformed(format!("the archive has {} twice", slot.key())));
                }
            };
        }
        tar.require_end_mark()?;
        Ok(Self { file, start, members })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    /// The contents of a member; links are followed within the archive.
    pub(super) fn member(&self, name: &str) -> Result<Section> {
        let mut at = name;
        for _ in 0..HOPS {
            match self.members.get(at) {
                Some(Member::File { offset, size }) => {
                    return Ok(Section::new(Arc::clone(&self.file), self.start + offset, *size));
                }
                Some(Member::Link { target }) => at = target,
                None => break,
            }
        }
        Err(Error::malformed(format!("the archive lacks {}", shown(name.as_bytes()))))
    }
}

/// Resolves `path` against `directory` by its letters: there is no file system in here.
pub(super) fn normal(directory: &str, path: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(path).map_err(|e| {
        Error::malformed(format!("the archive's name {} is not UTF-8", shown(path))).because(e)
    })?;
    let mut parts: Vec<&str> = match text.starts_with('/') {
        true => Vec::new(),
        false => directory.split('/').filter(|part| !part.is_empty()).collect(),
    };
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_some() => {}
            ".." => {
                return Err(Error::malformed(format!("{} leads out of the archive", shown(path))));
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
