//! One cgroup, in all the hierarchies in use.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::error::Cause;
use crate::{CgroupPath, Controller, Hierarchy, Result};

/// A cgroup, which may exist or not. Made by [`Hierarchy::create`] and [`Hierarchy::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    hierarchy: Hierarchy,
    path: CgroupPath,
}

impl Cgroup {
    pub(crate) fn new(hierarchy: Hierarchy, path: CgroupPath) -> Self {
        Self { hierarchy, path }
    }

    /// Its path below the mount points.
    #[must_use]
    pub fn path(&self) -> &CgroupPath {
        &self.path
    }

    /// The hierarchies it is in.
    #[must_use]
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// Whether it exists, in the hierarchy that is asked for processes.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.must_exist().is_ok()
    }

    /// Its directory in the hierarchy of `controller`, if that is mounted; for version 2, the one
    /// directory it has. Whether the directory exists is not looked at.
    #[must_use]
    pub fn dir(&self, controller: Controller) -> Option<PathBuf> {
        self.hierarchy.of(controller).map(|mount| mount.dir(&self.path))
    }

    pub(crate) fn file(&self, controller: Controller, name: impl AsRef<Path>) -> Option<PathBuf> {
        self.dir(controller).map(|dir| dir.join(name))
    }

    /// The directory that is asked for processes, and where they are stopped and ended.
    pub(crate) fn main_dir(&self) -> PathBuf {
        self.hierarchy.first().dir(&self.path)
    }

    pub(crate) fn must_exist(&self) -> Result<()> {
        let path = self.main_dir();
        access(&path, Access::EXISTS).map_err(|source| Cause::NotFound { path, source }.into())
    }
}
