//! What containers and volumes take of the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sandbar_image::bytes_on_disk;

use crate::engine::Engine;
use crate::error::Error;
use crate::find::directories;

/// What is taken of the disk beside images, in bytes of whole blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskUsage {
    /// What containers have written, and their logs.
    pub containers: Vec<ContainerUsage>,
    /// Named volumes.
    pub volumes: Vec<VolumeUsage>,
}

/// What one container takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerUsage {
    /// Its id.
    pub id: String,
    /// Its name; none for what was left of a container that is gone.
    pub name: Option<String>,
    /// Its image, as it was called.
    pub image: Option<String>,
    /// Whether it runs, or will again by itself.
    pub active: bool,
    /// Bytes.
    pub bytes: u64,
}

/// What one named volume takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeUsage {
    /// Its name.
    pub name: String,
    /// How many containers it is mounted in, or will be when they start.
    pub users: usize,
    /// Bytes.
    pub bytes: u64,
}

impl Engine {
    /// Measures what containers wrote, and volumes, by looking at every file.
    ///
    /// # Errors
    /// What reading the directories gives.
    pub fn disk_usage(&self) -> Result<DiskUsage, Error> {
        let mut users: BTreeMap<PathBuf, usize> = BTreeMap::new();
        let mut known = BTreeMap::new();
        for container in self.containers()? {
            // One that is gone by now uses nothing.
            let mounts = container.spec().ok().and_then(|spec| spec.mounts().clone());
            for mount in mounts.unwrap_or_default() {
                if let Some(source) = mount.source() {
                    *users.entry(source.clone()).or_default() += 1;
                }
            }
            known.insert(container.config.id.to_string(), container);
        }
        let storage = self.roots.storage();
        let containers = directories(&storage).into_iter().map(|id| {
            let container = known.get(&id);
            Ok(ContainerUsage {
                name: container.map(|it| it.config.name.to_string()),
                image: container.map(|it| it.config.image.clone()),
                active: container.is_some_and(crate::Container::is_active),
                bytes: bytes_on_disk(&storage.join(&id))?,
                id,
            })
        });
        let containers = containers.collect::<Result<Vec<_>, Error>>()?;
        let volumes = self.roots.volumes();
        let volumes = directories(&volumes).into_iter().map(|name| {
            let path = volumes.join(&name);
            let bytes = bytes_on_disk(&path)?;
            Ok(VolumeUsage { users: users.get(&path).copied().unwrap_or(0), bytes, name })
        });
        Ok(DiskUsage { containers, volumes: volumes.collect::<Result<Vec<_>, Error>>()? })
    }
}
