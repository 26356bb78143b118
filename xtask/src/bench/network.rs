//! `cargo xtask bench --network`: what a published port costs those who use it, what it costs to publish one, and to
//! attach a pod; beside Podman's netavark where that is installed.
//!
//! Servers run in the pods' network namespaces and clients in the node, so both ways to a server, its pod's address
//! and the published port, differ in nothing but the way. The two take turns.

mod attaching;
mod publishing;
mod traffic;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::comparison::Comparison;
use super::peers::Peer;
use crate::shell;

/// Measures, each timed thing `runs` times and traffic a fifth as often.
pub(super) fn measure(scratch: &Path, peers: &[&Peer], runs: usize) -> Result<Comparison> {
    give_the_node_an_address()?;
    let mut lines = traffic::measure(scratch, peers, runs.div_ceil(5));
    let (own, _) = peers.split_first().context("nobody is measured")?;
    println!("measuring how long it takes to publish a port");
    lines.push(publishing::measure(own, runs));
    println!("measuring how long it takes to attach a pod");
    lines.push(attaching::measure(peers, runs));
    println!("measuring pods that are attached at once");
    lines.push(attaching::at_once(own));
    Ok(Comparison { lines, runs })
}

/// An address that a published port is reached at, as from the machine itself: not loopback, which has a way of its own.
const NODE: &str = "192.0.2.1";

fn give_the_node_an_address() -> Result<()> {
    let words = ["addr", "add", NODE, "dev", "lo"];
    shell::output(Command::new("ip").args(words))?;
    Ok(())
}
