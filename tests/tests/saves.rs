//! Archives that are written, and what Podman, Skopeo and Docker's own loader make of them.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use sandbar_tests::{Command, Node, Rootfs, SOON, tests, until};
use serde_json::Value;

tests! {
    an_archive_is_loaded_here_again_from_a_file_or_a_pipe,
    an_archive_is_there_whole_or_not_at_all,
    what_can_not_be_saved_is_told,
    skopeo_reads_every_format [Registry],
    podman_loads_what_is_saved_and_saves_what_is_loaded [Podman],
    docker_loads_what_is_saved_and_saves_what_is_loaded [Docker],
    containerd_imports_what_is_saved [Containerd],
}

/// Docker and containerd need a while for what Sandbar does at once.
const LONG: Duration = Duration::from_secs(60);

/// Images `localhost/a:1` and `localhost/b:1`.
fn has_images(node: &Node) -> [String; 2] {
    ["a", "b"].map(|name| {
        let motd = Rootfs::busybox().file("etc/motd", 0o644, name.as_bytes());
        node.import(&format!("{name}:1"), motd, &["CMD [\"cat\", \"/etc/motd\"]"]);
        node.inspect(&format!("{name}:1"))["Id"].as_str().expect("an id").to_owned()
    })
}

fn save(node: &Node, line: &str, name: &str) -> PathBuf {
    let path = node.path(name);
    node.says(&format!("save {line} -o")).with([&path]).ok();
    path
}

fn an_archive_is_loaded_here_again_from_a_file_or_a_pipe(node: &Node) {
    let ids = has_images(node);
    for format in ["docker-archive", "oci-archive"] {
        let line = format!("--format {format} a:1 b:1");
        let archive = save(node, &line, format);
        let bytes = fs::read(&archive).expect("an archive");
        let piped = node.says(&format!("save {line}")).run();
        assert!(piped.stdout == bytes, "a pipe gets other bytes than a file");
        node.says("rmi -f a:1 b:1").ok();
        let loaded = node.says("load").input(bytes).ok();
        assert_eq!(loaded, "Loaded image: localhost/a:1\nLoaded image: localhost/b:1\n");
        assert_eq!(node.inspect("a:1")["Id"], ids[0].as_str());
        assert_eq!(node.says("run --rm b:1").ok(), "b");
    }
}

fn an_archive_is_there_whole_or_not_at_all(node: &Node) {
    has_images(node);
    let directory = node.path("out");
    fs::create_dir(&directory).expect("a directory");
    let archive = directory.join("a.tar");
    fs::write(&archive, "before").expect("a file");
    let id = node.inspect("a:1")["RootFS"]["Layers"][0].as_str().expect("a layer").to_owned();
    let layer = format!("/var/lib/sandbar/images/layers/{}/diff/etc/motd", &id["sha256:".len()..]);
    fs::write(layer, "c").expect("a layer's file");
    node.says("save a:1 -o").with([&archive]).refused(1, &["a:1", "damaged"]);
    assert_eq!(fs::read(&archive).expect("a file"), b"before");
    let layout = directory.join("layout");
    node.says("save a:1 --format oci-dir -o").with([&layout]).refused(1, &["a:1", "damaged"]);
    node.says("save b:1 -o").with([&archive]).ok();
    assert_ne!(fs::read(&archive).expect("a file"), b"before");
    assert_eq!(fs::read_dir(&directory).expect("a directory").count(), 1);
}

fn what_can_not_be_saved_is_told(node: &Node) {
    has_images(node);
    node.says("save no:1").refused(1, &["no:1", "no image"]);
    node.says("save a:1 --format oci-dir").refused(1, &["a:1", "-o"]);
    let full = node.path("full");
    fs::create_dir(&full).expect("a directory");
    fs::write(full.join("f"), "").expect("a file");
    node.says("save a:1 --format oci-dir -o").with([&full]).refused(1, &["full", "not empty"]);
    node.says("save a:1 -o").with([&full]).refused(1, &["full", "directory"]);
    node.says("save a:1 -o /no/such/file").refused(1, &["/no/such/file"]);
    node.says("save a:1 b:1 --format docker-dir -o /run/test/d").refused(1, &["one image"]);
    node.says("save a:1 --format zip").code(2);
    for line in ["save a:1", "save a:1 -o /dev/tty"] {
        let mut terminal = node.terminal(&node.says(line));
        terminal.shows("to a terminal");
        assert_eq!(terminal.wait(), 1);
    }
}

fn skopeo_reads_every_format(node: &Node) {
    let ids = has_images(node);
    for (format, transport, name) in [
        ("docker-archive", "docker-archive", ":localhost/a:1"),
        ("oci-archive", "oci-archive", ":localhost/a:1"),
        ("oci-dir", "oci", ":localhost/a:1"),
        ("docker-dir", "dir", ""),
    ] {
        let path = save(node, &format!("--format {format} a:1"), format);
        let from = format!("{transport}:{}{name}", path.display());
        let config = node.run("skopeo", ["inspect", "--config", "--raw", &from]).ok();
        let config: Value = serde_json::from_str(&config).expect("a configuration");
        assert_eq!(config["config"]["Cmd"][0], "cat", "{format}");
        // Copied, which reads all of it and checks all digests.
        let to = node.path(&format!("copy-{format}"));
        let into = format!("dir:{}", to.display());
        node.run("skopeo", ["copy", "--insecure-policy", &from, &into]).ok();
        let manifest = fs::read(to.join("manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_slice(&manifest).expect("a manifest");
        assert_eq!(manifest["config"]["digest"], ids[0].as_str(), "{format}");
    }
}

fn podman_loads_what_is_saved_and_saves_what_is_loaded(node: &Node) {
    let ids = has_images(node);
    let podman = |line: &str| -> Command {
        let own = ["--events-backend=none", "--root=/var/lib/containers/storage"];
        node.run("/usr/bin/podman", own).with(line.split_whitespace())
    };
    let archive = save(node, "a:1 b:1", "both.tar");
    podman("load -q -i").with([&archive]).ok();
    for (name, id) in ["a", "b"].iter().zip(&ids) {
        let found = podman(&format!("inspect --format {{{{.Id}}}} localhost/{name}:1")).ok();
        assert_eq!(format!("sha256:{}", found.trim()), *id);
    }
    podman("rmi -af").ok();
    let archive = save(node, "--format oci-archive b:1", "b.tar");
    podman("load -q -i").with([&archive]).ok();
    for format in ["docker-archive", "oci-archive"] {
        let back = node.path(&format!("back-{format}"));
        podman(&format!("save -q --format {format} localhost/b:1 -o")).with([&back]).ok();
        node.says("rmi -f b:1").ok();
        assert!(node.says("load -i").with([&back]).ok().contains("localhost/b:1"));
        assert_eq!(node.inspect("b:1")["Id"], ids[1].as_str(), "{format}");
    }
    podman("rmi -af").ok();
}

fn docker_loads_what_is_saved_and_saves_what_is_loaded(node: &Node) {
    let ids = has_images(node);
    // There Docker writes a key, wherever its other directories are.
    fs::create_dir_all("/etc/docker").expect("a directory");
    node.run("/bin/busybox", ["mount", "-t", "tmpfs", "tmpfs", "/etc/docker"]).ok();
    let at = |name: &str| node.path(name).display().to_string();
    let socket = format!("unix://{}", at("docker.sock"));
    let options = [
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
    let archive = save(node, "a:1 b:1", "both.tar");
    docker("load -q -i").with([&archive]).ok();
    for (name, id) in ["a", "b"].iter().zip(&ids) {
        let found = docker(&format!("inspect --format {{{{.Id}}}} localhost/{name}:1")).ok();
        assert_eq!(found.trim(), id);
    }
    let back = node.path("back.tar");
    docker("save localhost/a:1 localhost/b:1 -o").with([&back]).ok();
    node.says("rmi -f a:1 b:1").ok();
    node.says("load -i").with([&back]).ok();
    assert_eq!(node.inspect("a:1")["Id"], ids[0].as_str());
    // Every layer came back as it was, and so goes out again as it went.
    assert_eq!(fs::read(save(node, "a:1 b:1", "again.tar")).ok(), fs::read(archive).ok());
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait();
}

fn containerd_imports_what_is_saved(node: &Node) {
    let ids = has_images(node);
    let config = node.file(
        "config.toml",
        "version = 2\nroot = '/run/test/containerd'\nstate = '/run/test/containerd-state'\n\
         disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.snapshotter.v1.btrfs', \
         'io.containerd.snapshotter.v1.zfs', 'io.containerd.snapshotter.v1.devmapper']\n\
         [grpc]\naddress = '/run/test/containerd.sock'\n\
         [ttrpc]\naddress = '/run/test/containerd.sock.ttrpc'\n",
    );
    let daemon = node.run("/usr/bin/containerd", ["-c"]).with([&config]).within(LONG).begin();
    let socket = node.path("containerd.sock");
    until("containerd's socket", SOON, || socket.exists().then_some(()));
    let ctr = |line: &str| {
        node.run("/usr/bin/ctr", ["-a"]).with([&socket]).with(line.split_whitespace()).within(LONG)
    };
    for format in ["docker-archive", "oci-archive"] {
        let archive = save(node, &format!("--format {format} a:1 b:1"), format);
        ctr("images import --no-unpack").with([&archive]).ok();
        let images = ctr("images ls").ok();
        for name in ["localhost/a:1", "localhost/b:1"] {
            assert!(images.contains(name), "{format}: {images}");
        }
        // The configuration is among its contents.
        let contents = ctr("content ls -q").ok();
        assert!(ids.iter().all(|id| contents.contains(id)), "{format}: {contents}");
        ctr("images rm --sync localhost/a:1 localhost/b:1").ok();
    }
    daemon.signal(rustix::process::Signal::TERM);
    daemon.wait();
}
