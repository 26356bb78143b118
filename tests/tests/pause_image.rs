//! The image of `cargo xtask pause-image` in place of Kubernetes' pause image, in Debian's Podman and containerd.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use sandbar_tests::cri::{ask, field};
use sandbar_tests::{Command, Need, Node, Rootfs, SOON, tests, until};

tests! {
    podman_makes_pods_with_it [Podman, PauseImage],
    containerd_makes_sandboxes_with_it [Containerd, Curl, PauseImage],
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

/// containerd with the interface that Kubernetes speaks, and this image.
const CONTAINERD: &str = r#"
version = 2
root = "/run/test/containerd"
state = "/run/test/containerd-state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
    "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "/run/test/containerd.sock"
[ttrpc]
  address = "/run/test/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "IMAGE"
  disable_apparmor = true
  # Without CAP_SYS_RESOURCE, a process can't be made less likely to be killed.
  restrict_oom_score_adj = true
  disable_tcp_service = true
"#;

fn containerd_makes_sandboxes_with_it(node: &Node) {
    let config = node.file("config.toml", CONTAINERD.replace("IMAGE", PAUSE));
    let daemon = node.run("/usr/bin/containerd", ["-c"]).with([&config]).within(LONG).begin();
    let socket = Path::new("/run/test/containerd.sock");
    until("containerd's socket", SOON, || socket.exists().then_some(()));
    let ctr = |line: &str| {
        let ctr = node.run("/usr/bin/ctr", ["-n", "k8s.io", "-a"]).with([socket]);
        ctr.with(line.split_whitespace()).within(LONG)
    };
    ctr("images import").with([pause(node)]).ok();

    let metadata = [field(1, "p"), field(2, "u"), field(3, "n")].concat();
    // The node's own network, as there are no plugins for another: NamespaceMode NODE is 2.
    let namespaces = [1 << 3, 2];
    let linux = field(2, field(1, namespaces));
    let sandbox = [field(1, metadata), field(8, linux)].concat();
    let made = ask(node, socket, "RunPodSandbox", &field(1, sandbox));
    let id = String::from_utf8(made[2..].to_vec()).expect("an id");
    let status = ask(node, socket, "PodSandboxStatus", &field(1, &id));
    assert!(String::from_utf8_lossy(&status).contains(&id));

    let tasks = ctr("tasks ls").ok();
    let row = tasks.lines().find(|row| row.starts_with(&id)).expect("the sandbox's task");
    let [_, process, "RUNNING"] = row.split_whitespace().collect::<Vec<_>>()[..] else {
        panic!("{tasks}");
    };
    let of = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).expect("a file");
    assert_eq!(of("cmdline"), "/pause\0");
    assert!(of("status").contains("Uid:\t65535\t65535\t65535\t65535\n"), "{}", of("status"));
    let status = of("status");
    let numbers = status.lines().find(|line| line.starts_with("NSpid:")).expect("its numbers");
    assert!(numbers.ends_with("\t1"), "{numbers}: process 1 of its namespace");

    let _stopped = ask(node, socket, "StopPodSandbox", &field(1, &id));
    assert!(!Path::new(&format!("/proc/{process}")).exists(), "it has ended");
    let _removed = ask(node, socket, "RemovePodSandbox", &field(1, &id));
    assert_eq!(ctr("containers ls -q").ok(), "");
    daemon.signal(Signal::TERM);
    daemon.wait();
}
