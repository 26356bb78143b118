//! The guest's kernel: Debian's, unpacked below `target/` and not installed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build::workspace;
use crate::{apt, shell};

/// Debian's name for its newest kernel, a package that depends on the real one's.
const NEWEST: &str = "linux-image-amd64";

/// What of the package a guest has a use for: the image, and modules that need no hardware.
const WANTED: [&str; 9] = [
    "./boot/vmlinuz-*",
    "*/modules.*",
    "*/kernel/net/*",
    "*/kernel/fs/*",
    "*/kernel/lib/*",
    "*/kernel/crypto/*",
    "*/kernel/drivers/virtio/*",
    "*/kernel/drivers/char/virtio_console.ko*",
    "*/kernel/drivers/net/veth.ko*",
];

/// A kernel with its modules.
#[derive(Debug)]
pub(crate) struct Kernel {
    room: PathBuf,
    directory: PathBuf,
    version: String,
    /// Held for as long as the room is used.
    _lock: File,
}

impl Kernel {
    /// The one that was unpacked before, or else Debian's newest, fetched. Without its directory it is fetched anew.
    pub(crate) fn obtain() -> Result<Self> {
        let room = workspace().join("target/guest");
        let shown = room.display();
        fs::create_dir_all(&room).with_context(|| format!("can't create {shown}"))?;
        let lock =
            File::create(room.join("lock")).with_context(|| format!("can't lock {shown}"))?;
        lock.lock().with_context(|| format!("can't lock {shown}"))?;
        let directory = room.join("kernel");
        if !directory.is_dir() {
            let new = room.join("new");
            if new.exists() {
                fs::remove_dir_all(&new).with_context(|| format!("can't empty {shown}"))?;
            }
            fs::create_dir(&new).with_context(|| format!("can't write into {shown}"))?;
            unpack(&fetch(&new)?, &new.join("kernel"))?;
            fs::rename(new.join("kernel"), &directory)
                .and_then(|()| fs::remove_dir_all(&new))
                .with_context(|| format!("can't write into {shown}"))?;
        }
        let version = version(&directory)?;
        Ok(Self { room, directory, version, _lock: lock })
    }

    /// Where a machine with this kernel has its files. There is one machine at a time.
    pub(crate) fn room(&self) -> &Path {
        &self.room
    }

    /// The file that a machine starts.
    pub(crate) fn image(&self) -> PathBuf {
        self.directory.join("boot").join(format!("vmlinuz-{}", self.version))
    }

    /// The contents of modules and of all that they need, in the order in which they can be loaded.
    pub(crate) fn modules(&self, names: &[&str]) -> Result<Vec<Vec<u8>>> {
        let mut files: Vec<PathBuf> = Vec::new();
        for name in names {
            let mut modprobe = Command::new("modprobe");
            modprobe.arg("--dirname").arg(&self.directory);
            modprobe.args(["--set-version", &self.version, "--show-depends", name]);
            let told = shell::output(&mut modprobe)?;
            // Others are `builtin NAME`.
            for file in told.lines().filter_map(|line| line.strip_prefix("insmod ")) {
                let file = PathBuf::from(file.trim());
                if !files.contains(&file) {
                    files.push(file);
                }
            }
        }
        files.iter().map(|file| module(file)).collect()
    }

    /// A line for a shell in the guest: it shows the modules where the kernel's modprobe looks for them.
    pub(crate) fn offer(&self) -> String {
        let from = self.directory.join("lib/modules").join(&self.version);
        let from = shell::quote(from.as_os_str());
        format!("mkdir -p /lib/modules && ln -sfn {from} /lib/modules/{}\n", self.version)
    }
}

/// Fetches the newest kernel's package into a directory.
fn fetch(directory: &Path) -> Result<PathBuf> {
    let real = apt::dependencies(NEWEST)?.into_iter().next();
    let real = real.with_context(|| format!("apt knows no package {NEWEST}"))?;
    apt::download(&real, directory)
}

/// Unpacks what is wanted of a package, with a list of what each module needs.
fn unpack(package: &Path, to: &Path) -> Result<()> {
    apt::unpack(package, to, &WANTED)?;
    if !to.join("lib").is_dir() {
        // Where later versions of Debian have it.
        fs::rename(to.join("usr/lib"), to.join("lib")).context("the package has no modules")?;
    }
    shell::run(Command::new("depmod").arg("--basedir").arg(to).arg(version(to)?))
}

/// The version of an unpacked kernel: the name of the only directory of modules.
fn version(directory: &Path) -> Result<String> {
    let modules = directory.join("lib/modules");
    let mut entries =
        fs::read_dir(&modules).with_context(|| format!("can't read {}", modules.display()))?;
    let entry = entries.next().with_context(|| format!("{} is empty", modules.display()))??;
    Ok(entry.file_name().to_string_lossy().into_owned())
}

/// A module, as the kernel takes it.
fn module(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_none_or(|it| it != "xz") {
        return fs::read(file).with_context(|| format!("can't read {}", file.display()));
    }
    let output = Command::new("xz").args(["--decompress", "--stdout"]).arg(file).output()?;
    if !output.status.success() {
        bail!("{} can't be decompressed", file.display());
    }
    Ok(output.stdout)
}
