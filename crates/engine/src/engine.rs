//! The engine itself: two roots.

use sandbar_image::Store;

use crate::cni::CniDirectories;
use crate::error::{Error, Kind};
use crate::roots::Roots;
use crate::{directories, pause_image, sweep};

/// Pods and containers below a pair of roots.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) roots: Roots,
    pub(crate) cni: Option<CniDirectories>,
}

impl Engine {
    /// The engine over `roots`; nothing is read or made yet.
    ///
    /// # Errors
    /// [`Kind::Denied`] for a caller that is not root.
    pub fn open(roots: Roots) -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            let message = "only root can run pods: rootless pods are not supported yet";
            return Err(Error::new(Kind::Denied, message));
        }
        Ok(Self { roots, cni: None })
    }

    /// The roots.
    #[must_use]
    pub const fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The image store, the built-in image `localhost/pause` in it.
    ///
    /// # Errors
    /// What the store's directory gives.
    pub fn images(&self) -> Result<Store, Error> {
        let store = self.images_as_they_are()?;
        pause_image::ensure(&store)?;
        Ok(store)
    }

    /// The store of images, whether or not the built-in one is in it, or can be: for whoever mends it.
    ///
    /// # Errors
    /// What the store's directory gives.
    pub fn images_as_they_are(&self) -> Result<Store, Error> {
        directories::ensure(&self.roots.images())?;
        Ok(Store::open(&self.roots.images())?)
    }

    /// Makes what every pod needs, and after a reboot clears what pods of before have left.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        if self.roots.pods().is_dir() {
            return Ok(());
        }
        directories::ensure(&self.roots.root)?;
        // Who comes second waits for the first: the directory is there only when the sweep is over.
        let lock = directories::lock(&self.roots.root.join("lock"))?;
        if !self.roots.pods().is_dir() {
            if sweep::after_reboot(&self.roots)? {
                self.sweep_cni();
            }
            directories::ensure(&self.roots.pods())?;
        }
        drop(lock);
        Ok(())
    }
}
