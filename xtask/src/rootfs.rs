//! Root filesystems, made offline of programs that this machine has.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{apt, shell};

/// A root filesystem in the making.
#[derive(Debug)]
pub(crate) struct Rootfs {
    directory: TempDir,
}

impl Rootfs {
    /// One with the folders and the accounts that programs expect.
    pub(crate) fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("rootfs-").tempdir()?;
        let rootfs = Self { directory };
        fs::set_permissions(rootfs.path(), fs::Permissions::from_mode(0o755))?;
        for folder in ["bin", "dev", "etc", "proc", "root", "run", "sys", "usr/sbin", "var"] {
            rootfs.folder(folder, 0o755)?;
        }
        rootfs.folder("tmp", 0o1777)?;
        rootfs.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")?;
        rootfs.file("etc/group", "root:x:0:\n")?;
        Ok(rootfs)
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Adds a folder with its parents.
    pub(crate) fn folder(&self, name: &str, mode: u32) -> Result<()> {
        let path = self.path().join(name);
        fs::create_dir_all(&path)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(mode)))
            .with_context(|| format!("can't create {}", path.display()))
    }

    fn file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path().join(name);
        fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))
    }

    /// Adds a program at `name`.
    pub(crate) fn program(&self, from: &Path, name: &str) -> Result<()> {
        let to = self.path().join(name);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("can't create {}", parent.display()))?;
        }
        fs::copy(from, &to)
            .and_then(|_| fs::set_permissions(&to, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("can't copy {} to {}", from.display(), to.display()))
    }

    /// Adds the machine's busybox and a name for each program in it.
    pub(crate) fn busybox(&self) -> Result<()> {
        let busybox = apt::program("busybox").context("there is no busybox")?;
        self.program(&busybox, "bin/busybox")?;
        for name in shell::output(Command::new(&busybox).arg("--list"))?.lines() {
            let path = self.path().join("bin").join(name);
            if name != "busybox" {
                symlink("busybox", &path)
                    .with_context(|| format!("can't create {}", path.display()))?;
            }
        }
        Ok(())
    }

    /// Adds the machine's nginx, and the libraries that it is linked with.
    pub(crate) fn nginx(&self) -> Result<()> {
        let nginx = apt::program("nginx").context("there is no nginx")?;
        self.program(&nginx, "usr/sbin/nginx")?;
        for library in libraries(&shell::output(Command::new("ldd").arg(&nginx))?) {
            let name = library.strip_prefix("/").unwrap_or(&library);
            self.program(&library, &name.to_string_lossy())?;
        }
        for folder in ["etc/nginx", "var/lib/nginx", "var/log/nginx"] {
            self.folder(folder, 0o755)?;
        }
        Ok(())
    }

    /// Writes it as an archive.
    pub(crate) fn archive(&self, to: &Path) -> Result<()> {
        let mut tar = Command::new("tar");
        tar.args(["--create", "--sort=name", "--numeric-owner", "--owner=0", "--group=0"]);
        shell::run(tar.arg("--file").arg(to).arg("--directory").arg(self.path()).arg("."))
    }
}

/// The files that `ldd` tells of: `name => /path (address)` or `/path (address)`.
fn libraries(told: &str) -> Vec<PathBuf> {
    told.lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_with_a_path() {
        let told = "\tlinux-vdso.so.1 (0x7ffd)\n\tlibz.so.1 => /lib/x/libz.so.1 (0x7f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x7f)\n";
        let found = libraries(told);
        assert_eq!(found, ["/lib/x/libz.so.1", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from));
        assert!(libraries("\tnot a dynamic executable\n").is_empty());
    }

    #[test]
    fn an_archive_begins_at_the_root() {
        let rootfs = Rootfs::new().unwrap();
        let to = tempfile::NamedTempFile::new().unwrap();
        rootfs.archive(to.path()).unwrap();
        let list = shell::output(Command::new("tar").arg("-tf").arg(to.path())).unwrap();
        assert!(list.starts_with("./\n") && list.contains("./etc/passwd\n"), "{list}");
    }
}
