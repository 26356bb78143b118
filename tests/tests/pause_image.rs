//! The image of `cargo xtask pause-image` in place of Kubernetes' pause image, in Debian's Podman.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sandbar_tests::{Command, Need, Node, Rootfs, tests};

tests! {
    podman_makes_pods_with_it [Podman, PauseImage],
}

/// Podman needs a while for what Sandbar does at once.
const LONG: Duration = Duration::from_secs(60);

/// What the image is called.
const PAUSE: &str = concat!("localhost/pause:", env!("CARGO_PKG_VERSION"));

/// The image, as an archive that engines load.
fn pause(node: &Node) -> PathBuf {
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all(".", Need::pause_image()).expect("the image");
    node.file("pause.tar", archive.into_inner().expect("an archive"))
}

fn podman_makes_pods_with_it(node: &Node) {
    // Podman raises these by default, which needs CAP_SYS_RESOURCE.
    let limits = "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n";
    let configuration = node.file("containers.conf", limits);
    let says = |line: &str| -> Command {
        let own = [
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
            "--network-backend=netavark",
            "--runtime=crun",
            "--root=/var/lib/containers/storage",
            "--runroot=/run/containers/storage",
            "--tmpdir=/run/libpod",
        ];
        let podman = node.run("/usr/bin/podman", own).env("CONTAINERS_CONF", &configuration);
        podman.with(line.split_whitespace()).within(LONG)
    };
    let archive = node.file("busybox.tar", Rootfs::busybox().into_archive());
    says("import").with([&archive]).with(["localhost/b"]).ok();
    let loaded = says("load --quiet -i").with([pause(node)]).ok();
    assert!(loaded.contains(PAUSE), "{loaded}");

    let pod = "--network=none --share=ipc,net,uts,pid";
    says(&format!("pod create --name p --infra-image={PAUSE} {pod}")).ok();
    says("run -d --pod p --name a --stop-signal=KILL localhost/b sleep 1000").ok();
    // This one is root's: Podman asks no image who is to run a pod's first process.
    let seen = says("exec a ps -o pid,args").ok();
    assert!(seen.contains("    1 /pause\n"), "{seen}");

    // What has lost its parent falls to pause, and is gone when it ends.
    says("exec a sh -c").with(["(sh -c 'exec true' &) ; (sleep 0.1 &) ; sleep 1"]).ok();
    let left = says("exec a ps -o stat,args").ok();
    assert!(!left.contains('Z') && left.contains("sleep 1000"), "{left}");

    let infra = says("pod inspect --format {{.InfraContainerID}} p").ok();
    let state = |field: &str| {
        says(&format!("inspect --format {{{{.State.{field}}}}} {}", infra.trim())).ok()
    };
    let first: u32 = state("Pid").trim().parse().expect("a process id");
    let command = fs::read(format!("/proc/{first}/cmdline")).expect("a command line");
    assert_eq!(command, b"/pause\0");
    says("stop a").ok();
    says("pod stop p").ok();
    assert_eq!(state("ExitCode"), "0\n", "it ends by SIGTERM");
    says("pod rm -f p").ok();
}
