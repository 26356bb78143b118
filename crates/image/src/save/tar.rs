//! An archive, written front to back.

use std::io::{Read, Write};

use tar::{EntryType, Header};

use super::sink::Sink;
use crate::compression::BUFFER;
use crate::error::{Error, ErrorKind, Result};

/// The unit of all that is in an archive, and the two of zeros that are its end.
const BLOCK: usize = 512;
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Files of nobody's, from the beginning of time: nothing of this machine is in it.
pub(super) struct Tar<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
}

impl<'a> Tar<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, buffer: vec![0; BUFFER] }
    }

    /// Writes the mark of the end. Without it the archive is known to be cut.
    pub(super) fn finish(self) -> Result<()> {
        self.out.write_all(&END).and_then(|()| self.out.flush()).map_err(not_written)
    }
}

impl Sink for Tar<'_> {
    fn file(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_path(name).map_err(not_written)?;
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        self.out.write_all(header.as_bytes()).map_err(not_written)?;
        copy(name, size, content, self.out, &mut self.buffer)?;
        let rest = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        self.out.write_all(&END[..(BLOCK - rest) % BLOCK]).map_err(not_written)
    }
}

/// Copies exactly `size` bytes, and reads to the end, where a layer's digest is checked.
pub(super) fn copy(
    name: &str,
    size: u64,
    content: &mut dyn Read,
    out: &mut dyn Write,
    buffer: &mut [u8],
) -> Result<()> {
    let mut left = size;
    loop {
        let read = match content.read(buffer) {
            Ok(0) if left == 0 => return Ok(()),
            Ok(read) if read > 0 && read as u64 <= left => read,
            Ok(_) => {
                let message = format!("{name} has not the {size} bytes that it should have");
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
                let message = format!("{name} can't be saved");
                return Err(Error::new(ErrorKind::Corrupt, message).because(e));
            }
            Err(e) => {
                return Err(Error::new(ErrorKind::Io, format!("reading {name} failed")).because(e));
            }
        };
        out.write_all(&buffer[..read]).map_err(not_written)?;
        left -= read as u64;
    }
}

fn not_written(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "writing the archive failed").because(error)
}
