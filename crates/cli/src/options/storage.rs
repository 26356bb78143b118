//! What a container sees at its paths.

use sandbar_engine::{ContainerOptions, Volume, VolumeSource};

use super::Surroundings;
use crate::failure::{Failure, Result};
use crate::values::{Tmpfs, VolumeArgument, VolumeFrom};

/// Volumes.
#[derive(Debug, clap::Args)]
pub(crate) struct Storage {
    /// Mount a path of the host, or a named volume
    #[arg(short, long, value_name = "SOURCE:PATH[:ro]")]
    volume: Vec<VolumeArgument>,
    /// Mount memory
    #[arg(long, value_name = "PATH[:OPTIONS]")]
    tmpfs: Vec<Tmpfs>,
    /// Make the root filesystem read-only
    #[arg(long)]
    read_only: bool,
}

impl Storage {
    /// Into the engine's options.
    pub(crate) fn resolve(
        self,
        options: &mut ContainerOptions,
        around: &Surroundings,
    ) -> Result<()> {
        for volume in self.volume {
            if volume.relabel && (around.has_selinux)() {
                let message = "the volume options z and Z are not supported where SELinux is on";
                return Err(
                    Failure::new(message).hint("label the files with chcon, and leave z out")
                );
            }
            let source = match volume.source {
                VolumeFrom::Path(path) => VolumeSource::Path(around.absolute(&path)?),
                VolumeFrom::Named(name) => VolumeSource::Named(name),
            };
            let VolumeArgument { target, read_only, .. } = volume;
            options.volumes.push(Volume { source, target, read_only });
        }
        options.volumes.extend(self.tmpfs.into_iter().map(|tmpfs| Volume {
            source: VolumeSource::Tmpfs(tmpfs.options),
            target: tmpfs.target,
            read_only: tmpfs.read_only,
        }));
        options.read_only = self.read_only;
        for (index, volume) in options.volumes.iter().enumerate() {
            if options.volumes.iter().take(index).any(|other| other.target == volume.target) {
                let target = volume.target.display();
                return Err(Failure::new(format!("two volumes are to be mounted at '{target}'")));
            }
        }
        Ok(())
    }
}
