//! `cargo xtask demo`: the classic pod, on real programs. It builds what it runs, shows each command as one would type
//! it, and removes the pod and its images unless told not to.

mod cleanup;
mod images;
mod page;
mod sandbar;

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser, ValueExt};
use rustix::process::geteuid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::apt::{self, Package};
use crate::{build, shell, tree};
use cleanup::Cleanup;
use sandbar::Sandbar;

/// Where the page is published.
const PORT: u16 = 8080;

/// How long the programs in the pod may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is for the next pod, as `sandbar info` shows: see README.md.
const LEFT: &str = "the bridge sandbar0, the nftables table inet sandbar, and forwarding";

/// How it was asked for.
#[derive(Debug, Default)]
pub(crate) struct Options {
    keep: bool,
    root: Option<PathBuf>,
}

impl Options {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self> {
        let mut options = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("keep") => options.keep = true,
                Arg::Long("root") => {
                    let root = PathBuf::from(parser.value()?.string()?);
                    options.root = Some(std::path::absolute(root)?);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

/// Shows the pod, and cleans up however that goes.
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    if !geteuid().is_root() {
        bail!("pods are made by root: run this with sudo, or as root");
    }
    // A signal ends the step that is being done, and so the demonstration, in the way of any failure.
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    let programs = build::release()?;
    let program = |name: &str| programs.get(name).with_context(|| format!("cargo built no {name}"));
    let sandbar = Sandbar::new(program("sandbar")?, options.root.clone());
    apt::install(&[Package::BUSYBOX, Package::NGINX])?;
    must_be_free(&sandbar)?;

    let mut cleanup = Cleanup::new(&sandbar);
    let shown = images::build(&sandbar, program("blog")?, &mut cleanup)
        .and_then(|()| show(&sandbar, &ended, &mut cleanup));
    if shown.is_ok() && options.keep && !ended.load(Ordering::Relaxed) {
        println!("\nIt goes on running. To remove it:\n");
        cleanup.lines().iter().for_each(|line| println!("  {line}"));
        return Ok(ExitCode::SUCCESS);
    }
    let cleaned = cleanup.run();
    shown.and(cleaned)?;
    println!("\nThe pod and its images are gone again; with --keep they stay.");
    println!("What any first pod makes of the host stays: {LEFT}.");
    Ok(ExitCode::SUCCESS)
}

/// What others have under the names that are needed is theirs.
fn must_be_free(sandbar: &Sandbar) -> Result<()> {
    let there = sandbar.names_of_containers()?;
    let taken: Vec<_> = ["pause", "nginx", "blog"]
        .into_iter()
        .filter(|name| there.iter().any(|there| there == name))
        .collect();
    if !taken.is_empty() {
        let names = taken.join(" ");
        bail!(
            "there are containers of these names already: {names}; \
             if they are an earlier demonstration's, 'sandbar rm -f {names}' removes them"
        );
    }
    if let Err(error) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)) {
        bail!("port {PORT} is needed and can't be had: {error}; 'ss -ltnp' shows who has it");
    }
    Ok(())
}

/// The demonstration itself.
fn show(sandbar: &Sandbar, ended: &AtomicBool, cleanup: &mut Cleanup<'_>) -> Result<()> {
    const JOIN: &str = "--net=container:pause --ipc=container:pause --pid=container:pause";
    let configuration = "$PWD/examples/nginx.conf:/etc/nginx/nginx.conf:ro";
    for (name, line) in [
        ("pause", format!("sandbar run -d --name pause -p {PORT}:80 pause")),
        (
            "nginx",
            format!("sandbar run -d --name nginx -v \"{configuration}\" {JOIN} localhost/nginx"),
        ),
        ("blog", format!("sandbar run -d --name blog {JOIN} localhost/blog")),
    ] {
        cleanup.container(name);
        sandbar.show_and_run(&line)?;
        alive(ended)?;
    }
    let url = format!("http://localhost:{PORT}/");
    shell::show(&format!("curl -i {url}"));
    println!("{}", until_answered(ended)?);
    sandbar.show_and_run("sandbar ps")?;
    sandbar.show_and_run("sandbar exec blog ps aux")?;
    alive(ended)?;
    let supervisor = tree::parent_of(sandbar.pid_of("pause")?)?;
    shell::show(&format!("pstree -ap {supervisor}"));
    print!("{}", tree::below(supervisor)?);
    alive(ended)
}

/// The page, as soon as it is there.
fn until_answered(ended: &AtomicBool) -> Result<page::Page> {
    let start = Instant::now();
    loop {
        let page = page::get("localhost", PORT, "/");
        let why = match page {
            Ok(page) if page.is_ok() => return Ok(page),
            Ok(page) => format!("{page}"),
            Err(error) => format!("{error:#}"),
        };
        if start.elapsed() > PATIENCE {
            bail!("http://localhost:{PORT}/ does not answer as it should: {why}");
        }
        alive(ended)?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn alive(ended: &AtomicBool) -> Result<()> {
    if ended.load(Ordering::Relaxed) {
        bail!("ended by a signal");
    }
    Ok(())
}
