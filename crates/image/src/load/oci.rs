//! Formats in which all is found by digest: an index or a manifest leads to configurations and layers.

use std::collections::BTreeSet;

use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor, MediaType};

use super::layout::Layout;
use crate::choice::{choose, no_image_for};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::DOCUMENT;
use crate::manifest::{
    CONTAINERD_NAME, ImageDocument, check_size, compression, diff_ids, digest, is_index, is_known,
    not_an_image, own_type, read_config, read_index, read_manifest,
};
use crate::platform::Platform;
use crate::reference::{Home, Reference};
use crate::store::{NewImage, NewLayer, check};

/// How deep an index may be within others.
const DEPTH: usize = 4;

/// Reads what a layout's documents lead to.
pub(super) struct Reader<'a> {
    pub(super) layout: Layout<'a>,
    /// `None`: for this machine.
    pub(super) platform: Option<&'a Platform>,
}

impl Reader<'_> {
    /// All images for the platform that `index.json` names.
    pub(super) fn images(&self) -> Result<Vec<NewImage>> {
        let bytes = self.layout.members.document("index.json")?;
        let index = read_index("index.json", &bytes, None)?;
        let (mut images, mut others) = (Vec::<NewImage>::new(), BTreeSet::new());
        for descriptor in self.fitting(index.manifests()) {
            let mut image = match self.described(descriptor)? {
                ImageDocument::Image(image) => image,
                ImageDocument::Artifact(of) => {
                    others.insert(of);
                    continue;
                }
            };
            if let Some(name) = reference(descriptor)? {
                let own = image.manifest.as_deref().map(Digest::of);
                let known = [digest(descriptor)?, Digest::of(&image.config)];
                name.require_digest_of(&own.into_iter().chain(known).collect::<Vec<_>>())?;
                image.references.push(name);
            }
            match images.iter_mut().find(|known| known.manifest == image.manifest) {
                Some(known) => known.references.append(&mut image.references),
                None => images.push(image),
            }
        }
        if !images.is_empty() {
            return Ok(images);
        }
        match others.first() {
            Some(of) => Err(not_an_image("index.json", of)),
            None => Err(no_image_for("index.json", &index, &self.wanted())),
        }
    }

    /// The one image that `manifest.json`, an index or a manifest itself, leads to.
    pub(super) fn image(&self) -> Result<NewImage> {
        let name = "manifest.json";
        let bytes = self.layout.members.document(name)?;
        let media_type = own_type(name, &bytes)?;
        match self.document(name, bytes, &media_type)? {
            ImageDocument::Image(image) => Ok(image),
            ImageDocument::Artifact(of) => Err(not_an_image(name, &of)),
        }
    }

    fn wanted(&self) -> Platform {
        self.platform.cloned().unwrap_or_else(Platform::host)
    }

    /// Those that may be for the platform: one that names none may, and of those with the same name and a platform
    /// the best.
    fn fitting<'d>(&self, all: &'d [Descriptor]) -> Vec<&'d Descriptor> {
        let wanted = self.wanted();
        let fit = |descriptor: &Descriptor| match descriptor.platform() {
            Some(platform) => wanted.fit(&Platform::of(platform)),
            None => Some(0),
        };
        let fitting: Vec<_> = all.iter().filter_map(|one| Some((fit(one)?, one))).collect();
        let better = |(fit, one): &(u32, &Descriptor)| {
            fitting.iter().any(|(known, other)| known < fit && name(other) == name(one))
        };
        fitting.iter().filter(|one| !better(one)).map(|(_, one)| *one).collect()
    }

    /// What a descriptor leads to.
    fn described(&self, descriptor: &Descriptor) -> Result<ImageDocument<NewImage>> {
        if !is_known(descriptor.media_type()) {
            return Ok(ImageDocument::Artifact(descriptor.media_type().to_string()));
        }
        let (name, bytes) = self.manifest(descriptor)?;
        self.document(&name, bytes, descriptor.media_type())
    }

    /// What a document leads to, through indexes if it is one.
    fn document(
        &self,
        name: &str,
        bytes: Vec<u8>,
        media_type: &MediaType,
    ) -> Result<ImageDocument<NewImage>> {
        let (mut name, mut bytes) = (name.to_owned(), bytes);
        let mut media_type = media_type.clone();
        let mut depth = 0;
        while is_index(&media_type) {
            if depth == DEPTH {
                let message = format!("{name} is an index too deep within others");
                return Err(Error::malformed(message));
            }
            depth += 1;
            let index = read_index(&name, &bytes, Some(&media_type))?;
            let descriptor = choose(&name, &index, &self.wanted())?;
            media_type = descriptor.media_type().clone();
            (name, bytes) = self.manifest(descriptor)?;
        }
        if !is_known(&media_type) {
            return Ok(ImageDocument::Artifact(media_type.to_string()));
        }
        self.leaf(&name, bytes, &media_type)
    }

    fn leaf(
        &self,
        name: &str,
        bytes: Vec<u8>,
        media_type: &MediaType,
    ) -> Result<ImageDocument<NewImage>> {
        let manifest = match read_manifest(name, &bytes, media_type)? {
            ImageDocument::Image(manifest) => manifest,
            ImageDocument::Artifact(of) => return Ok(ImageDocument::Artifact(of)),
        };
        let at = self.layout.blob(&digest(manifest.config())?);
        let config = self.verified(&at, manifest.config())?;
        let parsed = read_config(&config)?;
        if let Some(wanted) = self.platform {
            wanted.require(name, &parsed)?;
        }
        let diff_ids = diff_ids(&parsed)?;
        if diff_ids.len() != manifest.layers().len() {
            return Err(Error::malformed(format!(
                "{name} lists {} layers, and {at} {}",
                manifest.layers().len(),
                diff_ids.len()
            )));
        }
        let mut layers = Vec::with_capacity(diff_ids.len());
        for (descriptor, diff_id) in manifest.layers().iter().zip(diff_ids) {
            layers.push(self.layer(descriptor, diff_id)?);
        }
        let references = Vec::new();
        Ok(ImageDocument::Image(NewImage { config, manifest: Some(bytes), layers, references }))
    }

    fn layer(&self, descriptor: &Descriptor, diff_id: Digest) -> Result<NewLayer> {
        compression(descriptor.media_type())?;
        let digest = digest(descriptor)?;
        let at = self.layout.blob(&digest);
        if let Some(urls) = descriptor.urls()
            && !self.layout.members.has(&at)
        {
            let message = format!(
                "layer {digest} is not in {}: its image says to fetch it from {}, which is not \
                 supported",
                self.layout.members.what(),
                urls.join(" or ")
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let blob = self.layout.members.blob(&at)?;
        check_size(&at, descriptor, blob.open()?.size())?;
        Ok(NewLayer { diff_id, blob: Some(blob), digest: Some(digest) })
    }

    /// The manifest or index that a descriptor leads to.
    fn manifest(&self, descriptor: &Descriptor) -> Result<(String, Vec<u8>)> {
        let at = self.layout.manifest(&digest(descriptor)?);
        let bytes = self.verified(&at, descriptor)?;
        Ok((at, bytes))
    }

    /// Reads a document, and checks its size and digest.
    fn verified(&self, name: &str, descriptor: &Descriptor) -> Result<Vec<u8>> {
        if descriptor.size() > DOCUMENT {
            let message = format!("{name} has {} bytes; {DOCUMENT} are allowed", descriptor.size());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let bytes = self.layout.members.document(name)?;
        check_size(name, descriptor, bytes.len() as u64)?;
        check(name, Some(digest(descriptor)?), Digest::of(&bytes))?;
        Ok(bytes)
    }
}

/// An annotation with a name; whether it is a full one.
fn name(descriptor: &Descriptor) -> Option<(&String, Home)> {
    let annotations = descriptor.annotations().as_ref()?;
    let full = annotations.get(CONTAINERD_NAME).map(|name| (name, Home::DockerHub));
    full.or_else(|| annotations.get(ANNOTATION_REF_NAME).map(|name| (name, Home::Localhost)))
}

/// The name that an entry of `index.json` gives its image. A bare word is one of this machine.
fn reference(descriptor: &Descriptor) -> Result<Option<Reference>> {
    name(descriptor).map(|(name, home)| Reference::parse(name, home)).transpose()
}
