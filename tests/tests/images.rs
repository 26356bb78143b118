//! Images: brought in as archives, named, listed, removed; and directories in their place.

use std::fs;

use sandbar_tests::{Node, Rootfs, docker_archive, oci_archive, tests};
use serde_json::json;

tests! {
    an_archive_of_docker_save_is_loaded,
    an_archive_of_an_oci_layout_is_loaded,
    a_root_filesystem_is_imported,
    names_are_given_and_taken,
    an_image_in_use_is_not_removed,
    pause_is_always_there,
    a_directory_in_place_of_an_image,
    the_hosts_own_programs_in_a_pod,
    archives_that_are_none_are_refused,
}

fn layers() -> Vec<Rootfs> {
    let upper = Rootfs::new().file("etc/layer", 0o644, b"upper\n").file("etc/.wh.gone", 0o644, b"");
    let lower = Rootfs::busybox().file("etc/layer", 0o644, b"lower\n").file("etc/gone", 0o644, b"");
    vec![lower, upper]
}

fn check(node: &Node, image: &str) {
    let script =
        "cat /etc/layer; test -e /etc/gone && echo there; echo $FROM; pwd; id -un; echo $0 $1";
    let run = node.says(&format!("run --rm --net none --entrypoint sh {image} -c"));
    assert_eq!(
        run.with([script, "zero", "one"]).ok(),
        "upper\nthe image\n/home/alice\nalice\nzero one\n"
    );
    // The entry point with the command that the image names.
    assert_eq!(node.says(&format!("run --rm --net none {image}")).ok(), "from the command\n");
    assert_eq!(node.says(&format!("run --rm --net none {image} other")).ok(), "other\n");
}

fn config() -> serde_json::Value {
    json!({
        "Entrypoint": ["echo"], "Cmd": ["from the command"], "Env": ["PATH=/bin", "FROM=the image"],
        "WorkingDir": "/home/alice", "User": "alice",
    })
}

fn an_archive_of_docker_save_is_loaded(node: &Node) {
    let archive = docker_archive("example.org/some/image:1.0", layers(), &config());
    let said = node.says("load").input(archive.clone()).ok();
    assert_eq!(said, "Loaded image: example.org/some/image:1.0\n");
    check(node, "example.org/some/image:1.0");
    let file = node.file("image.tar", archive);
    node.sandbar(["load", "-i", &file.display().to_string()]).ok();
    let listed = node.says("images").ok();
    assert_eq!(listed.matches("example.org/some/image").count(), 1, "{listed}");
}

fn an_archive_of_an_oci_layout_is_loaded(node: &Node) {
    let archive = oci_archive("example.org/other:2.0", layers(), &config());
    let said = node.says("load").input(archive).ok();
    assert_eq!(said, "Loaded image: example.org/other:2.0\n");
    check(node, "example.org/other:2.0");
}

fn a_root_filesystem_is_imported(node: &Node) {
    let changes = [
        r#"ENTRYPOINT ["echo"]"#,
        r#"CMD ["from the command"]"#,
        r#"ENV FROM="the image""#,
        "WORKDIR /home/alice",
        "USER alice",
    ];
    let rootfs = Rootfs::busybox().file("etc/layer", 0o644, b"upper\n");
    node.import("made:v1", rootfs, &changes);
    check(node, "localhost/made:v1");
    check(node, "made:v1");
    node.says("run --rm --net none made true").refused(125, &["made"]);
    let id = node.says("import -").input(Rootfs::busybox().into_archive()).ok();
    let id = id.trim().trim_start_matches("sha256:").to_owned();
    assert_eq!(
        node.sandbar(["run", "--rm", "--net=none", &id[..12], "echo", "by id"]).ok(),
        "by id\n"
    );
}

fn names_are_given_and_taken(node: &Node) {
    node.has_busybox();
    node.says("tag busybox also:1 example.org/third").ok();
    let listed = node.says("images").ok();
    let heading: Vec<&str> = listed
        .lines()
        .next()
        .unwrap_or_default()
        .split("  ")
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    assert_eq!(heading, ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
    for words in
        [["localhost/busybox", "latest"], ["localhost/also", "1"], ["example.org/third", "latest"]]
    {
        let has = |line: &str| words == line.split_whitespace().take(2).collect::<Vec<_>>()[..];
        assert!(listed.lines().any(has), "{words:?}: {listed}");
    }
    let json = node.says("images --format json").ok();
    let images: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert!(images.as_array().is_some_and(|all| all.len() == 2), "busybox and pause: {json}");

    let said = node.says("rmi busybox").ok();
    assert_eq!(said, "Untagged: localhost/busybox:latest\n");
    assert_eq!(node.says("run --rm --net none also:1 echo still").ok(), "still\n");
    let said = node.says("rmi -f also:1").ok();
    assert!(said.contains("Deleted: "), "{said}");
    node.says("run --rm --net none example.org/third true").refused(125, &["example.org/third"]);
    node.says("rmi busybox").refused(1, &["busybox", "images"]);
    node.says("tag nothing new").refused(1, &["nothing"]);
}

fn an_image_in_use_is_not_removed(node: &Node) {
    node.has_busybox();
    node.says("create --name a busybox true").ok();
    node.says("rmi busybox").refused(1, &["busybox", "in use by a", "ps -a"]);
    let id = node.says("images -q --no-trunc --filter reference=busybox").ok();
    node.says(&format!("rmi -f {id}")).refused(1, &["in use by a"]);
    // With force its name goes, and what the container needs stays.
    assert_eq!(node.says("rmi -f busybox").ok(), "Untagged: localhost/busybox:latest\n");
    assert_eq!(node.says("images -q --no-trunc --filter dangling=true").ok(), id);
    node.says("start -a a").ok();
    assert!(!node.says("image prune").ok().contains("Deleted"));
    node.says("rm a").ok();
    assert!(node.says("image prune").ok().contains(&format!("Deleted: {id}")));
}

fn pause_is_always_there(node: &Node) {
    assert!(node.says("images").ok().contains("localhost/pause"), "{}", node.says("images").ok());
    for name in ["pause", "localhost/pause", "localhost/pause:latest"] {
        node.sandbar(["run", "-d", "--name", "a", name]).ok();
        assert_eq!(node.process("a").command(), "/pause");
        node.says("rm -f a").ok();
    }
}

fn a_directory_in_place_of_an_image(node: &Node) {
    let directory = node.path("root");
    tar::Archive::new(&Rootfs::busybox().into_archive()[..])
        .unpack(&directory)
        .expect("a directory");
    let path = directory.display().to_string();
    let script = "echo written >/file; rm /etc/passwd; cat /file";
    let run = ["run", "--rm", "--net=none", "--rootfs", &path, "sh", "-c", script];
    assert_eq!(node.sandbar(run).ok(), "written\n");
    assert!(
        !directory.join("file").exists() && directory.join("etc/passwd").exists(),
        "it was written to"
    );
    node.says("run --rm --net none --rootfs ./root echo here").directory(node.path("")).ok();
    node.says("run --rm --rootfs /no/such/directory true").refused(125, &["/no/such/directory"]);
    node.says("run --rm --rootfs /etc/passwd true").refused(125, &["/etc/passwd"]);
}

fn the_hosts_own_programs_in_a_pod(node: &Node) {
    node.says("run -d --name a --rootfs / sleep 1000").ok();
    let hosts = fs::read_to_string("/etc/os-release").unwrap_or_default();
    assert_eq!(node.says("exec a cat /etc/os-release").run().stdout(), hosts);
    node.says("exec a sh -c")
        .with(["echo written >/etc/sandbar-was-here && cat /etc/sandbar-was-here"])
        .ok();
    assert!(!std::path::Path::new("/etc/sandbar-was-here").exists());
    // Its processes, network and mounts are its own.
    assert_eq!(node.says("exec a sh -c").with(["cat /proc/1/comm"]).ok(), "sleep\n");
    assert!(node.address("a").starts_with("10."));
    node.says("rm -f a").ok();
}

fn archives_that_are_none_are_refused(node: &Node) {
    node.has_busybox();
    let whole = docker_archive("cut", layers(), &config());
    for (input, why) in [
        (Vec::new(), "nothing"),
        (b"this is no archive at all\n".repeat(100), "text"),
        (whole[..whole.len() / 2].to_vec(), "a half"),
        (Rootfs::new().file("manifest.json", 0o644, b"{").into_archive(), "no JSON"),
        (
            Rootfs::new()
                .file(
                    "manifest.json",
                    0o644,
                    br#"[{"Config":"../../etc/passwd","RepoTags":["x"],"Layers":[]}]"#,
                )
                .into_archive(),
            "a path",
        ),
        (Rootfs::new().file("readme", 0o644, b"hello").into_archive(), "no image"),
    ] {
        let output = node.says("load").input(input).run();
        assert_eq!(output.exit_code(), 1, "{why}: {output}");
        assert!(output.stderr().lines().count() <= 2, "{why}: {output}");
    }
    node.says("load -i /no/such/file").refused(1, &["/no/such/file"]);
    node.says("import /no/such/file x").refused(1, &["/no/such/file"]);
    node.says("import - BAD/Name").input(Rootfs::new().into_archive()).code(1);
    let listed = node.says("images -q").ok();
    assert_eq!(listed.lines().count(), 2, "busybox and pause: {listed}");
}
