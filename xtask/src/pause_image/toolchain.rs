//! A compiler for every architecture: Debian's, unpacked below `target/` and not installed, as it can't be beside
//! rustup's. Its core library is compiled from its own source, for Debian builds it for some architectures only.
//!
//! No program has code of that library that isn't inlined, so its metadata is enough.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::architecture::{ALL, Architecture};
use super::flags::{COMPILE, LAYOUT, LINK};
use crate::apt::{self, Package};
use crate::build::workspace;
use crate::shell;

const COMPILER: &str = "rustc-web";
const SOURCE: &str = "rust-web-src";
const QEMU: &str = "qemu-user-static";

/// What the compiler wants beside core, which has to be there and may be empty: its functions stand in for
/// instructions that no program here needs, or it would not be linked.
const BUILTINS: &str = "#![no_std] #![feature(compiler_builtins)] #![compiler_builtins]";

/// A compiler, a linker, and machines to try what they make.
#[derive(Debug)]
pub(crate) struct Toolchain {
    directory: PathBuf,
    linker: PathBuf,
    /// Held for as long as the directory is used.
    _lock: File,
}

impl Toolchain {
    /// The one that was unpacked before, or else Debian's, fetched. Without its directory it is fetched anew. An
    /// error says what of it is not to be had.
    pub(crate) fn obtain() -> Result<Self> {
        let room = workspace().join("target/pause-image");
        let shown = room.display();
        fs::create_dir_all(&room).with_context(|| format!("can't create {shown}"))?;
        let lock =
            File::create(room.join("lock")).with_context(|| format!("can't lock {shown}"))?;
        lock.lock().with_context(|| format!("can't lock {shown}"))?;
        let version = compiler_version()?;
        let library = format!("libstd-rust-web-{version}");
        let llvm = apt::dependencies(&library)?
            .iter()
            .find_map(|name| name.strip_prefix("libllvm").map(str::to_owned))
            .with_context(|| format!("{library} depends on no libllvm"))?;
        // It brings the compiler's own libraries with it.
        let (name, program) = (format!("lld-{llvm}"), format!("ld.lld-{llvm}"));
        apt::install(&[Package { name: &name, program: &program }, Package::UTIL_LINUX])?;
        let linker = apt::program(&program).with_context(|| format!("there is no {program}"))?;
        let directory = room.join(format!("toolchain-{version}"));
        if !directory.is_dir() {
            let new = room.join("new");
            if new.exists() {
                fs::remove_dir_all(&new).with_context(|| format!("can't empty {shown}"))?;
            }
            fetch(&library, &new)?;
            fs::rename(new.join("files"), &directory)
                .and_then(|()| fs::remove_dir_all(&new))
                .with_context(|| format!("can't write into {shown}"))?;
        }
        Ok(Self { directory, linker, _lock: lock })
    }

    /// The program that is an architecture's machine.
    pub(crate) fn machine(&self, architecture: &Architecture) -> PathBuf {
        self.directory.join(format!("usr/bin/qemu-{}-static", architecture.qemu))
    }

    /// A place for files that are of no use later.
    pub(crate) fn scratch(&self) -> Result<tempfile::TempDir> {
        let scratch = tempfile::Builder::new().prefix("scratch-").tempdir_in(&self.directory);
        scratch.with_context(|| format!("can't write into {}", self.directory.display()))
    }

    /// Compiles and links pause.
    pub(crate) fn build(&self, architecture: &Architecture) -> Result<Vec<u8>> {
        self.core(architecture)?;
        let scratch = self.scratch()?;
        let (object, program) = (scratch.path().join("pause.o"), scratch.path().join("pause"));
        let crate_ = workspace().join("crates/pause");
        let mut compile = self.compiler(architecture)?;
        compile.arg("--sysroot").arg(self.directory.join("sysroot")).args(COMPILE);
        compile.args(["--emit=obj", "-o"]).arg(&object).arg(crate_.join("src/main.rs"));
        shell::show_and_run(compile.env("CARGO_PKG_VERSION", env!("CARGO_PKG_VERSION")))?;
        let mut link = Command::new(&self.linker);
        link.args(LINK).args(["--strip-all", "-T"]).arg(crate_.join(LAYOUT));
        shell::show_and_run(link.arg("-o").arg(&program).arg(&object))?;
        fs::read(&program).with_context(|| format!("can't read {}", program.display()))
    }

    /// Compiles the core library of an architecture, if that was not done before.
    fn core(&self, architecture: &Architecture) -> Result<()> {
        let libraries = self.directory.join("sysroot/lib/rustlib").join(architecture.target);
        if libraries.is_dir() {
            return Ok(());
        }
        let whole = self.directory.join("new/lib/rustlib").join(architecture.target);
        let new = whole.join("lib");
        fs::create_dir_all(&new).with_context(|| format!("can't create {}", new.display()))?;
        let builtins = new.join("builtins.rs");
        fs::write(&builtins, BUILTINS)
            .with_context(|| format!("can't write {}", builtins.display()))?;
        let core = self.only("usr/src")?.join("library/core/src/lib.rs");
        for (name, source) in [("core", &core), ("compiler_builtins", &builtins)] {
            let mut compile = self.compiler(architecture)?;
            // The library is written for this compiler alone, and uses what others may not yet.
            compile.env("RUSTC_BOOTSTRAP", "1").args(["--edition=2024", "-Cpanic=abort"]);
            compile.args(["--crate-type=rlib", "--crate-name", name, "--cap-lints=allow"]);
            compile.args(["--emit=metadata", "-Zalways-encode-mir", "--out-dir"]).arg(&new);
            compile.arg("--sysroot").arg(self.directory.join("new")).arg(source);
            shell::show_and_run(&mut compile)?;
        }
        let parent = self.directory.join("sysroot/lib/rustlib");
        fs::create_dir_all(&parent)
            .and_then(|()| fs::rename(&whole, &libraries))
            .with_context(|| format!("can't write into {}", parent.display()))
    }

    /// The compiler, for an architecture.
    fn compiler(&self, architecture: &Architecture) -> Result<Command> {
        let mut command = Command::new(self.directory.join("usr/bin/rustc"));
        command.env("LD_LIBRARY_PATH", self.only("usr/lib")?);
        command.args(["--target", architecture.target]);
        Ok(command)
    }

    /// The only directory in a directory, whose name has a version or an architecture in it.
    fn only(&self, name: &str) -> Result<PathBuf> {
        let directory = self.directory.join(name);
        let mut entries = fs::read_dir(&directory)
            .with_context(|| format!("can't read {}", directory.display()))?;
        let entry = entries.next().with_context(|| format!("{} is empty", directory.display()))?;
        Ok(entry?.path())
    }
}

/// The version of Debian's compiler, `1.96`, if it is one that this project can be built with.
fn compiler_version() -> Result<String> {
    let told =
        shell::output(Command::new("apt-cache").args(["show", "--no-all-versions", COMPILER]))
            .with_context(|| format!("no package {COMPILER} is to be had"))?;
    let whole = told.lines().find_map(|line| line.strip_prefix("Version: "));
    let whole = whole.with_context(|| format!("apt tells no version of {COMPILER}"))?;
    let (version, least) = (release(whole), release(env!("CARGO_PKG_RUST_VERSION")));
    match (version, least) {
        (Some(version), Some(least)) if version >= least => {
            Ok(format!("{}.{}", version.0, version.1))
        }
        _ => {
            bail!("{COMPILER} {whole} is too old: {} it has to be", env!("CARGO_PKG_RUST_VERSION"))
        }
    }
}

/// The first two numbers of a version.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(['.', '+', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Fetches the packages, and unpacks what is wanted of each into `files`.
fn fetch(library: &str, new: &Path) -> Result<()> {
    let machines: Vec<_> =
        ALL.iter().map(|it| format!("./usr/bin/qemu-{}-static", it.qemu)).collect();
    let machines: Vec<_> = machines.iter().map(String::as_str).collect();
    let source = ["*/library/core/*", "*/library/stdarch/crates/*", "*/library/portable-simd/*"];
    let packages: [(&str, &[&str]); 4] = [
        (COMPILER, &["./usr/bin/rustc"]),
        (library, &["*/librustc_driver-*"]),
        (SOURCE, &source),
        (QEMU, &machines),
    ];
    for (package, wanted) in packages {
        let room = new.join(package);
        fs::create_dir_all(&room).with_context(|| format!("can't create {}", room.display()))?;
        apt::unpack(&apt::download(package, &room)?, &new.join("files"), wanted)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_the_first_two_numbers_of_a_version() {
        assert_eq!(release("1.96.0+dfsg1-1~deb12u2"), Some((1, 96)));
        assert_eq!(release("1.95"), Some((1, 95)));
        assert_eq!(release("1"), None);
        assert!(release("1.100.0") > release("1.95"));
    }
}
