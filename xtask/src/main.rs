//! The project's chores, as `cargo xtask CHORE`: one a file.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to whoever runs it")]

mod apt;
mod bench;
mod build;
mod demo;
mod guest;
mod node;
mod pause_image;
mod rootfs;
mod shell;
mod test;
mod tree;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail};
use lexopt::{Arg, Parser, ValueExt};

const HELP: &str = "\
The project's chores.

Usage: cargo xtask CHORE

  test [--fast | --cgroup2]
                        run every test, installing with apt what they need;
                        --fast: format, clippy and unit tests alone,
                        --cgroup2: tests in a guest with cgroup v2 alone
  demo [--keep] [--root DIR]
                        run the classic pod and fetch a page through it;
                        --keep: leave it running, --root: keep its images there
  bench [--network|--images|--runtime] [--runs N] [--json FILE] [--no-podman]
                        measure against the targets, beside Podman: pods,
                        the network, images, or the OCI runtime (beside crun);
                        50 runs and target/bench.json unless told otherwise
  pause-image [--output DIR]
                        as root: build pause for six architectures, run each,
                        and write an image of all, target/pause-image/image
                        unless told otherwise
  node [--] COMMAND...  run a command where network, mounts and Sandbar's
                        directories are its own";

fn main() -> ExitCode {
    match run(Parser::from_env()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut parser: Parser) -> Result<ExitCode> {
    match parser.next()? {
        Some(Arg::Value(chore)) => match chore.string()?.as_str() {
            "test" => test::main(&test::Options::parse(parser)?),
            "demo" => demo::main(&demo::Options::parse(parser)?),
            "bench" => bench::main(&bench::Options::parse(parser)?),
            "pause-image" => pause_image::main(&pause_image::Options::parse(parser)?),
            "node" => node::main(&words(&mut parser)?),
            chore => bail!("there is no chore '{chore}'\n\n{HELP}"),
        },
        Some(Arg::Short('h') | Arg::Long("help")) => {
            println!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        Some(option) => Err(option.unexpected().into()),
        None => bail!("which chore?\n\n{HELP}"),
    }
}

/// All that is left, as it stands, without a first `--`.
fn words(parser: &mut Parser) -> Result<Vec<OsString>> {
    let mut words: Vec<OsString> = parser.raw_args()?.collect();
    if words.first().is_some_and(|word| word == "--") {
        words.remove(0);
    }
    Ok(words)
}
