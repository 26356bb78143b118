//! `cargo xtask test`: all that has to hold before a change is taken, in one order, until the first failure.
//!
//! One profile and one set of features throughout, so that nothing is compiled twice without need: every selection
//! of packages is the whole workspace, and every one but clippy's and the documentation's includes the tests'.

mod cgroup2;
mod deny;
mod step;
mod summary;
mod tally;

use std::process::{Command, ExitCode};

use anyhow::Result;
use lexopt::{Arg, Parser};
use rustix::process::geteuid;

use crate::apt::{self, Package};
use crate::build::{cargo, workspace};
use crate::{pause_image, shell};
use step::{Outcome, Step};
use summary::Summary;

/// What real-kernel tests run.
const PACKAGES: [Package<'_>; 19] = [
    Package::BUSYBOX,
    Package::NGINX,
    Package::NFTABLES,
    Package::IPROUTE,
    Package::PROCPS,
    Package::UTIL_LINUX,
    Package::PODMAN,
    Package::NETAVARK,
    Package::CATATONIT,
    Package::CONTAINERD,
    Package::CURL,
    Package::DOCKER,
    Package::CNI,
    Package::IPTABLES,
    Package::REGISTRY,
    Package::SKOPEO,
    Package::STRACE,
    Package::UMOCI,
    Package::ZSTD,
];

/// How it was asked for.
#[derive(Debug)]
pub(crate) enum Options {
    /// All.
    Full,
    /// What tells most in least time, and neither needs root nor installs anything but Rust's own tools.
    Fast,
    /// Those that depend on cgroups, in a guest with cgroup v2.
    Cgroup2,
}

impl Options {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self> {
        let mut options = Self::Full;
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("fast") => options = Self::Fast,
                Arg::Long("cgroup2") => options = Self::Cgroup2,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

/// Runs the steps, and sums up.
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    rust_tools()?;
    let steps = match options {
        Options::Full => {
            apt::install(&PACKAGES)?;
            all()
        }
        Options::Fast => vec![format(), clippy(), unit()],
        Options::Cgroup2 => vec![build(), cgroup2()],
    };
    let mut summary = Summary::default();
    for step in steps {
        shell::heading(step.name);
        let name = step.name;
        let (outcome, tally, took) = step.run();
        let failed = matches!(outcome, Outcome::Failed(_));
        summary.add(name, outcome, tally, took);
        if failed {
            break;
        }
    }
    print!("{summary}");
    if !geteuid().is_root() {
        println!("note: not as root, real-kernel tests show little");
    }
    Ok(if summary.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Every step, the quick ones first.
fn all() -> Vec<Step> {
    vec![
        format(),
        clippy(),
        Step::new("dependencies", deny::policy),
        Step::new("advisories", deny::advisories),
        documentation(),
        build(),
        unit(),
        Step::tests("documentation tests", &["--doc"]),
        Step::new("pause image", pause_image),
        Step::tests("real-kernel tests", &["--test", "*"]),
        cgroup2(),
    ]
}

fn format() -> Step {
    Step::cargo("format", &["fmt", "--all", "--check"])
}

fn clippy() -> Step {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    Step::cargo("clippy", &arguments)
}

fn documentation() -> Step {
    // Given like this the flag is added to those of .cargo/config.toml; RUSTDOCFLAGS would replace them.
    let deny = r#"build.rustdocflags=["--deny","warnings"]"#;
    Step::cargo("documentation", &["doc", "--workspace", "--no-deps", "--config", deny])
}

fn build() -> Step {
    Step::cargo("build", &["build", "--workspace", "--bins", "--tests"])
}

fn unit() -> Step {
    // By name, as `--bins` would also build a test harness for pause, which can't have one.
    Step::tests("unit tests", &["--lib", "--bin", "xtask", "--bin", "blog"])
}

/// Debian's compiler for all architectures is not everywhere to be had.
fn pause_image() -> Outcome {
    match pause_image::Toolchain::obtain() {
        Ok(toolchain) => pause_image::check(&toolchain).into(),
        Err(missing) => Outcome::Skipped(format!("{missing:#}")),
    }
}

fn cgroup2() -> Step {
    Step::counted("cgroup v2 tests", cgroup2::run)
}

/// Rust's formatter and linter, which the least installation of Rust comes without.
fn rust_tools() -> Result<()> {
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !shell::succeeds(cargo().args([tool, "--version"])) {
            let mut rustup = Command::new("rustup");
            rustup.current_dir(workspace());
            shell::show_and_run(rustup.args(["component", "add", component]))?;
        }
    }
    Ok(())
}
