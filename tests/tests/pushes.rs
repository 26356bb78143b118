//! Images on their way to a registry: distribution's own; and what Podman and Skopeo make of them there.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use sandbar_tests::{Node, Rootfs, Running, SOON, get, tests, until};
use serde_json::Value;

tests! {
    an_image_is_pushed_and_is_the_same_for_others [Registry],
    what_is_there_is_not_sent_and_a_pulled_manifest_stays_as_it_is [Registry],
    a_registry_that_wants_to_know_who_asks [Registry],
    what_can_not_be_pushed_is_told [Registry],
    a_registry_that_says_no_is_told_in_its_own_words,
    a_registry_that_dies_in_the_middle_gets_the_rest_later [Registry],
    podman_runs_what_was_pushed_and_its_images_run_here [Registry, Podman],
}

const REGISTRY: &str = "127.0.0.1:5000";

/// A registry with these further lines of configuration.
fn registry(node: &Node, more: &str) -> Running {
    serve(node, "delete: { enabled: false }", more)
}

/// One with further settings of its storage, too.
fn serve(node: &Node, storage: &str, more: &str) -> Running {
    let configuration = node.file(
        "registry.yml",
        format!(
            "version: 0.1\nhttp: {{ addr: '{REGISTRY}' }}\nstorage:\n  \
             filesystem: {{ rootdirectory: '/run/test/registry' }}\n  {storage}\n{more}"
        ),
    );
    let registry = node.run("docker-registry", ["serve".into(), configuration]).begin();
    until("the registry", SOON, || get(REGISTRY, "/v2/"));
    registry
}

/// An image `localhost/app:1` of one layer, which says who it is.
fn has_app(node: &Node) -> String {
    let motd = Rootfs::busybox().file("etc/motd", 0o644, b"from here\n");
    node.import("app:1", motd, &["CMD [\"cat\", \"/etc/motd\"]"]);
    id(node, "app:1")
}

fn id(node: &Node, image: &str) -> String {
    node.inspect(image)["Id"].as_str().expect("an id").to_owned()
}

/// What skopeo finds in the registry: the manifest, with its digest.
fn skopeo(node: &Node, image: &str) -> Value {
    let image = format!("docker://{REGISTRY}/{image}");
    let words = ["inspect", "--raw", "--tls-verify=false", &image];
    serde_json::from_str(&node.run("skopeo", words).ok()).expect("a manifest")
}

fn an_image_is_pushed_and_is_the_same_for_others(node: &Node) {
    let registry = registry(node, "");
    let id = has_app(node);
    let digest = node.says(&format!("push app:1 {REGISTRY}/team/app:1")).ok();
    assert!(digest.starts_with("sha256:"), "{digest}");
    // Only a terminal is told how far it is.
    let push = node.says(&format!("push app:1 {REGISTRY}/team/other:1"));
    let mut terminal = node.terminal(&push);
    terminal.shows(": already there");
    terminal.shows(digest.trim());
    assert_eq!(terminal.wait(), 0);
    let quiet = push.run();
    assert_eq!((quiet.stdout(), quiet.stderr()), (digest.clone(), String::new()));
    let manifest = skopeo(node, "team/app:1");
    assert_eq!(manifest["config"]["digest"], id.as_str());
    // By its own name, and as zstd.
    node.says(&format!("tag app:1 {REGISTRY}/team/app:2")).ok();
    let file = node.path("digest");
    let push = format!("push --compression-format zstd {REGISTRY}/team/app:2 --digestfile");
    let other = node.says(&push).with([&file]).ok();
    assert_ne!(other, digest);
    assert_eq!(fs::read_to_string(file).expect("a digest"), other.trim());
    let kind = skopeo(node, "team/app:2")["layers"][0]["mediaType"].clone();
    assert_eq!(kind, "application/vnd.oci.image.layer.v1.tar+zstd");
    // And back again.
    node.says("rmi -f app:1").ok();
    for tag in ["1", "2"] {
        let pulled = node.says(&format!("pull {REGISTRY}/team/app:{tag}")).ok();
        assert_eq!(pulled.trim(), id);
    }
    assert_eq!(node.says(&format!("run --rm {REGISTRY}/team/app:1")).ok(), "from here\n");
    registry.kill();
}

fn what_is_there_is_not_sent_and_a_pulled_manifest_stays_as_it_is(node: &Node) {
    let registry = registry(node, "");
    has_app(node);
    // As another tool packs it.
    let archive = node.path("app.tar");
    node.says("save app:1 -o").with([&archive]).ok();
    let from = format!("docker-archive:{}", archive.display());
    let to = format!("docker://{REGISTRY}/their/app:1");
    node.run("skopeo", ["copy", "--dest-tls-verify=false", "--insecure-policy", &from, &to]).ok();
    node.says("rmi -f app:1").ok();
    let theirs = format!("{REGISTRY}/their/app:1");
    node.says(&format!("pull {theirs}")).ok();
    let digest = node.says(&format!("push {theirs} {REGISTRY}/our/app:1")).ok();
    assert_eq!(skopeo(node, "our/app:1"), skopeo(node, "their/app:1"));
    let blobs = "/run/test/registry/docker/registry/v2/blobs/sha256";
    let count = || {
        let all = fs::read_dir(blobs).expect("blobs").flatten();
        all.map(|it| fs::read_dir(it.path()).map_or(0, Iterator::count)).sum::<usize>()
    };
    // A layer, the configuration, the manifest.
    assert_eq!(count(), 3);
    // By its digest, and as often as one likes.
    let pinned = format!("{REGISTRY}/our/again@{}", digest.trim());
    assert_eq!(node.says(&format!("push {theirs} {pinned}")).ok(), digest);
    assert_eq!(node.says(&format!("push {theirs} {REGISTRY}/our/app:1")).ok(), digest);
    assert_eq!(count(), 3);
    registry.kill();
}

fn a_registry_that_wants_to_know_who_asks(node: &Node) {
    // The password is "secret", by bcrypt.
    let users = "me:$2y$05$JUwiYHKlThwacMmpi3r7KuCj8lLu/izUXJHqhxcCSuOKiDa.iTfSS\n";
    let users = node.file("users", users);
    let auth = format!("auth: {{ htpasswd: {{ realm: here, path: '{}' }} }}\n", users.display());
    let registry = registry(node, &auth);
    has_app(node);
    let push = format!("push app:1 {REGISTRY}/team/app:1");
    node.says(&push).refused(1, &["app:1", "401", "--authfile"]);
    let auths = |word: &str| format!(r#"{{"auths":{{"{REGISTRY}":{{"auth":"{word}"}}}}}}"#);
    // me:secret and me:wrong
    let right = node.file("right.json", auths("bWU6c2VjcmV0"));
    let wrong = node.file("wrong.json", auths("bWU6d3Jvbmc="));
    node.says(&push).with(["--authfile"]).with([&wrong]).refused(1, &["401"]);
    node.says(&push).with(["--authfile"]).with([&right]).ok();
    registry.kill();
}

fn what_can_not_be_pushed_is_told(node: &Node) {
    let registry = registry(node, "");
    let id = has_app(node);
    node.says("push app:1").refused(1, &["localhost/app:1", "of this machine", "hint: "]);
    node.says(&format!("push {id}")).refused(1, &["does not say where to", "hint: "]);
    node.says(&format!("push no:1 {REGISTRY}/no:1")).refused(1, &["no image", "no:1"]);
    node.says(&format!("push app:1 {REGISTRY}/UPPER")).refused(1, &["lower case"]);
    let pinned = format!("{REGISTRY}/app@{id}");
    node.says(&format!("push app:1 {pinned}")).refused(1, &["can't be pushed", &id]);
    // Nobody is sent what was changed in the store.
    let rootfs = Rootfs::busybox().file("etc/motd", 0o644, b"bad");
    node.import("bad:1", rootfs, &[]);
    let layer = node.inspect("bad:1")["RootFS"]["Layers"][0].as_str().expect("a layer").to_owned();
    let layer = &layer["sha256:".len()..];
    fs::write(format!("/var/lib/sandbar/images/layers/{layer}/diff/etc/motd"), "BAD").expect("it");
    for format in ["gzip", "none"] {
        let push = format!("push --compression-format {format} bad:1 {REGISTRY}/bad:1");
        node.says(&push).refused(1, &["bad:1", "damaged in the store"]);
    }
    registry.kill();
    node.says(&format!("push app:1 {REGISTRY}/app:1")).refused(1, &[REGISTRY, "refused"]);
    // One that gives, and takes nothing.
    let registry = serve(node, "maintenance: { readonly: { enabled: true } }", "");
    node.says(&format!("push app:1 {REGISTRY}/app:1")).refused(1, &["app:1", "405"]);
    registry.kill();
    assert_eq!(fs::read_dir("/var/lib/sandbar/images/tmp").map_or(0, Iterator::count), 0);
}

fn a_registry_that_says_no_is_told_in_its_own_words(node: &Node) {
    has_app(node);
    let listener = TcpListener::bind(REGISTRY).expect("a port");
    let answers = thread::spawn(move || {
        let body = r#"{"errors":[{"code":"DENIED","message":"not to this team"}]}"#;
        let length = body.len();
        for stream in listener.incoming().take(2) {
            let mut stream = stream.expect("a connection");
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).expect("a request");
            // The first asks whether there is TLS, as that of this machine may have none.
            if request[..read].starts_with(b"HEAD") || request[..read].starts_with(b"POST") {
                let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n";
                let end = format!("Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
                stream.write_all(format!("{head}{end}").as_bytes()).expect("an answer");
            }
        }
    });
    let push = node.says(&format!("push app:1 {REGISTRY}/team/app:1"));
    push.refused(1, &["team/app:1", "403", "hint: "]);
    answers.join().expect("a server");
}

fn a_registry_that_dies_in_the_middle_gets_the_rest_later(node: &Node) {
    let running = registry(node, "");
    // Noise, which takes its time on the way.
    let word = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(n);
    let noise: Vec<u8> = (0..1_000_000).flat_map(|n| word(n).to_le_bytes()).collect();
    let big = Rootfs::busybox().file("noise", 0o644, &noise);
    node.import("big:1", big, &["CMD [\"true\"]"]);
    let push = node.says(&format!("push --compression-format zstd big:1 {REGISTRY}/big:1"));
    let begun = push.begin();
    let uploads = Path::new("/run/test/registry/docker/registry/v2/repositories/big/_uploads");
    until("that an upload begins", SOON, || fs::read_dir(uploads).ok()?.next()?.ok());
    running.kill();
    let ended = begun.wait();
    assert_eq!(ended.status.code(), Some(1), "{ended}");
    assert!(ended.stderr().starts_with("sandbar: cannot push big:1"), "{ended}");
    let running = registry(node, "");
    push.ok();
    running.kill();
    assert_eq!(fs::read_dir("/var/lib/sandbar/images/tmp").map_or(0, Iterator::count), 0);
}

fn podman_runs_what_was_pushed_and_its_images_run_here(node: &Node) {
    let registry = registry(node, "");
    let id = has_app(node);
    node.says(&format!("push app:1 {REGISTRY}/app:1")).ok();
    let podman = |line: &str| {
        let own = ["--events-backend=none", "--root=/var/lib/containers/storage"];
        node.run("/usr/bin/podman", own).with(line.split_whitespace())
    };
    let pulled = podman(&format!("pull -q --tls-verify=false {REGISTRY}/app:1")).ok();
    assert_eq!(format!("sha256:{}", pulled.trim()), id);
    // What Podman pushes back has the same blobs for it to find.
    let push = format!("push -q --tls-verify=false {REGISTRY}/app:1 {REGISTRY}/back:1");
    podman(&push).ok();
    node.says("rmi -f app:1").ok();
    assert_eq!(node.says(&format!("pull {REGISTRY}/back:1")).ok().trim(), id);
    assert_eq!(node.says(&format!("run --rm {REGISTRY}/back:1")).ok(), "from here\n");
    podman("rmi -af").ok();
    registry.kill();
}
