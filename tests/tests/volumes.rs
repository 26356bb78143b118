//! What of the host, of other containers and of memory is seen in a container.

use std::fs;

use sandbar_tests::{Node, tests};

tests! {
    a_path_of_the_host_is_seen_and_written,
    a_read_only_volume_is_not_written,
    a_single_file_is_mounted,
    a_named_volume_is_shared_and_kept,
    a_tmpfs_is_memory_of_its_own,
    a_pod_shares_its_shared_memory,
    the_root_filesystem_is_a_containers_own,
    a_read_only_root_filesystem_is_not_written,
    volumes_that_can_not_be_are_refused,
}

fn a_path_of_the_host_is_seen_and_written(node: &Node) {
    node.has_busybox();
    fs::create_dir(node.path("data")).expect("a directory");
    node.file("data/in", "from the host\n");
    let volume = format!("{}:/data", node.path("data").display());
    let script = "cat /data/in; echo back >/data/out";
    let run =
        node.sandbar(["run", "--rm", "--net=none", "-v", &volume, "busybox", "sh", "-c", script]);
    assert_eq!(run.ok(), "from the host\n");
    assert_eq!(fs::read_to_string(node.path("data/out")).expect("the file"), "back\n");
    // A path relative to where the caller stands.
    let run =
        node.says("run --rm --net none -v ./data:/deep/down/data busybox cat /deep/down/data/out");
    assert_eq!(run.directory(node.path("")).ok(), "back\n");
}

fn a_read_only_volume_is_not_written(node: &Node) {
    node.has_busybox();
    fs::create_dir(node.path("data")).expect("a directory");
    node.file("data/in", "kept\n");
    let volume = format!("{}:/data:ro", node.path("data").display());
    let script =
        "echo changed >/data/in; mount -o remount,rw /data; echo changed >/data/in; cat /data/in";
    let run = node
        .sandbar(["run", "--rm", "--net=none", "-v", &volume, "busybox", "sh", "-c", script])
        .run();
    assert_eq!(run.stdout(), "kept\n");
    assert!(run.stderr().contains("Read-only file system"), "{run}");
    assert_eq!(fs::read_to_string(node.path("data/in")).expect("the file"), "kept\n");
}

fn a_single_file_is_mounted(node: &Node) {
    node.has_busybox();
    let file = node.file("motd", "good morning\n");
    let volume = format!("{}:/etc/some/motd:ro", file.display());
    let run = node.sandbar([
        "run",
        "--rm",
        "--net=none",
        "-v",
        &volume,
        "busybox",
        "cat",
        "/etc/some/motd",
    ]);
    assert_eq!(run.ok(), "good morning\n");
}

fn a_named_volume_is_shared_and_kept(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a -v data:/data busybox sleep 1000").ok();
    node.says("run -d --name b -v data:/other:ro busybox sleep 1000").ok();
    node.says("exec a sh -c").with(["echo shared >/data/file"]).ok();
    assert_eq!(node.says("exec b cat /other/file").ok(), "shared\n");
    node.says("exec b touch /other/no").code(1);
    let mounts = node.inspect("a")["Mounts"].clone();
    assert_eq!(mounts[0]["Type"], "volume");
    assert_eq!(mounts[0]["Name"], "data");
    node.says("rm -f a b").ok();
    assert_eq!(
        node.says("run --rm --net none -v data:/data busybox cat /data/file").ok(),
        "shared\n"
    );
}

fn a_tmpfs_is_memory_of_its_own(node: &Node) {
    node.has_busybox();
    let script = "grep ' /scratch ' /proc/mounts; dd if=/dev/zero of=/scratch/x bs=1M count=4 2>&1";
    let run = node
        .says("run --rm --net none --tmpfs /scratch:size=2m,noexec busybox sh -c")
        .with([script])
        .run();
    assert!(run.stdout().contains("tmpfs /scratch tmpfs"), "{run}");
    assert!(run.stdout().contains("noexec") && run.stdout().contains("size=2048k"), "{run}");
    assert!(run.stdout().contains("No space left"), "{run}");
}

fn a_pod_shares_its_shared_memory(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p").ok();
    node.says("run -d --pod p --name a busybox sleep 1000").ok();
    node.says("run -d --pod p --name b --user alice busybox sleep 1000").ok();
    node.says("run -d --pod p --name c --ipc private busybox sleep 1000").ok();
    node.says("exec a sh -c").with(["echo shared >/dev/shm/file"]).ok();
    assert_eq!(node.says("exec b cat /dev/shm/file").ok(), "shared\n");
    node.says("exec b touch /dev/shm/also-alice").ok();
    node.says("exec c cat /dev/shm/file").code(1);
    let mounted = node.says("exec a grep /dev/shm /proc/mounts").ok();
    assert!(
        mounted.contains("nosuid") && mounted.contains("nodev") && mounted.contains("noexec"),
        "{mounted}"
    );
    node.says("rm -f a").ok();
    assert_eq!(node.says("exec b cat /dev/shm/file").ok(), "shared\n", "it is the pod's");
    node.says("pod rm -f p").ok();
}

fn the_root_filesystem_is_a_containers_own(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a busybox sleep 1000").ok();
    node.says("run -d --name b busybox sleep 1000").ok();
    node.says("exec a sh -c").with(["echo a >/file; rm /etc/group; mkdir /new"]).ok();
    node.says("exec b sh -c")
        .with(["test ! -e /file && test -e /etc/group && test ! -e /new"])
        .ok();
    node.says("stop -t 0 a").ok();
    node.says("start a").ok();
    assert_eq!(
        node.says("exec a cat /file").ok(),
        "a\n",
        "what it wrote is kept for its next start"
    );
    node.says("rm -f a b").ok();
    node.says("run --rm --net none busybox test -e /etc/group").ok();
}

fn a_read_only_root_filesystem_is_not_written(node: &Node) {
    node.has_busybox();
    let script = "touch /file; touch /dev/shm/ok && echo ok";
    let run = node.says("run --rm --net none --read-only busybox sh -c").with([script]).run();
    assert!(run.stderr().contains("Read-only file system"), "{run}");
    assert_eq!(run.stdout(), "ok\n");
}

fn volumes_that_can_not_be_are_refused(node: &Node) {
    node.has_busybox();
    for (volume, words) in [
        ("/no/such/path:/data", ["/no/such/path", "-v"]),
        ("/data", ["/data", "name"]),
        ("/etc:data", ["data", "absolute"]),
        ("/etc:/", ["/etc:/", "root"]),
        ("/etc:/data:rshared", ["rshared", "-v"]),
        ("../x/../../etc:/data:ro:z:y", ["SOURCE:PATH", "-v"]),
        ("a/b:/data", ["a/b", "./"]),
    ] {
        let output = node.sandbar(["run", "--rm", "-v", volume, "busybox", "true"]).code(125);
        for word in words.iter().filter(|word| **word != "-v") {
            assert!(output.stderr().contains(word), "{volume}: {output}");
        }
    }
    node.says("run --rm -v one:/data -v two:/data busybox true").refused(125, &["/data"]);
    assert_eq!(node.says("ps -aq").ok(), "");
}
