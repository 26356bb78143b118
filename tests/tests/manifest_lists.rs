//! Images of several platforms under one name, in distribution's registry, for Skopeo and Podman and from them.

use std::path::PathBuf;

use sandbar_tests::{Command, Node, Rootfs, Running, SOON, docker_archive, get, tests, until};
use serde_json::{Value, json};

tests! {
    a_list_is_made_here_and_each_platform_finds_its_image [Registry],
    what_a_registry_has_goes_into_a_list_without_being_pulled [Registry],
    what_can_not_be_listed_is_told [Registry],
    podman_pulls_from_a_list_and_its_lists_are_read [Registry, Podman],
}

const REGISTRY: &str = "127.0.0.1:5000";
const OTHER: &str = "127.0.0.1:5001";
const OURS: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

fn registry(node: &Node, address: &str) -> Running {
    let name = address.replace([':', '.'], "-");
    let configuration = node.file(
        &format!("{name}.yml"),
        format!(
            "version: 0.1\nhttp: {{ addr: '{address}' }}\n\
             storage: {{ filesystem: {{ rootdirectory: '/run/test/{name}' }} }}\n"
        ),
    );
    let registry = node.run("docker-registry", ["serve".into(), configuration]).begin();
    until("the registry", SOON, || get(address, "/v2/"));
    registry
}

/// Images `localhost/here:1` for this machine and `localhost/there:1` for s390x.
fn has_images(node: &Node) {
    let load = |name: &str, architecture: &str| {
        let config = json!({ "Cmd": ["cat", "/etc/motd"] });
        let motd = Rootfs::busybox().file("etc/motd", 0o644, name.as_bytes());
        let archive = docker_archive(&format!("localhost/{name}:1"), vec![motd], &config);
        let text = |architecture: &str| format!(r#""architecture":"{architecture}""#);
        node.says("load").input(replaced(archive, &text(OURS), &text(architecture))).ok();
    };
    load("here", OURS);
    load("there", "s390x");
}

/// The first `from` replaced by `to`, which is as long.
fn replaced(mut bytes: Vec<u8>, from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|it| it == from.as_bytes());
    let at = at.expect("what is replaced");
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

fn skopeo(node: &Node, image: &str) -> Value {
    let image = format!("docker://{image}");
    let words = ["inspect", "--raw", "--tls-verify=false", &image];
    serde_json::from_str(&node.run("skopeo", words).ok()).expect("a manifest")
}

fn id(node: &Node, image: &str) -> String {
    node.inspect(image)["Id"].as_str().expect("an id").to_owned()
}

/// `REGISTRY/all:1`, with both images.
fn has_list(node: &Node) -> String {
    has_images(node);
    assert_eq!(node.says("manifest create all:1 here:1").ok(), "localhost/all:1\n");
    let added = node.says("manifest add all:1 there:1").ok();
    assert!(added.starts_with("sha256:"), "{added}");
    node.says(&format!("manifest push all:1 {REGISTRY}/all:1")).ok()
}

fn a_list_is_made_here_and_each_platform_finds_its_image(node: &Node) {
    let registry = registry(node, REGISTRY);
    let digest = has_list(node);
    let shown = node.says("manifest inspect all:1").ok();
    let shown: Value = serde_json::from_str(&shown).expect("an index");
    assert_eq!(skopeo(node, &format!("{REGISTRY}/all@{}", digest.trim())), shown);
    assert_eq!(shown["manifests"][1]["platform"]["architecture"], "s390x");
    let ids = ["here:1", "there:1"].map(|it| id(node, it));
    node.says("rmi -f here:1 there:1").ok();
    let pull = |options: &str| node.says(&format!("pull {options} {REGISTRY}/all:1")).ok();
    assert_eq!(pull("").trim(), ids[0]);
    assert_eq!(node.says(&format!("run --rm {REGISTRY}/all:1")).ok(), "here");
    assert_eq!(pull("--platform linux/s390x").trim(), ids[1]);
    // As an archive it is read by Skopeo too.
    node.says("manifest create saved").with(&ids).ok();
    node.says("save --format oci-archive saved -o /run/test/saved.tar").ok();
    let archive = "oci-archive:/run/test/saved.tar:localhost/saved:latest";
    let words = ["copy", "--all", "--insecure-policy", archive, "dir:/run/test/saved"];
    node.run("skopeo", words).ok();
    // Skopeo copies all of it, and checks it on the way.
    let (from, to) = (format!("docker://{REGISTRY}/all:1"), "dir:/run/test/all");
    let words = ["copy", "--all", "--src-tls-verify=false", "--insecure-policy", &from, to];
    node.run("skopeo", words).ok();
    assert!(node.says("manifest ls").ok().contains(&format!("linux/{OURS}, linux/s390x")));
    // Images that were removed are here again: the list is as it was. Under its own name it goes to where that says.
    let named = format!("{REGISTRY}/more:2");
    node.says(&format!("manifest create {named} {}", ids[1])).ok();
    node.says(&format!("manifest create --amend {named} {}", ids[0])).ok();
    let file = node.path("digest");
    node.says(&format!("manifest push --compression-format zstd {named} --digestfile"))
        .with([&file])
        .ok();
    let pushed = skopeo(node, &named);
    let first = pushed["manifests"][0]["digest"].as_str().expect("a digest");
    let manifest = skopeo(node, &format!("{REGISTRY}/more@{first}"));
    assert_eq!(manifest["config"]["digest"], ids[1].as_str());
    assert!(manifest["layers"][0]["mediaType"].as_str().is_some_and(|it| it.ends_with("zstd")));
    node.says(&format!("manifest rm saved all:1 {named}")).ok();
    assert_eq!(node.says("manifest ls -q").ok(), "");
    registry.kill();
}

fn what_a_registry_has_goes_into_a_list_without_being_pulled(node: &Node) {
    let running = [registry(node, REGISTRY), registry(node, OTHER)];
    let digest = has_list(node);
    node.says("rmi -f here:1 there:1").ok();
    node.says("manifest rm all:1").ok();
    // What is there is shown.
    let served = node.says(&format!("manifest inspect {REGISTRY}/all:1")).ok();
    let served: Value = serde_json::from_str(&served).expect("an index");
    assert_eq!(served, skopeo(node, &format!("{REGISTRY}/all:1")));
    // One of it, or all.
    node.says("manifest create some").ok();
    let add = |options: &str| node.says(&format!("manifest add {options} some {REGISTRY}/all:1"));
    let added = add("--arch s390x").ok();
    node.says("manifest remove some").with([added.trim()]).ok();
    assert_eq!(add("--arch s390x").ok(), added);
    assert_eq!(add("--all").ok().lines().count(), 2);
    assert!(!node.says("images").ok().contains("all"), "it was pulled");
    // Within the registry, and to another.
    for to in [format!("{REGISTRY}/copy:1"), format!("{OTHER}/copy:1")] {
        node.says(&format!("manifest push some docker://{to}")).ok();
        let words = ["copy", "--all", "--src-tls-verify=false", "--insecure-policy"];
        let (from, into) = (format!("docker://{to}"), format!("dir:/run/test/{}", to.len()));
        node.run("skopeo", words).with([from, into]).ok();
        let all = |index: Value| {
            let mut all: Vec<_> = index["manifests"].as_array().expect("manifests").clone();
            all.sort_by_key(|it| it["digest"].to_string());
            all
        };
        let original = skopeo(node, &format!("{REGISTRY}/all@{}", digest.trim()));
        assert_eq!(all(skopeo(node, &to)), all(original));
    }
    running.into_iter().for_each(Running::kill);
}

fn what_can_not_be_listed_is_told(node: &Node) {
    let registry = registry(node, REGISTRY);
    has_images(node);
    node.says("manifest create all here:1").ok();
    node.says("manifest create all").refused(1, &["localhost/all", "already", "--amend"]);
    node.says("manifest add none here:1").refused(1, &["none", "manifest ls"]);
    node.says("manifest inspect none").refused(1, &["none", "manifest ls"]);
    node.says(&format!("manifest inspect {REGISTRY}/no:1")).refused(1, &["no:1", "404"]);
    let none = format!("manifest remove all sha256:{}", "0".repeat(64));
    node.says(&none).refused(1, &["localhost/all", "not in", "manifest inspect"]);
    node.says("manifest annotate all here:1").code(2);
    node.says("manifest add all there:1 --arch").with(["a b"]).refused(1, &["not a platform"]);
    node.says("manifest annotate all there:1 --arch arm").refused(1, &["not in", "hint: "]);
    node.says("manifest annotate all here:1 --arch arm --variant v6").ok();
    assert!(node.says("manifest ls").ok().contains("linux/arm/v6"));
    node.says(&format!("manifest annotate all here:1 --arch {OURS}")).ok();
    node.says("manifest rm none").refused(1, &["none"]);
    node.says("push all").refused(1, &["no image", "manifest push"]);
    node.says("save all").refused(1, &["all is a manifest list", "OCI"]);
    node.says("manifest push all").refused(1, &["of this machine", "hint: "]);
    node.says("manifest add all localhost/no").refused(1, &["localhost/no"]);
    node.says(&format!("manifest add all {REGISTRY}/no:1")).refused(1, &["no:1", "404"]);
    node.says("manifest create empty").ok();
    node.says(&format!("manifest push empty {REGISTRY}/x")).refused(1, &["no images"]);
    // Its images are not there, and are not to be sent.
    let alone = format!("manifest push --all=false all {REGISTRY}/x");
    node.says(&alone).refused(1, &["manifest"]);
    node.says("rmi here:1").ok();
    let gone = format!("linux/{OURS}");
    node.says(&format!("manifest push all {REGISTRY}/x")).refused(1, &[&gone, "needed"]);
    registry.kill();
}

fn podman_pulls_from_a_list_and_its_lists_are_read(node: &Node) {
    let registry = registry(node, REGISTRY);
    has_list(node);
    let ids = ["here:1", "there:1"].map(|it| id(node, it));
    let podman = |line: &str| -> Command {
        let own = ["--events-backend=none", "--root=/var/lib/containers/storage"];
        node.run("/usr/bin/podman", own).with(line.split_whitespace())
    };
    let pull =
        |more: &str| podman(&format!("pull -q --tls-verify=false {more} {REGISTRY}/all:1")).ok();
    assert_eq!(format!("sha256:{}", pull("").trim()), ids[0]);
    assert_eq!(format!("sha256:{}", pull("--arch s390x").trim()), ids[1]);
    // Podman's own list of the same.
    podman("manifest create theirs").ok();
    let add = format!("manifest add --all --tls-verify=false theirs docker://{REGISTRY}/all:1");
    podman(&add).ok();
    podman(&format!("manifest push --all --tls-verify=false theirs docker://{REGISTRY}/theirs"))
        .ok();
    node.says("rmi -f here:1 there:1").ok();
    let pulled = node.says(&format!("pull --platform linux/s390x {REGISTRY}/theirs")).ok();
    assert_eq!(pulled.trim(), ids[1]);
    node.says("manifest create again").ok();
    node.says(&format!("manifest add --all again {REGISTRY}/theirs")).ok();
    let list = PathBuf::from("/run/test/digest");
    let push = format!("manifest push again {REGISTRY}/again --digestfile");
    node.says(&push).with([&list]).ok();
    podman("rmi -af").ok();
    let again = podman(&format!("pull -q --tls-verify=false {REGISTRY}/again")).ok();
    assert_eq!(format!("sha256:{}", again.trim()), ids[0]);
    podman("rmi -af").ok();
    registry.kill();
}
