//! A tar reader's input that writes the recipe of what is read through it.

use std::io::{self, BufRead, BufReader, Read};

use super::Writer;
use crate::compression::BUFFER;
use crate::error::{Error, ErrorKind, Result};
use crate::tarball::{Source, Sparse};

/// Records every byte that is consumed, but for what it was told is in a file.
pub(crate) struct Recording<R> {
    input: BufReader<R>,
    recipe: Writer,
    /// Bytes to come that are some file's contents.
    contents: u64,
    /// Consuming can't fail: what failed then is told when the next bytes are asked for.
    failed: Option<io::Error>,
}

impl<R: Read> Recording<R> {
    pub(crate) fn new(input: R, recipe: Writer) -> Self {
        let input = BufReader::with_capacity(BUFFER, input);
        Self { input, recipe, contents: 0, failed: None }
    }

    /// Says that the next `size` bytes are the contents of the file at `path`.
    pub(crate) fn refer(&mut self, path: &[u8], size: u64) -> Result<()> {
        self.recipe.contents(path, size).map_err(failed)?;
        self.contents = size;
        Ok(())
    }

    /// As [`Recording::refer`], of a sparse file, whose data are `bytes` long together.
    pub(crate) fn refer_sparse(&mut self, path: &[u8], sparse: &Sparse, bytes: u64) -> Result<()> {
        self.recipe.sparse(path, sparse).map_err(failed)?;
        self.contents = bytes;
        Ok(())
    }

    /// Ends the recipe. All of the stream must have been read.
    pub(crate) fn finish(self) -> Result<()> {
        match self.failed {
            Some(error) => Err(failed(error)),
            None => self.recipe.finish().map_err(failed),
        }
    }
}

fn failed(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "writing a layer's recipe failed").because(error)
}

impl<R: Read> BufRead for Recording<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.input.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        let here = self.input.buffer();
        let known = usize::try_from(self.contents).unwrap_or(usize::MAX).min(bytes);
        if let Err(error) = self.recipe.literal(&here[known..bytes]) {
            self.failed.get_or_insert(error);
        }
        self.contents -= known as u64;
        self.input.consume(bytes);
    }
}

impl<R: Read> Read for Recording<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: Read> Source for Recording<R> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        crate::tarball::read_past(self, bytes)
    }
}
