//! Images that other tools have written to files and directories: each is the image that it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbar_tests::{Command, Node, Rootfs, docker_archive, oci_archive, tests};

tests! {
    whatever_skopeo_writes_is_the_same_image [Registry],
    whatever_podman_writes_is_the_same_image [Podman],
    an_archive_comes_through_a_pipe_compressed_and_in_any_order [Zstd],
    what_is_no_saved_image_is_told,
}

/// Podman needs a while for what Sandbar does at once.
const LONG: Duration = Duration::from_secs(60);

/// Two layers, the upper of which takes away from the lower.
fn layers() -> Vec<Rootfs> {
    let lower = Rootfs::busybox()
        .file("etc/motd", 0o644, b"below\n")
        .file("etc/gone", 0o600, b"gone")
        .file("opt/old/one", 0o644, b"1")
        .file("bin/as-root", 0o4755, &[7; 100_000])
        .directory("spool", 0o1777)
        .link("link", "../etc/motd")
        .fifo("pipe");
    let upper = Rootfs::new()
        .file("etc/motd", 0o640, b"above\n")
        .file("etc/.wh.gone", 0o644, b"")
        .file("opt/old/.wh..wh..opq", 0o644, b"")
        .file("opt/old/two", 0o644, b"2");
    vec![lower, upper]
}

fn config() -> serde_json::Value {
    serde_json::json!({ "Cmd": ["cat", "/etc/motd"], "Env": ["A=b"], "Labels": { "a": "b" } })
}

/// Loads into a root of its own; gives the id, what it is called, and every file of every layer.
fn loaded(node: &Node, input: &Path, count: usize) -> (String, String, String) {
    let root = node.path(&format!("root-{count}"));
    let own = |words: &[&str]| -> Command {
        let roots = ["--root".into(), root.clone(), "--run-root".into(), node.path("run-root")];
        node.sandbar(roots).with(words)
    };
    let names = own(&["load", "-i"]).with([input]).ok();
    let id = own(&["load", "-q", "-i"]).with([input]).ok();
    let script = "cd \"$0\" && find . -path '*/diff*' | sort | while read -r f; do \
                  stat -c '%n %f %u %g %h %t %T %Y' \"$f\"; \
                  [ -h \"$f\" ] && readlink \"$f\"; \
                  [ -f \"$f\" ] && [ ! -h \"$f\" ] && sha256sum \"$f\"; done; true";
    let tree = node.run("/bin/busybox", ["sh", "-c", script]).with([root.join("images/layers")]);
    let tree = tree.ok();
    assert!(tree.contains("/diff/etc/motd"), "{tree}");
    // What the archive says nothing of has the time of its unpacking: a layer's root, and whiteouts.
    let untimed = |line: &str| line.contains("/diff ") || line.contains(" 2000 ");
    let tree = tree.lines().map(|line| match untimed(line) {
        true => format!("{}\n", line.rsplit_once(' ').map_or(line, |(rest, _)| rest)),
        false => format!("{line}\n"),
    });
    let tree = tree.collect();
    fs::remove_dir_all(root).expect("a root that nobody uses");
    (id, names, tree)
}

/// The id that an image has by its configuration, as Skopeo reads it.
fn id_of(node: &Node, image: &str) -> String {
    let config = node.run("skopeo", ["inspect", "--config", "--raw", image]).run().stdout;
    let file = node.file("config-of-it", config);
    let sum = node.run("/bin/busybox", ["sha256sum"]).with([file]).ok();
    format!("sha256:{}\n", sum.split(' ').next().unwrap_or_default())
}

fn whatever_skopeo_writes_is_the_same_image(node: &Node) {
    let docker = node.file("docker.tar", docker_archive("it:1", layers(), &config()));
    let oci = node.file("oci.tar", oci_archive("it:1", layers(), &config()));
    let sources =
        [format!("docker-archive:{}", docker.display()), format!("oci-archive:{}", oci.display())];
    let (_, _, expected) = loaded(node, &docker, 0);
    assert_eq!(loaded(node, &oci, 0).2, expected);
    let gzip = ["--dest-compress", "--dest-compress-format=gzip"];
    let zstd = ["--dest-compress", "--dest-compress-format=zstd"];
    let plain = ["--dest-decompress", "--dest-oci-accept-uncompressed-layers"];
    let mut count = 0;
    let mut ids = Vec::new();
    for source in &sources {
        for (form, ways) in [
            ("docker-archive", &[&plain[..0]][..]),
            ("oci-archive", &[&gzip, &zstd, &plain]),
            ("oci", &[&gzip, &zstd, &plain]),
            ("dir", &[&gzip, &zstd, &plain, &plain[..0]]),
        ] {
            for way in ways {
                count += 1;
                let path = node.path(&format!("written-{count}"));
                let there = match form {
                    "dir" => format!("dir:{}", path.display()),
                    _ => format!("{form}:{}:it:1", path.display()),
                };
                let words = [&["copy", "--insecure-policy"], *way, &[source, &there]].concat();
                // Docker's manifests know of no zstd, and Skopeo says so.
                let copied = node.run("skopeo", &words).within(LONG).run();
                if form == "dir" && source.starts_with("docker") && *way == zstd {
                    assert_ne!(copied.exit_code(), 0, "{copied}");
                    continue;
                }
                assert_eq!(copied.exit_code(), 0, "{words:?}: {copied}");
                let (id, names, tree) = loaded(node, &path, count);
                assert_eq!(id, id_of(node, &there), "{words:?}");
                assert!(tree == expected, "{words:?}: {tree}");
                let named = match form {
                    "docker-archive" => "Loaded image: docker.io/library/it:1\n".to_owned(),
                    "dir" => format!("Loaded image ID: {id}"),
                    _ => "Loaded image: localhost/it:1\n".to_owned(),
                };
                assert_eq!(names, named, "{words:?}");
                ids.push((source, form, id));
            }
        }
    }
    // The same configuration is the same image; only a copy from one kind of manifest to the other writes it anew.
    let of = |which: &dyn Fn(&(&String, &str, String)) -> bool| {
        let mut ids: Vec<_> = ids.iter().filter(|it| which(it)).map(|it| it.2.clone()).collect();
        ids.dedup();
        ids.len()
    };
    assert_eq!(of(&|it| it.0.starts_with("oci") && it.1 != "docker-archive"), 1, "{ids:?}");
    assert_eq!(of(&|it| it.0.starts_with("docker") && it.1.starts_with("oci")), 1, "{ids:?}");
    assert_eq!(of(&|it| it.0.starts_with("docker") && !it.1.starts_with("oci")), 1, "{ids:?}");
}

fn whatever_podman_writes_is_the_same_image(node: &Node) {
    let podman = |line: &str| {
        let own = [
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
            "--root=/var/lib/containers/storage",
            "--runroot=/run/containers/storage",
            "--tmpdir=/run/libpod",
        ];
        node.run("/usr/bin/podman", own).with(line.split_whitespace()).within(LONG)
    };
    let docker = node.file("docker.tar", docker_archive("it:1", layers(), &config()));
    let (id, _, expected) = loaded(node, &docker, 0);
    let name = podman("load -q -i").with([&docker]).ok();
    let name = name.trim().rsplit(' ').next().unwrap_or_default();
    for (count, (format, more)) in [
        ("docker-archive", ""),
        ("oci-archive", ""),
        ("docker-dir", ""),
        ("docker-dir", "--compress"),
        ("oci-dir", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let path = node.path(&format!("saved-{count}"));
        let line = format!("save -q --format {format} {more} -o {}", path.display());
        podman(&line).with([name]).ok();
        let (saved, names, tree) = loaded(node, &path, count + 1);
        assert!(tree == expected, "{line}: {tree}");
        if format.starts_with("docker") {
            assert_eq!(saved, id, "{line}");
        }
        match format {
            "docker-dir" => assert_eq!(names, format!("Loaded image ID: {saved}"), "{line}"),
            _ => assert_eq!(names, format!("Loaded image: {name}\n"), "{line}"),
        }
    }
    podman("rmi -af").ok();
}

/// The members of an archive the other way round.
fn reversed(node: &Node, archive: &Path) -> PathBuf {
    let script = "mkdir \"$0.d\" && tar -x -f \"$0\" -C \"$0.d\" && \
                  cd \"$0.d\" && tar -c -f \"$0.reversed\" $(find . -type f | sort -r)";
    node.run("/bin/busybox", ["sh", "-c", script]).with([archive]).ok();
    archive.with_extension("tar.reversed")
}

fn an_archive_comes_through_a_pipe_compressed_and_in_any_order(node: &Node) {
    for (name, archive) in [
        ("docker.tar", docker_archive("it:1", layers(), &config())),
        ("oci.tar", oci_archive("it:1", layers(), &config())),
    ] {
        let path = node.file(name, &archive);
        let id = node.says("load -q -i").with([&path]).ok();
        let other = reversed(node, &path);
        assert_eq!(node.says("load -q -i").with([&other]).ok(), id);
        node.says("rmi -f").with([id.trim()]).ok();
        let pipe = |command: &str| {
            let script = format!("{command} \"$0\" | \"$1\" load -q");
            node.run("sh", ["-c", &script]).with([&other, &node.program().to_owned()]).ok()
        };
        for command in ["cat", "gzip -c", "zstd -c"] {
            // Nothing of it is here when it comes.
            assert_eq!(pipe(command), id, "{name}, {command}");
            assert_eq!(node.says("run --rm").with([id.trim()]).ok(), "above\n");
            node.says("rmi -f").with([id.trim()]).ok();
        }
    }
}

fn what_is_no_saved_image_is_told(node: &Node) {
    node.says("load -i /etc").refused(1, &["/etc", "neither", "index.json"]);
    node.says("load -i /no/such").refused(1, &["/no/such", "No such file"]);
    let archive = node.file("oci.tar", oci_archive("it:1", layers(), &config()));
    node.says("load --platform linux/s390x -i").with([&archive]).refused(1, &["linux/s390x"]);
    node.says("load --platform s390x").refused(2, &["s390x", "OS/ARCHITECTURE"]);
    let cut = fs::read(&archive).expect("the archive");
    let cut = node.file("cut.tar", &cut[..cut.len() / 2]);
    node.says("load -i").with([&cut]).refused(1, &["cut.tar", "ends too early"]);
    let images = node.says("images").ok();
    assert!(!images.contains("it") && !images.contains("<none>"), "{images}");
}
