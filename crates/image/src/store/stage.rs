//! Layers are unpacked aside, with their recipes, and checked.

use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::commit::NewLayer;
use super::{Staging, Store};
use crate::compression::{BUFFER, Compression, decode, drain, recognise};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{Budget, Capped, Hashed};
use crate::recipe::{LayerStream, Recording, Writer};
use crate::tarball::TarReader;
use crate::unpack::{Fill, unpack};

/// A layer that was unpacked aside.
pub(crate) struct StagedLayer {
    pub(crate) diff_id: Digest,
    pub(super) directory: String,
}

impl StagedLayer {
    /// Syncs the files at `paths` and the layer's own: cheaper than a whole file system when they are few.
    pub(crate) fn sync<'a>(
        &self,
        staging: &Staging,
        paths: impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        let paths = paths.map(|path| format!("{}/diff/{path}", self.directory));
        let own = ["size", "recipe", "diff", "."].map(|path| format!("{}/{path}", self.directory));
        for path in paths.chain(own) {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::openat2(staging.fd(), &path, flags, Mode::empty(), resolve)
                .and_then(rustix::fs::fsync)
                .map_err(|e| Error::call("fsync", path, e))?;
        }
        Ok(())
    }
}

/// Where a layer is unpacked aside.
struct Aside {
    directory: String,
    top: OwnedFd,
    diff: OwnedFd,
    recipe: Writer,
}

impl Aside {
    fn new(staging: &Staging) -> Result<Self> {
        let directory = staging.unique("layer");
        let top = staging.directory(&directory)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let diff = rustix::fs::mkdirat(&top, "diff", Mode::RWXU)
            .and_then(|()| rustix::fs::openat(&top, "diff", flags, Mode::empty()))
            .map_err(|e| Error::call("mkdirat", format!("tmp/{directory}/diff"), e))?;
        let recipe = Writer::new(staging.file(&format!("{directory}/recipe"))?).map_err(|e| {
            Error::new(ErrorKind::Io, "beginning a layer's recipe failed").because(e)
        })?;
        Ok(Self { directory, top, diff, recipe })
    }
}

/// A layer's stream of which every failure says that the layer is damaged, and none that the machine is.
struct Damaging(LayerStream);

impl Read for Damaging {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }
}

impl Store {
    /// Unpacks an uncompressed stream aside, whatever digest it will have.
    pub(crate) fn stage(
        &self,
        staging: &Staging,
        stream: impl Read,
        end: EndMark,
        what: &str,
        budget: &Budget,
    ) -> Result<StagedLayer> {
        let Aside { directory, top, diff, recipe } = Aside::new(staging)?;
        let mut hashed = Hashed::new(Capped::new(stream, budget));
        let mut tar = TarReader::new(Recording::new(&mut hashed, recipe), what);
        let files = unpack(diff, top, &mut tar, self.limits.entries, Fill::Contents, budget)?;
        if end == EndMark::Required {
            tar.require_end_mark()?;
        }
        let mut recording = tar.into_input();
        drain(&mut recording, what)?;
        recording.finish()?;
        let (diff_id, stream) = hashed.finish();
        let mut sizes = staging.file(&format!("{directory}/size"))?;
        sizes
            .write_all(format!("{files}\n{stream}\n").as_bytes())
            .map_err(|e| Error::new(ErrorKind::Io, "writing a layer's size failed").because(e))?;
        Ok(StagedLayer { diff_id, directory })
    }

    /// Unpacks a layer that is in the store once more aside, its files with their sizes but without contents.
    pub(super) fn stage_outline(
        &self,
        staging: &Staging,
        stream: LayerStream,
    ) -> Result<StagedLayer> {
        let diff_id = stream.diff_id();
        let what = format!("layer {diff_id}");
        let Aside { directory, top, diff, recipe } = Aside::new(staging)?;
        let mut tar = TarReader::new(Recording::new(Damaging(stream), recipe), what.as_str());
        // Its holes were counted when it came.
        let budget = Budget::new(u64::MAX);
        unpack(diff, top, &mut tar, self.limits.entries, Fill::Outline, &budget)?;
        let mut recording = tar.into_input();
        drain(&mut recording, &what)?;
        Ok(StagedLayer { diff_id, directory })
    }

    /// Unpacks a layer's blob aside, and checks all that was promised about it.
    pub(super) fn stage_blob(
        &self,
        staging: &Staging,
        layer: &NewLayer,
        budget: &Budget,
    ) -> Result<StagedLayer> {
        let what = format!("layer {}", layer.diff_id);
        let Some(blob) = &layer.blob else {
            return Err(Error::new(ErrorKind::NotFound, format!("{what} was removed meanwhile")));
        };
        let blob = blob.open()?;
        let (compression, _) = recognise(blob.clone(), &what)?;
        let unpacked = if compression == Compression::Plain || layer.digest.is_none() {
            let input = BufReader::with_capacity(BUFFER, blob);
            let plain = decode(compression, input);
            self.stage(staging, plain, EndMark::Optional, &what, budget)?
        } else {
            let mut hashed = Hashed::new(blob);
            let mut input = BufReader::with_capacity(BUFFER, &mut hashed);
            let plain = decode(compression, &mut input);
            let unpacked = self.stage(staging, plain, EndMark::Optional, &what, budget)?;
            drain(input, &what)?;
            check(&what, layer.digest, hashed.finish().0)?;
            unpacked
        };
        if compression == Compression::Plain {
            check(&what, layer.digest, unpacked.diff_id)?;
        }
        check(&what, Some(layer.diff_id), unpacked.diff_id)?;
        Ok(unpacked)
    }
}

/// Whether an archive must end with the mark of its end. Where a digest covers the stream it need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndMark {
    Required,
    Optional,
}

/// Fails unless content is what was promised.
pub(crate) fn check(what: &str, promised: Option<Digest>, found: Digest) -> Result<()> {
    match promised {
        Some(promised) if promised != found => Err(Error::new(
            ErrorKind::Mismatch,
            format!("{what} should have the digest {promised}, and has {found}"),
        )),
        _ => Ok(()),
    }
}
