//! Overlays, mounted nowhere ([overlayfs](https://docs.kernel.org/filesystems/overlayfs.html)).

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, OpenTreeFlags, UnmountFlags,
};

use crate::failure::{During, Failure};

/// Directories over each other.
#[derive(Debug, Clone, Copy)]
pub struct Overlay<'a> {
    /// The read-only directories, the top one first. Without an upper one there must be two.
    pub lower: &'a [PathBuf],
    /// What is written, and overlayfs's work directory on the same file system.
    pub upper: Option<(&'a Path, &'a Path)>,
    /// Whether what is written need not survive a power loss, and so nothing waits for the disk.
    pub volatile: bool,
}

impl Overlay<'_> {
    /// A detached mount of it. `lowerdir+` (Linux 6.8) takes any number of layers; a kernel before it refuses the
    /// option, some only when the file system is made, and gets all layers in one page of options. Then it is mounted
    /// at `place`, a directory, for a moment.
    ///
    /// # Errors
    /// As fsopen(2), fsconfig(2) and mount(2).
    pub fn detached(&self, place: &Path) -> Result<OwnedFd, Failure> {
        match self.of_layers() {
            Err(failure) if failure.errno() == Errno::INVAL => self.in_one_page(place),
            made => made,
        }
    }

    fn of_layers(&self) -> Result<OwnedFd, Failure> {
        let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)
            .during("fsopen", || "overlay".into())?;
        let set = |key: &str, path: &Path| {
            rustix::mount::fsconfig_set_string(&context, key, path)
                .during("fsconfig", || format!("overlay {key}={}", path.display()))
        };
        set("source", Path::new("overlay"))?;
        for layer in self.lower {
            set("lowerdir+", layer)?;
        }
        if let Some((upper, work)) = self.upper {
            set("upperdir", upper)?;
            set("workdir", work)?;
        }
        if self.volatile {
            rustix::mount::fsconfig_set_flag(&context, "volatile")
                .during("fsconfig", || "overlay volatile".into())?;
        }
        rustix::mount::fsconfig_create(&context)
            .during("fsconfig", || format!("overlay above {:?}", self.lower))?;
        rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
            .during("fsmount", || "overlay".into())
    }

    /// The same through `mount(2)`, then taken off its place again, detached.
    fn in_one_page(&self, place: &Path) -> Result<OwnedFd, Failure> {
        let escape = |path: &Path| {
            path.display().to_string().replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,")
        };
        let layers: Vec<String> = self.lower.iter().map(|path| escape(path)).collect();
        let mut data = format!("lowerdir={}", layers.join(":"));
        if let Some((upper, work)) = self.upper {
            data.push_str(&format!(",upperdir={},workdir={}", escape(upper), escape(work)));
        }
        if self.volatile {
            data.push_str(",volatile");
        }
        let data = std::ffi::CString::new(data)
            .map_err(|_nul| Failure::new("mount", "overlay".into(), Errno::INVAL))?;
        rustix::mount::mount("overlay", place, "overlay", MountFlags::empty(), data.as_c_str())
            .during("mount", || data.to_string_lossy().into_owned())?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let detached = rustix::mount::open_tree(CWD.as_fd(), place, flags)
            .during("open_tree", || place.display().to_string());
        rustix::mount::unmount(place, UnmountFlags::DETACH)
            .during("umount", || place.display().to_string())?;
        detached
    }
}
