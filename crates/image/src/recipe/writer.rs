//! Writing a recipe while its layer is unpacked.

use std::fs::File;
use std::io::{self, Write};

use zstd::stream::write::Encoder;

use super::{CONTENTS, END, LEVEL, LITERAL, LITERAL_MAX, MAGIC, SPARSE};
use crate::tarball::Sparse;

/// Writes one record after the other.
pub(crate) struct Writer {
    out: Encoder<'static, File>,
    literal: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let mut out = Encoder::new(file, LEVEL)?;
        out.include_checksum(true)?;
        out.write_all(MAGIC)?;
        Ok(Self { out, literal: Vec::with_capacity(LITERAL_MAX) })
    }

    /// Bytes as they are.
    pub(super) fn literal(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = (LITERAL_MAX - self.literal.len()).min(bytes.len());
            self.literal.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            if self.literal.len() == LITERAL_MAX {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// The contents, `size` bytes, of the file at `path`.
    pub(super) fn contents(&mut self, path: &[u8], size: u64) -> io::Result<()> {
        self.reference(CONTENTS, path, size)
    }

    fn reference(&mut self, kind: u8, path: &[u8], size: u64) -> io::Result<()> {
        self.flush()?;
        let length = u16::try_from(path.len())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidFilename, e))?;
        self.out.write_all(&[kind])?;
        self.out.write_all(&size.to_le_bytes())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(path)
    }

    /// As [`Writer::contents`], of a file with holes: only its data.
    pub(super) fn sparse(&mut self, path: &[u8], sparse: &Sparse) -> io::Result<()> {
        self.reference(SPARSE, path, sparse.size)?;
        let count = u32::try_from(sparse.map.len())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        self.out.write_all(&count.to_le_bytes())?;
        for (offset, length) in &sparse.map {
            self.out.write_all(&offset.to_le_bytes())?;
            self.out.write_all(&length.to_le_bytes())?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.out.write_all(&[END])?;
        self.out.finish().map(drop)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.literal.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(self.literal.len())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        self.out.write_all(&[LITERAL])?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&self.literal)?;
        self.literal.clear();
        Ok(())
    }
}
