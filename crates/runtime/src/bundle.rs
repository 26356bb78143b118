//! Paths of a bundle (runtime-spec, `bundle.md`).

use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;

use crate::error::{Error, Kind};
use crate::mount_options::MountOptions;

/// Makes what a configuration names relative to its bundle absolute: the sources of bind mounts, in place,
/// and `root.path`, which is returned.
///
/// # Errors
/// [`Kind::InvalidSpec`] without a `root`, or if `bundle` is not absolute.
pub fn anchor(spec: &mut Spec, bundle: &Path) -> Result<PathBuf, Error> {
    let wrong = |why: String| Error::new(Kind::InvalidSpec, why);
    if !bundle.is_absolute() {
        return Err(wrong(format!("bundle {}: not an absolute path", bundle.display())));
    }
    let root = spec.root().as_ref().map(|root| root.path().clone());
    let root = root.filter(|path| !path.as_os_str().is_empty());
    let root = root.ok_or_else(|| wrong("root.path: it is needed".to_owned()))?;
    if let Some(process) = spec.process_mut() {
        process.user_mut().set_username(None);
    }
    if let Some(mounts) = spec.mounts_mut() {
        for mount in mounts {
            if MountOptions::of(mount)?.bind.is_some()
                && let Some(source) = mount.source().as_ref().filter(|source| !source.is_absolute())
            {
                let source = bundle.join(source);
                mount.set_source(Some(source));
            }
        }
    }
    Ok(bundle.join(root))
}
