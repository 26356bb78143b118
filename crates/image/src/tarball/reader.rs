//! The framing of a tar stream: headers, extension headers, data, padding, end.

use tar::Header;

use super::entry::{Entry, Kind, LongNames, plain_size};
use super::pax::Pax;
use super::source::Source;
use super::sparse::{Form, Lines, MapBuilder, Sparse, number};
use crate::error::{Error, ErrorKind, Result};

const BLOCK: usize = 512;
/// The largest extended header, which holds names and extended attributes (64 KiB each at most).
const EXTENSION: u64 = 1 << 20;

/// Reads one entry after the other.
pub(crate) struct TarReader<S> {
    input: S,
    /// For messages: what is being read.
    what: String,
    /// Bytes read or skipped since the beginning.
    position: u64,
    /// Data of the current entry that has not been taken.
    data: u64,
    /// Bytes after it up to the next block.
    padding: u64,
    end: End,
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    NotYet,
    /// By a block of zeros, as it should.
    Marked,
    /// By having no more bytes: cut between two entries, or written by a careless tool.
    Bare,
}

impl<S: Source> TarReader<S> {
    pub(crate) fn new(input: S, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { input, what, position: 0, data: 0, padding: 0, end: End::NotYet }
    }

    /// Where in the stream the next byte is.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Fails unless the stream ended with the mark of its end.
    pub(crate) fn require_end_mark(&self) -> Result<()> {
        match self.end {
            End::Marked => Ok(()),
            End::NotYet | End::Bare => {
                Err(Error::malformed(format!("{} ends without an end mark: it was cut", self.what)))
            }
        }
    }

    /// The input itself, which is at the beginning of the current entry's data.
    pub(crate) fn input_mut(&mut self) -> &mut S {
        &mut self.input
    }

    /// Gives the input back, to read what follows the archive in it.
    pub(crate) fn into_input(self) -> S {
        self.input
    }

    /// The next entry, skipping what is left of the one before; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        let (mut pax, mut long) = (None, LongNames::default());
        loop {
            self.skip(self.data)?;
            self.data = 0;
            self.skip(self.padding)?;
            self.padding = 0;
            let Some(header) = self.header()? else {
                let dangling = pax.is_some() || long.path.is_some() || long.link.is_some();
                return if dangling {
                    Err(self.broken("an extended header has no entry"))
                } else {
                    Ok(None)
                };
            };
            match header.as_bytes()[156] {
                b'x' => self.set_once(&mut pax, &header, |_, bytes| Pax::parse(bytes))?,
                b'g' => self.global(&header)?,
                b'L' => self.set_once(&mut long.path, &header, Self::c_string)?,
                b'K' => self.set_once(&mut long.link, &header, Self::c_string)?,
                _ => {
                    let mut pax = pax.unwrap_or_default();
                    let sparse =
                        sparse_form(&header, &mut pax).map_err(|e| e.within(&self.what))?;
                    let mut entry =
                        Entry::decode(&header, pax, long).map_err(|e| e.within(&self.what))?;
                    self.data = entry.size;
                    self.padding = padding(entry.size);
                    if let Some(form) = sparse {
                        let sparse = self.sparse(&header, form).map_err(|e| {
                            let path = crate::error::shown(&entry.path);
                            e.within(format!("{}: entry {path}", self.what))
                        })?;
                        entry.size = self.data;
                        entry.kind = Kind::Sparse(sparse);
                    }
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// Reads a sparse file's map, up to where its data begin.
    fn sparse(&mut self, header: &Header, form: Form) -> Result<Sparse> {
        let (size, map) = match form {
            Form::Known { size, map } => (size, map),
            Form::Old => self.old_map(header)?,
            Form::InData { size } => (size, self.map_in_data()?),
        };
        Sparse::new(size, map, self.data)
    }

    /// The map of a header of the type `S`, and of the blocks that follow it; with the file's size.
    fn old_map(&mut self, header: &Header) -> Result<(u64, MapBuilder)> {
        let bytes = header.as_bytes();
        let size = number(&bytes[483..495])?;
        let mut map = MapBuilder::default();
        let mut open = map.push_table(&bytes[386..482], true)?;
        let mut more = bytes[482];
        let mut block = [0; BLOCK];
        while more != 0 {
            if !open {
                return Err(Error::malformed("a sparse file's map goes on after its end"));
            }
            self.fill(&mut block)?;
            open = map.push_table(&block[..504], true)?;
            more = block[504];
        }
        Ok((size, map))
    }

    /// The map that the data begin with: numbers, a line each, in whole blocks.
    fn map_in_data(&mut self) -> Result<MapBuilder> {
        let broken = || Error::malformed("a sparse file's map is broken");
        let mut lines = Lines::default();
        let (mut map, mut count, mut offset) = (MapBuilder::default(), None, None);
        while count.is_none_or(|count| map.len() < count) {
            let Some(number) = lines.next().ok_or_else(broken)? else {
                self.data = self.data.checked_sub(BLOCK as u64).ok_or_else(broken)?;
                self.fill(lines.block())?;
                continue;
            };
            match (count, offset.take()) {
                (None, _) => count = Some(number),
                (Some(_), None) => offset = Some(number),
                (Some(_), Some(at)) => map.push(at, number)?,
            }
        }
        Ok(map)
    }

    /// Hands the current entry's data to `sink`, piece by piece.
    pub(crate) fn data(&mut self, mut sink: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while self.data > 0 {
            let here = self.input.fill_buf().map_err(|e| Error::reading(&self.what, e))?;
            if here.is_empty() {
                return Err(self.cut());
            }
            let most = usize::try_from(self.data).unwrap_or(usize::MAX).min(here.len());
            sink(&here[..most])?;
            self.input.consume(most);
            self.data -= most as u64;
            self.position += most as u64;
        }
        Ok(())
    }

    /// The next header block; `None` at the end of the archive.
    fn header(&mut self) -> Result<Option<Header>> {
        let here = self.input.fill_buf().map_err(|e| Error::reading(&self.what, e))?;
        if here.is_empty() {
            self.end = End::Bare;
            return Ok(None);
        }
        let mut header = Header::new_old();
        self.fill(header.as_mut_bytes())?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            self.end = End::Marked;
            return Ok(None);
        }
        let bytes = header.as_bytes();
        let sum: u32 = bytes
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        match header.cksum() {
            Ok(promised) if promised == sum => Ok(Some(header)),
            _ => Err(self.broken("a header's checksum does not fit")),
        }
    }

    /// Reads an extension header's contents, of which an entry may have one of each kind.
    fn set_once<T>(
        &mut self,
        slot: &mut Option<T>,
        header: &Header,
        read: impl FnOnce(&Self, &[u8]) -> Result<T>,
    ) -> Result<()> {
        let bytes = self.extension(header)?;
        let value = read(self, &bytes).map_err(|e| e.within(&self.what))?;
        match slot.replace(value) {
            None => Ok(()),
            Some(_) => Err(self.broken("an entry has two extended headers of one kind")),
        }
    }

    fn global(&mut self, header: &Header) -> Result<()> {
        let bytes = self.extension(header)?;
        match Pax::parse(&bytes).map_err(|e| e.within(&self.what))?.is_empty() {
            true => Ok(()),
            // What readers make of it differs.
            false => Err(self.broken("a global header changes entries, which is not supported")),
        }
    }

    fn extension(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = plain_size(header).map_err(|e| e.within(&self.what))?;
        if size > EXTENSION {
            let message = format!("{}: an extended header of {size} bytes", self.what);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        self.fill(&mut bytes)?;
        self.padding = padding(size);
        Ok(bytes)
    }

    /// A GNU long name: ended by one NUL, which is no part of it.
    fn c_string(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let text = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        match text.contains(&0) {
            false => Ok(text.to_vec()),
            true => Err(Error::malformed("a long name has a NUL in it")),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.input.read_exact(buffer).map_err(|e| Error::reading(&self.what, e))?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        if bytes > 0 {
            self.input.skip(bytes).map_err(|e| Error::reading(&self.what, e))?;
            self.position += bytes;
        }
        Ok(())
    }

    fn broken(&self, why: &str) -> Error {
        Error::malformed(format!("{}: {why}", self.what))
    }

    fn cut(&self) -> Error {
        Error::reading(&self.what, std::io::ErrorKind::UnexpectedEof.into())
    }
}

/// How an entry says that it is a sparse file, if it does. A name that it has for this reason is taken over.
fn sparse_form(header: &Header, pax: &mut Pax) -> Result<Option<Form>> {
    let is_old = header.as_bytes()[156] == b'S';
    match (is_old, pax.sparse.take()) {
        (false, None) => Ok(None),
        (true, None) if header.as_gnu().is_some() => Ok(Some(Form::Old)),
        (false, Some(records)) if matches!(header.as_bytes()[156], 0 | b'0' | b'7') => {
            let (name, form) = records.finish()?;
            pax.path = name.or(pax.path.take());
            Ok(Some(form))
        }
        _ => Err(Error::malformed("an entry is a sparse file by one header and not by another")),
    }
}

/// Bytes from the end of `size` bytes of data to the next block.
fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
