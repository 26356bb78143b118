//! A zstd stream of any number of frames (RFC 8878), checksums verified.

use std::io::{self, BufRead, Read};

use zstd::stream::read::Decoder;

/// The largest window that a frame may ask for: 2 to this power, 128 MiB, as with the `zstd` program. What builders
/// of images write needs 8 MiB at most.
const WINDOW_LOG: u32 = 27;

/// Decodes frame after frame; memory is bounded by the largest window, whatever the stream's length.
pub(crate) enum ZstdReader<R: BufRead> {
    Ready(Decoder<'static, R>),
    /// The decoder could not be made.
    Failed(Option<io::Error>),
}

impl<R: BufRead> ZstdReader<R> {
    pub(crate) fn new(input: R) -> Self {
        let decoder = Decoder::with_buffer(input).and_then(|mut decoder| {
            decoder.window_log_max(WINDOW_LOG)?;
            Ok(decoder)
        });
        match decoder {
            Ok(decoder) => Self::Ready(decoder),
            Err(error) => Self::Failed(Some(error)),
        }
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Ready(decoder) => decoder.read(buffer).map_err(damaged),
            Self::Failed(error) => Err(error.take().unwrap_or_else(|| io::ErrorKind::Other.into())),
        }
    }
}

/// The library's own errors have no kind of their own.
fn damaged(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Other => io::Error::new(io::ErrorKind::InvalidData, error),
        _ => error,
    }
}
