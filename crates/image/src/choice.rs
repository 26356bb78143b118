//! Which image of an index is meant.

use oci_spec::image::{Descriptor, ImageIndex};

use crate::error::{Error, ErrorKind, Result};
use crate::manifest::is_known;
use crate::platform::Platform;

/// The image of an index that fits `wanted` best; of equals the first.
pub(crate) fn choose<'i>(
    what: &str,
    index: &'i ImageIndex,
    wanted: &Platform,
) -> Result<&'i Descriptor> {
    let fit = |descriptor: &Descriptor| match descriptor.platform() {
        Some(platform) => wanted.fit(&Platform::of(platform)),
        // It may be for any machine: only if nothing says it is for this one.
        None if is_known(descriptor.media_type()) => Some(u32::MAX),
        None => None,
    };
    let fitting = index.manifests().iter().filter_map(|one| fit(one).map(|fit| (fit, one)));
    fitting
        .min_by_key(|(fit, _)| *fit)
        .map(|(_, one)| one)
        .ok_or_else(|| no_image_for(what, index, wanted))
}

/// The error when an index has nothing that fits.
pub(crate) fn no_image_for(what: &str, index: &ImageIndex, wanted: &Platform) -> Error {
    let all = index.manifests().iter().filter_map(|one| one.platform().as_ref());
    let mut all: Vec<_> = all.map(|platform| Platform::of(platform).to_string()).collect();
    // What builders attach to an image says this of itself.
    all.retain(|platform| platform != "unknown/unknown");
    all.dedup();
    let has = match all.is_empty() {
        true => String::new(),
        false => format!("; it has {}", all.join(", ")),
    };
    Error::new(ErrorKind::Unsupported, format!("{what} has no image for {wanted}{has}"))
}
