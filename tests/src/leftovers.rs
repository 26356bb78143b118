//! What a test left behind.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::cgroups::Hierarchy;
use crate::living;
use crate::until::Patience;

/// How long what ends by itself may take; a network's resolver stays for three seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// All that is left, in words.
pub(crate) fn find() -> Vec<String> {
    let mut patience = Patience::of(PATIENCE);
    loop {
        let left = look();
        if left.is_empty() || !patience.sleep(Duration::from_millis(20)) {
            return left;
        }
    }
}

/// What there is now that would not be there on a fresh node, in words.
#[must_use]
pub fn left_behind() -> Vec<String> {
    look()
}

fn look() -> Vec<String> {
    [processes(), mounts(), interfaces(), published(), files(), cgroups()].concat()
}

fn processes() -> Vec<String> {
    let living = living().into_iter().filter(|process| process.lives());
    living.map(|process| format!("process {} {}", process.number(), process.command())).collect()
}

/// The node's own mounts are `/run` and `/var/lib`: none of them names Sandbar.
fn mounts() -> Vec<String> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|point| point.contains("sandbar")).map(|it| format!("mount {it}")).collect()
}

fn interfaces() -> Vec<String> {
    let list = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let names = list.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    // The kernel may give every namespace tunnels of its own (`fb_tunnels_only_for_init_net`), all named like `sit0`.
    let is_pods = |name: &str| name.starts_with("sb") && name.len() == 15;
    let usual =
        |name: &&str| matches!(*name, "lo" | "sandbar0") || (name.ends_with('0') && !is_pods(name));
    names.filter(|name| !usual(name)).map(|name| format!("interface {name}")).collect()
}

fn published() -> Vec<String> {
    let nft =
        std::process::Command::new("nft").args(["-j", "list", "table", "inet", "sandbar"]).output();
    // No table, nothing published.
    let Some(nft) = nft.ok().filter(|output| output.status.success()) else { return Vec::new() };
    let Ok(json) = serde_json::from_slice::<Value>(&nft.stdout) else {
        return vec!["what nft prints is not JSON".to_owned()];
    };
    let objects = json["nftables"].as_array().cloned().unwrap_or_default();
    let maps = objects.iter().filter_map(|object| object.get("map"));
    maps.filter(|map| map.get("elem").is_some())
        .map(|map| format!("published: map {} has {}", map["name"], map["elem"]))
        .collect()
}

fn files() -> Vec<String> {
    let directories = [
        "/run/sandbar/pods",
        "/run/sandbar/names",
        "/run/sandbar/addresses",
        "/run/sandbar/networks",
        "/var/lib/sandbar/networks",
        "/run/sandbar/oci",
        "/var/lib/sandbar/containers",
        "/var/lib/sandbar/cni",
    ];
    let mut left = Vec::new();
    for directory in directories {
        walk(Path::new(directory), &mut left);
    }
    // Directories that hold names, and a lock, stay.
    left.retain(|path| {
        !matches!(
            path.as_str(),
            "/run/sandbar/names/pods"
                | "/run/sandbar/names/containers"
                | "/run/sandbar/addresses/sandbar0"
        )
    });
    left.into_iter().map(|path| format!("file {path}")).collect()
}

fn walk(directory: &Path, left: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            walk(&entry.path(), left);
        }
        left.push(entry.path().display().to_string());
    }
}

fn cgroups() -> Vec<String> {
    let all = Hierarchy::all();
    let below = all.iter().flat_map(|hierarchy| hierarchy.below("sandbar"));
    below
        .filter(|path| {
            !["sandbar", "sandbar/supervisors", "sandbar/oci"].iter().any(|it| path.ends_with(it))
        })
        .map(|path| format!("cgroup {}", path.display()))
        .collect()
}
