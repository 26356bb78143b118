//! What is seen at the paths of a container that somebody chose.

use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder};

use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::options::{Volume, VolumeSource};
use crate::{bundle, directories};

/// Paths that are the runtime's own: a volume there could pass for what a container trusts.
const OURS: [&str; 3] = ["/proc", "/sys", "/dev"];

impl Engine {
    /// The mount that `volume` asks for. A named volume is made if it is not there yet.
    pub(crate) fn volume_mount(&self, volume: &Volume) -> Result<Mount, Error> {
        let target = check_target(&volume.target)?;
        let wrong = |why: String| {
            Error::new(Kind::Invalid, format!("volume {}: {why}", volume.target.display()))
        };
        let (kind, source, mut options) = match &volume.source {
            VolumeSource::Path(path) => {
                if !path.exists() {
                    return Err(wrong(format!("{} is not there on the host", path.display())));
                }
                ("bind", path.clone(), bound())
            }
            VolumeSource::Named(name) => {
                let name: sandbar_spec::PodName =
                    name.parse().map_err(|_not_a_name| wrong(format!("'{name}' is no name")))?;
                let path = self.roots.volumes().join(name.as_str());
                if directories::ensure(&path)? {
                    let mode = rustix::fs::Mode::from_raw_mode(0o755);
                    let _mode_kept_private_if_refused = rustix::fs::chmod(&path, mode);
                }
                ("bind", path, bound())
            }
            VolumeSource::Tmpfs(options) => {
                let mut all = vec!["nosuid".to_owned(), "nodev".to_owned(), "mode=1777".to_owned()];
                all.extend(options.iter().cloned());
                ("tmpfs", PathBuf::from("tmpfs"), all)
            }
        };
        if volume.read_only {
            options.push("rro".to_owned());
        }
        MountBuilder::default()
            .destination(target)
            .typ(kind)
            .source(source)
            .options(options)
            .build()
            .map_err(bundle::incomplete)
    }
}

/// How a directory of the host is mounted: its devices and its programs' set-user-ID bits are the host's own.
fn bound() -> Vec<String> {
    ["rbind", "rprivate", "nosuid", "nodev"].map(str::to_owned).into()
}

/// The path without `.` and `..`; one that would cover what the runtime itself mounts is refused.
fn check_target(target: &Path) -> Result<PathBuf, Error> {
    let wrong =
        |why: &str| Err(Error::new(Kind::Invalid, format!("volume {}: {why}", target.display())));
    if !target.is_absolute() {
        return wrong("the path in the container must be absolute");
    }
    let mut clean = PathBuf::from("/");
    for component in target.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if clean == Path::new("/") {
        return wrong("the root itself can't be covered: use --rootfs");
    }
    let covered = |ours: &&str| {
        let ours = Path::new(ours);
        clean == ours || (clean.starts_with(ours) && ours != Path::new("/dev"))
    };
    if OURS.iter().any(covered) {
        return wrong("it would cover a directory of the kernel's");
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_5_a_volume_never_covers_proc() {
        for bad in ["/proc", "/proc/self", "/sys/fs", "/dev", "/", "/x/..", "/x/../proc", "x"] {
            assert!(check_target(Path::new(bad)).is_err(), "{bad}");
        }
        assert_eq!(check_target(Path::new("/a/./b/../c")).unwrap(), Path::new("/a/c"));
        assert!(check_target(Path::new("/dev/shm")).is_ok());
    }
}
