//! `--compression-format`.

use clap::ValueEnum;

/// How layers are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compression {
    /// What everybody reads.
    Gzip,
    /// Smaller and faster, and not for very old tools.
    Zstd,
    /// Not at all.
    None,
}

impl From<Compression> for sandbar_image::Compression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::Gzip => Self::Gzip,
            Compression::Zstd => Self::Zstd,
            Compression::None => Self::Plain,
        }
    }
}
