//! `cargo xtask pause-image`: pause for every architecture of Kubernetes' pause image, as one image that takes its
//! place. Each program is run before it is taken, and all is made twice: the bytes have to be the same.

mod architecture;
#[path = "../../crates/pause/flags.rs"]
mod flags;
mod layout;
mod toolchain;
mod trial;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser};
use rustix::process::geteuid;

use crate::build::workspace;
use crate::shell;
use architecture::{ALL, Architecture};
use layout::Layout;
pub(crate) use toolchain::Toolchain;

/// How it was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    /// Where the image is written, as an OCI image layout.
    output: PathBuf,
}

impl Options {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self> {
        let mut output = default_output();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("output") => output = parser.value()?.into(),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(Self { output })
    }
}

fn default_output() -> PathBuf {
    workspace().join("target/pause-image/image")
}

/// Makes the image, and says what is in it.
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    make(&Toolchain::obtain()?, &options.output)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the image where it is made unless told otherwise, with a toolchain that is there.
pub(crate) fn check(toolchain: &Toolchain) -> Result<()> {
    make(toolchain, &default_output())
}

fn make(toolchain: &Toolchain, output: &Path) -> Result<()> {
    if !geteuid().is_root() {
        bail!("each pause is tried as process 1, in a PID namespace: that needs root");
    }
    let first = build(toolchain)?;
    for (architecture, program) in &first {
        trial::run(toolchain, architecture, program)
            .with_context(|| format!("pause does not do its work on {}", architecture.shown()))?;
        println!("{:8} {:5} bytes, ran", architecture.shown(), program.len());
    }
    let layout = Layout::of(&first)?;
    if layout != Layout::of(&build(toolchain)?)? {
        bail!("a second build has other bytes than the first");
    }
    write_programs(&first)?;
    layout.write(output)?;
    println!("{} {}", layout.index(), output.display());
    Ok(())
}

/// Leaves the programs where they are named for `crates/pause/Dockerfile`.
fn write_programs(programs: &[(Architecture, Vec<u8>)]) -> Result<()> {
    let directory = workspace().join("target/pause-image/programs");
    fs::create_dir_all(&directory)
        .with_context(|| format!("can't create {}", directory.display()))?;
    for (architecture, program) in programs {
        let file = directory.join(format!("pause-{}", architecture.name));
        fs::write(&file, program)
            .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("can't write {}", file.display()))?;
    }
    Ok(())
}

/// Every program there is to be, each in the size that it may have.
fn build(toolchain: &Toolchain) -> Result<Vec<(Architecture, Vec<u8>)>> {
    let mut programs = Vec::new();
    for architecture in ALL {
        shell::heading(&format!("pause for {}", architecture.shown()));
        let program = toolchain.build(&architecture)?;
        if program.len() as u64 > flags::LIMIT {
            bail!("pause has {} bytes, and is to fit in {}", program.len(), flags::LIMIT);
        }
        programs.push((architecture, program));
    }
    Ok(programs)
}
