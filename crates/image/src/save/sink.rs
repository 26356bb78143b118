//! What files are written to: an archive or a directory.

use std::io::Read;

use crate::digest::Digest;
use crate::error::Result;
use crate::store::Store;

/// Takes files one after the other. Their names are made here, and have directories in them at most.
pub(super) trait Sink {
    /// Takes a file of `size` bytes.
    fn file(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<()>;

    /// Takes a file that is in memory.
    fn bytes(&mut self, name: &str, mut content: &[u8]) -> Result<()> {
        self.file(name, content.len() as u64, &mut content)
    }

    /// Takes a layer, uncompressed. Its digest is checked on the way.
    fn layer(&mut self, store: &Store, name: &str, diff_id: &Digest) -> Result<()> {
        let mut stream = store.layer_stream(diff_id)?;
        self.file(name, stream.size(), &mut stream)
    }
}
