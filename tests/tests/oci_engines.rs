//! `sandbar oci` as the runtime of Debian's Podman, containerd and Docker.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use sandbar_tests::{Command, Node, Rootfs, SOON, left_behind, tests, until};

tests! {
    podman_runs_containers [Podman],
    podman_passes_exit_codes_on [Podman],
    podman_limits_pauses_and_stops_them [Podman],
    podman_gives_them_terminals_users_and_volumes [Podman, Setsid],
    podman_makes_pods [Podman],
    containerd_runs_containers [Containerd],
    docker_runs_containers [Docker],
}

/// Podman needs a while for what Sandbar does at once.
const LONG: Duration = Duration::from_secs(60);

/// Podman with this runtime, a store of its own and the image `localhost/b`.
struct Podman<'a>(&'a Node);

impl<'a> Podman<'a> {
    fn new(node: &'a Node) -> Self {
        symlink(node.oci_program(), node.path("sandbar-oci")).expect("a path without blanks");
        // Podman raises these by default, which needs CAP_SYS_RESOURCE.
        let limits =
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n";
        node.file("containers.conf", limits);
        let podman = Self(node);
        let archive = node.file("busybox.tar", Rootfs::busybox().into_archive());
        podman.says("import").with([&archive]).with(["localhost/b"]).ok();
        podman
    }

    fn says(&self, line: &str) -> Command {
        let own = [
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
            "--network-backend=netavark",
            "--root=/var/lib/containers/storage",
            "--runroot=/run/containers/storage",
            "--tmpdir=/run/libpod",
            "--runtime",
        ];
        let runtime = self.0.path("sandbar-oci");
        let podman = self.0.run("/usr/bin/podman", own).with([&runtime]);
        let podman = podman.env("CONTAINERS_CONF", self.0.path("containers.conf"));
        podman.with(line.split_whitespace()).within(LONG)
    }

    /// Nothing of it is left with the runtime, and Podman's own directories go with the node.
    fn ends(self) {
        self.says("rm -af -t 0").ok();
        until("that nothing is left", SOON, || {
            let ours =
                |left: &String| left.contains("/run/sandbar/oci") || left.starts_with("cgroup ");
            (!left_behind().iter().any(ours)).then_some(())
        });
    }
}

fn podman_runs_containers(node: &Node) {
    let podman = Podman::new(node);
    let printed =
        podman.says("run --rm --network=none localhost/b sh -c").with(["echo hello; ps"]).ok();
    assert!(printed.starts_with("hello\n") && printed.contains("    1 "), "{printed}");
    podman.says("run -d --name a --network=none --stop-signal=KILL localhost/b sleep 1000").ok();
    assert!(podman.says("exec a ps").ok().contains("sleep 1000"));
    podman.says("exec a sh -c").with(["exit 3"]).code(3);
    assert!(podman.says("top a").ok().contains("sleep 1000"));
    assert!(podman.says("ps").ok().contains("Up "));
    podman.says("stop a").ok();
    podman.says("start a").ok();
    podman.says("rm -f a").ok();
    podman.ends();
}

fn podman_passes_exit_codes_on(node: &Node) {
    let podman = Podman::new(node);
    let run = |words: &[&str]| podman.says("run --rm --network=none localhost/b").with(words);
    run(&["sh", "-c", "exit 7"]).code(7);
    run(&["sh", "-c", "kill -9 $$; kill -TERM $$; exit 1"]).code(1);
    assert!(run(&["nonsense"]).code(127).stderr().contains("nonsense"));
    assert!(run(&["/none"]).code(127).stderr().contains("/none"));
    assert!(run(&["/etc"]).code(126).stderr().contains("/etc"));
    podman.ends();
}

fn podman_limits_pauses_and_stops_them(node: &Node) {
    let podman = Podman::new(node);
    let limits = "--memory=64m --pids-limit=50 --cpus=0.5";
    podman
        .says(&format!("run -d --name a --network=none {limits} localhost/b sh -c"))
        .with(["trap 'exit 5' TERM; while :; do sleep 0.1; done"])
        .ok();
    let read =
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
    assert_eq!(podman.says("exec a sh -c").with([read]).run().stdout(), "67108864\n");
    podman.says("pause a").ok();
    assert!(podman.says("ps -a --format {{.Status}}").ok().contains("Paused"));
    podman.says("unpause a").ok();
    assert!(podman.says("stats --no-stream a").ok().contains("67.11MB"));
    podman.says("stop a").ok();
    assert_eq!(podman.says("inspect --format {{.State.ExitCode}} a").ok(), "5\n");
    podman.ends();
}

fn podman_gives_them_terminals_users_and_volumes(node: &Node) {
    let podman = Podman::new(node);
    let mut terminal = node.terminal(
        &podman.says("run --rm -it --network=none localhost/b sh -c").with(["tty; exit 4"]),
    );
    terminal.shows("/dev/pts/0\r\n");
    assert_eq!(terminal.wait(), 4);
    let run = |options: &str, script: &str| {
        podman
            .says(&format!("run --rm --network=none {options} localhost/b sh -c"))
            .with([script])
            .run()
    };
    assert_eq!(run("--user=alice", "id -u; id -G").stdout(), "1000\n1000 10 50\n");
    let mapped = run("--uidmap=0:100000:65536", "id -u; cat /proc/self/uid_map").stdout();
    assert_eq!(mapped.split_whitespace().collect::<Vec<_>>(), ["0", "0", "100000", "65536"]);
    let volume = node.path("volume");
    fs::create_dir(&volume).expect("a directory");
    let options = format!("--read-only --tmpfs=/tmp -v {}:/v", volume.display());
    let output = run(&options, "echo x > /v/f && echo y > /tmp/g && ! touch /h");
    assert_eq!(output.exit_code(), 0, "{output}");
    assert_eq!(fs::read_to_string(volume.join("f")).expect("the file"), "x\n");
    let output = run(
        "--cap-drop=all --security-opt=no-new-privileges",
        "grep -E 'CapEff|NoNew|Seccomp:' /proc/self/status",
    );
    assert_eq!(output.stdout(), "CapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
    podman.ends();
}

fn podman_makes_pods(node: &Node) {
    let podman = Podman::new(node);
    podman.says("pod create --name p --network=none --share=ipc,net,uts,pid").ok();
    podman.says("run -d --pod p --name a --stop-signal=KILL localhost/b sleep 1000").ok();
    let seen = podman.says("exec a ps").ok();
    assert!(seen.contains("catatonit") && seen.contains("sleep 1000"), "{seen}");
    podman.says("pod rm -f p").ok();
    podman.ends();
}

fn containerd_runs_containers(node: &Node) {
    symlink(node.oci_program(), node.path("sandbar-oci")).expect("a path without blanks");
    let root = node.path("rootfs");
    tar::Archive::new(Rootfs::busybox().into_archive().as_slice()).unpack(&root).expect("a root");
    let config = node.file("config.toml", CONTAINERD);
    let daemon = node.run("/usr/bin/containerd", ["-c"]).with([&config]).within(LONG).begin();
    let socket = Path::new("/run/test/containerd.sock");
    until("containerd's socket", SOON, || socket.exists().then_some(()));
    let ctr = |line: &str| {
        node.run("/usr/bin/ctr", ["-a"]).with([socket]).with(line.split_whitespace()).within(LONG)
    };
    let runtime = "--rootfs --runtime io.containerd.runc.v2 --runc-binary /run/test/sandbar-oci";
    let run = |options: &str, id: &str, words: &[&str]| {
        ctr(&format!("run {runtime} {options}")).with([&root]).with([id]).with(words)
    };
    let output = run("--rm", "one", &["sh", "-c", "echo hello; exit 7"]).code(7);
    assert!(output.stdout().contains("hello\n"), "{output}");
    assert!(run("--rm", "bad", &["nonsense"]).code(1).stderr().contains("nonsense"));
    run("-d", "two", &["sleep", "1000"]).ok();
    assert!(ctr("task exec --exec-id e two ps").ok().contains("sleep 1000"));
    ctr("task pause two").ok();
    assert!(ctr("task ls").ok().contains("PAUSED"));
    ctr("task resume two").ok();
    assert!(ctr("task metrics two").ok().contains("pids.current"));
    ctr("task kill -s KILL two").ok();
    until("its end", SOON, || ctr("task ls").ok().contains("STOPPED").then_some(()));
    ctr("task rm two").run();
    ctr("container rm two").ok();
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait();
}

const CONTAINERD: &str = r#"
version = 2
root = "/run/test/containerd"
state = "/run/test/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "/run/test/containerd.sock"
[ttrpc]
  address = "/run/test/containerd.sock.ttrpc"
"#;

fn docker_runs_containers(node: &Node) {
    let runtime = node.path("sandbar-oci");
    symlink(node.program(), &runtime).expect("a name of its own");
    // There Docker writes a key, wherever its other directories are.
    fs::create_dir_all("/etc/docker").expect("a directory");
    node.run("/bin/busybox", ["mount", "-t", "tmpfs", "tmpfs", "/etc/docker"]).ok();
    let at = |name: &str| node.path(name).display().to_string();
    let socket = format!("unix://{}", at("docker.sock"));
    let options = [
        format!("--add-runtime=sandbar={}", runtime.display()),
        format!("--data-root={}", at("docker")),
        format!("--exec-root={}", at("docker-state")),
        format!("--pidfile={}", at("docker.pid")),
        format!("--host={socket}"),
    ];
    let alone = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--storage-driver=vfs"];
    let daemon = node.run("/usr/sbin/dockerd", alone).with(&options).within(LONG).begin();
    until("Docker's socket", SOON, || node.path("docker.sock").exists().then_some(()));
    let docker = |line: &str| {
        let docker = node.run("/usr/bin/docker", ["--host"]).with([&socket]);
        docker.with(line.split_whitespace()).within(LONG)
    };
    let archive = node.file("busybox.tar", Rootfs::busybox().into_archive());
    docker("import").with([&archive]).with(["b"]).ok();
    let run = |options: &str, words: &[&str]| {
        docker(&format!("run --runtime sandbar --network none {options} b")).with(words)
    };
    let output = run("--rm", &["sh", "-c", "echo hello; exit 7"]).code(7);
    assert_eq!(output.stdout(), "hello\n");
    assert!(run("--rm", &["nonsense"]).code(127).stderr().contains("nonsense"));
    assert_eq!(run("--rm --user 5:6", &["id", "-u"]).ok(), "5\n");
    assert!(run("--rm --init", &["ps"]).ok().contains("docker-init"));
    assert_eq!(run("--rm -t", &["tty"]).ok(), "/dev/pts/0\r\n");
    let wait = "trap 'exit 5' TERM; while :; do sleep 0.1; done";
    run("-d --name one --memory 64m --pids-limit 50", &["sh", "-c", wait]).ok();
    let read =
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
    assert_eq!(docker("exec one sh -c").with([read]).run().stdout(), "67108864\n");
    docker("exec one sh -c").with(["exit 3"]).code(3);
    assert!(docker("top one").ok().contains("sleep 0.1"));
    docker("pause one").ok();
    assert!(docker("ps").ok().contains("(Paused)"));
    docker("unpause one").ok();
    docker("stop one").ok();
    assert_eq!(docker("inspect --format {{.State.ExitCode}} one").ok(), "5\n");
    docker("start one").ok();
    docker("kill one").ok();
    docker("rm one").ok();
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait();
}
