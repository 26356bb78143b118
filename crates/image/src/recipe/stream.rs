//! A layer's tar stream, from its recipe and its files.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use sha2::{Digest as _, Sha256};
use zstd::stream::read::Decoder;

use super::holes::Stretches;
use super::{CONTENTS, END, LITERAL, LITERAL_MAX, MAGIC, Moves, PATH, SPARSE};
use crate::digest::Digest;
use crate::error::shown;
use crate::tarball::STRETCHES;

/// The uncompressed tar stream of a layer, byte for byte what the layer was unpacked from.
///
/// The layer's digest is checked as it goes: at the end comes an error ([`io::ErrorKind::InvalidData`]) in place of the
/// end if the layer is not what it was. Whoever writes the stream somewhere must so see its end before it counts.
///
/// While it lives, the layer is not removed from the store.
pub struct LayerStream {
    diff_id: Digest,
    size: u64,
    recipe: BufReader<Decoder<'static, BufReader<File>>>,
    parts: Parts,
    /// How many contents have come.
    contents: u64,
    state: State,
    hash: Sha256,
}

/// Where the contents are.
pub(crate) struct Parts {
    /// The layer's directory, locked.
    pub(crate) layer: OwnedFd,
    pub(crate) moves: Moves,
}

enum State {
    /// A record begins.
    Between,
    Literal {
        left: usize,
    },
    Contents {
        stretches: Stretches,
        path: Vec<u8>,
    },
    Ended,
}

impl LayerStream {
    pub(crate) fn new(diff_id: Digest, size: u64, recipe: File, parts: Parts) -> io::Result<Self> {
        let mut recipe = BufReader::new(Decoder::new(recipe)?);
        let mut magic = [0; MAGIC.len()];
        recipe.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a recipe of unknown format"));
        }
        let (hash, state) = (Sha256::new(), State::Between);
        Ok(Self { diff_id, size, recipe, parts, contents: 0, state, hash })
    }

    /// How many bytes the stream has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of the stream.
    #[must_use]
    pub fn diff_id(&self) -> Digest {
        self.diff_id
    }

    fn number<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.recipe.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn next_record(&mut self) -> io::Result<State> {
        match self.number::<1>()? {
            [LITERAL] => match u32::from_le_bytes(self.number()?) as usize {
                left @ 1..=LITERAL_MAX => Ok(State::Literal { left }),
                _ => Err(damaged(self.diff_id, "its recipe makes no sense")),
            },
            [kind @ (CONTENTS | SPARSE)] => {
                let expected = u64::from_le_bytes(self.number()?);
                let length = usize::from(u16::from_le_bytes(self.number()?));
                if length > PATH {
                    return Err(damaged(self.diff_id, "its recipe makes no sense"));
                }
                let mut path = vec![0; length];
                self.recipe.read_exact(&mut path)?;
                let map = match kind {
                    SPARSE => Some(self.map()?),
                    _ => None,
                };
                let file = self.open(&path)?;
                let size = file.metadata()?.len();
                if size != expected {
                    let path = shown(&path);
                    let why =
                        format!("the file {path} should have {expected} bytes, and has {size}");
                    return Err(damaged(self.diff_id, &why));
                }
                self.contents += 1;
                let stretches = match map {
                    Some(map) => Stretches::of(file, size, map),
                    None => Stretches::whole(file, size),
                };
                Ok(State::Contents { stretches, path })
            }
            [END] => self.end(),
            _ => Err(damaged(self.diff_id, "its recipe makes no sense")),
        }
    }

    /// The stretches of a sparse file that are data.
    fn map(&mut self) -> io::Result<Vec<(u64, u64)>> {
        let count = u32::from_le_bytes(self.number()?);
        if count as usize > STRETCHES {
            return Err(damaged(self.diff_id, "its recipe makes no sense"));
        }
        let mut map = Vec::new();
        for _ in 0..count {
            map.push((u64::from_le_bytes(self.number()?), u64::from_le_bytes(self.number()?)));
        }
        Ok(map)
    }

    fn end(&mut self) -> io::Result<State> {
        match Digest::finish(std::mem::take(&mut self.hash)) {
            found if found == self.diff_id => Ok(State::Ended),
            found => {
                Err(damaged(self.diff_id, &format!("a file was changed; its digest is {found}")))
            }
        }
    }

    /// Opens the file whose contents were at `path`.
    fn open(&self, path: &[u8]) -> io::Result<File> {
        let (directory, path) = match self.parts.moves.find(self.contents, path) {
            None => ("diff".to_owned(), path),
            Some((n, below)) => (format!("kept/{n}"), below),
        };
        // In two steps, as the two together may be longer than a path can be.
        let open = |at: &OwnedFd, path: &[u8], flags| {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | flags;
            rustix::fs::openat2(at, path, flags, Mode::empty(), resolve)
        };
        let opened = match path.is_empty() {
            true => open(&self.parts.layer, directory.as_bytes(), OFlags::empty()),
            false => open(&self.parts.layer, directory.as_bytes(), OFlags::DIRECTORY)
                .and_then(|at| open(&at, path, OFlags::empty())),
        };
        opened.map(File::from).map_err(|errno| {
            let why = format!("opening {directory}/{}: {errno}", path.escape_ascii());
            damaged(self.diff_id, &why)
        })
    }

    fn some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.state {
                State::Ended => return Ok(0),
                State::Literal { left: 0 } | State::Between => {
                    self.state = self.next_record()?;
                }
                State::Literal { left } => {
                    let most = buffer.len().min(*left);
                    let read = self.recipe.read(&mut buffer[..most])?;
                    *left -= read;
                    return match read {
                        0 => Err(damaged(self.diff_id, "its recipe was cut")),
                        read => Ok(read),
                    };
                }
                State::Contents { stretches, path } => match stretches.read(buffer) {
                    Ok(0) => self.state = State::Between,
                    Ok(read) => return Ok(read),
                    Err(e) => {
                        let why = format!("reading the file {}: {e}", shown(path));
                        return Err(damaged(self.diff_id, &why));
                    }
                },
            }
        }
    }
}

fn damaged(diff_id: Digest, why: &str) -> io::Error {
    let message = format!("layer {diff_id} is damaged in the store: {why}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

impl Read for LayerStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.some(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}

impl std::fmt::Debug for LayerStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LayerStream").field("diff_id", &self.diff_id).finish_non_exhaustive()
    }
}
