//! A zstd stream of any number of frames (RFC 8878), checksums verified.

use std::io::{self, BufRead, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

/// The largest window that a frame may ask for: 2 to this power, 128 MiB, as with the `zstd` program, containerd and
/// Podman.
const WINDOW_LOG: u32 = 27;
/// The largest window, in bytes, that every reader may have: what builders of images write needs no more.
const USUAL_WINDOW: u64 = 8 << 20;
/// The longest header of a frame, in bytes.
const HEADER: usize = 18;

/// Decodes frame after frame; memory is bounded by the largest window, whatever the stream's length.
pub(crate) struct ZstdReader<'t, R> {
    input: R,
    /// The beginning of a frame, which was looked at, and how much of it is done with.
    head: Vec<u8>,
    done: usize,
    frame: Option<Frame<'t>>,
    /// What has decoded frames and may go on to; it keeps its memory.
    idle: Option<DCtx<'static>>,
    /// Held by the one of several readers whose frame has a large window.
    turn: Option<&'t Mutex<()>>,
}

/// A frame that is being decoded.
struct Frame<'t> {
    context: DCtx<'static>,
    turn: Option<MutexGuard<'t, ()>>,
}

impl<'t, R: BufRead> ZstdReader<'t, R> {
    /// Of readers with the same `turn` one at a time decodes a frame whose window is larger than 8 MiB; the others wait.
    /// Who has two readers in one thread gives them none.
    pub(crate) fn new(input: R, turn: Option<&'t Mutex<()>>) -> Self {
        Self { input, head: Vec::new(), done: 0, frame: None, idle: None, turn }
    }

    /// Looks at the next frame's header, and makes ready for it; `None` at the end of the stream.
    fn begin(&mut self) -> io::Result<Option<Frame<'t>>> {
        self.head.drain(..self.done);
        self.done = 0;
        let missing = HEADER.saturating_sub(self.head.len()) as u64;
        self.input.by_ref().take(missing).read_to_end(&mut self.head)?;
        if self.head.is_empty() {
            return Ok(None);
        }
        // What is no header is left to the decoder, which says what is wrong with it.
        let large = window(&self.head).is_some_and(|window| window > USUAL_WINDOW);
        let turn = self.turn.filter(|_| large);
        let turn = turn.map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        let context = match self.idle.take() {
            Some(context) => context,
            None => context()?,
        };
        Ok(Some(Frame { context, turn }))
    }

    /// Decodes some; gives how much came, and whether there was anything to decode.
    fn some(&mut self, buffer: &mut [u8], mut frame: Frame<'t>) -> io::Result<(usize, bool)> {
        let here = match self.head.get(self.done..) {
            Some(head) if !head.is_empty() => head,
            _ => self.input.fill_buf()?,
        };
        let from_head = self.done < self.head.len();
        let (mut input, mut output) = (InBuffer::around(here), OutBuffer::around(buffer));
        let left = frame.context.decompress_stream(&mut output, &mut input).map_err(damaged)?;
        let (used, made, given) = (input.pos(), output.pos(), !here.is_empty());
        match from_head {
            true => self.done += used,
            false => self.input.consume(used),
        }
        match (left, frame.turn) {
            (0, None) => self.idle = Some(frame.context),
            // With its turn goes its memory.
            (0, Some(_)) => {}
            (_, turn) => self.frame = Some(Frame { context: frame.context, turn }),
        }
        Ok((made, given))
    }
}

impl<R: BufRead> Read for ZstdReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.begin()? {
                    Some(frame) => frame,
                    None => return Ok(0),
                },
            };
            match self.some(buffer, frame)? {
                (0, true) => {}
                (0, false) => return Err(io::ErrorKind::UnexpectedEof.into()),
                (made, _) => return Ok(made),
            }
        }
    }
}

fn context() -> io::Result<DCtx<'static>> {
    let mut context = DCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(damaged)?;
    Ok(context)
}

fn damaged(code: usize) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, get_error_name(code))
}

/// The size of a frame's window, by its header
/// ([RFC 8878, 3.1.1.1](https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1)); `None` if it is none, or is to be
/// skipped.
fn window(header: &[u8]) -> Option<u64> {
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = header else { return None };
    let is_single = descriptor & 0x20 != 0;
    if !is_single {
        let window = *rest.first()?;
        let base = 1_u64 << (10 + u32::from(window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // Then the window is as large as the content, whose size follows the dictionary's number.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let (length, more) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(descriptor >> 6)];
    let mut size = [0; 8];
    size[..length].copy_from_slice(rest.get(dictionary..dictionary + length)?);
    Some(u64::from_le_bytes(size) + more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zstd::stream::write::Encoder;

    fn pack(bytes: &[u8], log: Option<u32>) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        if let Some(log) = log {
            encoder.window_log(log).unwrap();
        }
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(packed: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let turn = Mutex::new(());
        let input = io::BufReader::with_capacity(piece, packed);
        ZstdReader::new(input, Some(&turn)).read_to_end(&mut bytes)?;
        assert!(turn.try_lock().is_ok());
        Ok(bytes)
    }

    #[test]
    fn frames_follow_each_other_and_some_are_skipped() {
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"any"].concat();
        let long = b"some ".repeat(100_000);
        let packed = [
            pack(b"", None),
            skipped.clone(),
            pack(b"a", None),
            pack(&long, Some(27)),
            pack(b"b", None),
            skipped,
        ];
        let expected = [&b"a"[..], &long, b"b"].concat();
        for piece in [1, 7, 64, 100_000] {
            assert_eq!(unpack(&packed.concat(), piece).unwrap(), expected, "{piece}");
        }
    }

    #[test]
    fn a_stream_that_is_cut_or_changed_is_an_error() {
        let packed = [pack(b"first", None), pack(&b"second".repeat(1000), None)].concat();
        let first = pack(b"first", None).len();
        for end in (1..packed.len()).filter(|end| *end != first) {
            let error = unpack(&packed[..end], 64).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{end}");
        }
        let mut changed = packed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(unpack(&changed, 64).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let error = unpack(&[&packed[..], b"more"].concat(), 64).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = unpack(&pack(&[0; 10], Some(28)), 64).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }

    #[test]
    fn a_header_tells_the_window() {
        for log in [10, 20, 23, 24, 27] {
            assert_eq!(window(&pack(&[0; 10], Some(log))), Some(1 << log));
        }
        // In one piece, with the size of all.
        for size in [1, 255, 256, 70_000] {
            let packed = zstd::bulk::compress(&vec![1; size], 1).unwrap();
            assert!(window(&packed).unwrap() >= size as u64, "{size}");
        }
        assert_eq!(window(&[0x28, 0xb5, 0x2f, 0xfd]), None);
        assert_eq!(window(b"anything else"), None);
        assert_eq!(window(&[0x28, 0xb5, 0x2f, 0xfd, 0xa0, 1, 2, 3]), None);
        let most = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &[0xff; 8]].concat();
        assert_eq!(window(&most), Some(u64::MAX));
    }
}
