//! Compressing a layer, the same way each time: the same layer is then the same blob, which a registry has once.

use std::io::{self, BufWriter, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::GzBuilder;
use sha2::{Digest as _, Sha256};
use zstd::stream::write::Encoder;

use super::document::Part;
use crate::compression::{BUFFER, Compression};
use crate::digest::Digest;
use crate::recipe::LayerStream;

/// What gzip and zstd do unless told otherwise.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;
/// "Unknown", so that the header is the same wherever it is written (RFC 1952, 2.3.1).
const NO_SYSTEM: u8 = 255;

/// Writes a layer's blob to `to`, and says what it has become. Another thread may stop it.
pub(crate) fn pack(
    mut layer: LayerStream,
    compression: Compression,
    to: impl Write,
    stop: &AtomicBool,
) -> io::Result<Part> {
    let mut out = BufWriter::with_capacity(BUFFER, Counted { to, hash: Sha256::new(), size: 0 });
    let size = layer.size();
    match compression {
        Compression::Plain => copy(&mut layer, &mut out, stop)?,
        Compression::Gzip => {
            let level = flate2::Compression::new(GZIP_LEVEL);
            let header = GzBuilder::new().mtime(0).operating_system(NO_SYSTEM);
            let mut encoder = header.write(&mut out, level);
            copy(&mut layer, &mut encoder, stop)?;
            encoder.finish()?;
        }
        Compression::Zstd => {
            let mut encoder = Encoder::new(&mut out, ZSTD_LEVEL)?;
            encoder.set_pledged_src_size(Some(size))?;
            encoder.include_checksum(true)?;
            copy(&mut layer, &mut encoder, stop)?;
            encoder.finish()?;
        }
    }
    let Counted { hash, size, .. } = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(Part { digest: Digest::finish(hash), size, compression })
}

fn copy(from: &mut LayerStream, to: &mut impl Write, stop: &AtomicBool) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("another part has failed"));
        }
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Hashes and counts what is written.
struct Counted<W> {
    to: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
