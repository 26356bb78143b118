//! `sandbar commit`: a container's changes become an image's layer.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use sandbar_tests::{Node, Rootfs, SOON, oci_archive, tests, until};
use serde_json::{Value, json};

tests! {
    what_a_container_wrote_is_in_the_image,
    the_changes_and_the_history_are_in_the_configuration,
    the_same_content_is_the_same_image_with_an_epoch,
    a_running_container_stands_still_for_it_and_never_for_longer,
    what_can_not_be_committed_is_told,
}

/// An image with a lower and an upper file to be changed, as `base`.
fn has_base(node: &Node) {
    let rootfs = Rootfs::busybox()
        .file("srv/kept", 0o644, b"kept")
        .file("srv/changed", 0o644, b"before")
        .file("srv/gone", 0o644, b"gone")
        .file("old/one", 0o644, b"1");
    let config = json!({ "Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": { "of": "base" } });
    let archive = node.file("base.tar", oci_archive("base", vec![rootfs], &config));
    node.says("load -q -i").with([&archive]).ok();
}

/// An image's configuration, as it is in the store.
fn configuration(id: &str) -> Value {
    let hex = id.trim().trim_start_matches("sha256:");
    let blob = PathBuf::from("/var/lib/sandbar/images/blobs/sha256").join(hex);
    serde_json::from_slice(&fs::read(blob).expect("a configuration")).expect("JSON")
}

fn what_a_container_wrote_is_in_the_image(node: &Node) {
    has_base(node);
    let script = "echo after >/srv/changed; rm /srv/gone; rm -r /old; mkdir /old; echo 2 >/old/two; \
                  echo new >/srv/new; ln /srv/new /srv/same; chmod 4755 /srv/new; mkfifo /srv/pipe; \
                  ln -s new /srv/link; echo volume >/data/file";
    node.says("run --name a -v data:/data base sh -c").with([script]).ok();
    let committed = node.says("commit a it:1").run();
    let id = committed.stdout();
    assert!(id.starts_with("sha256:") && id.lines().count() == 1, "{committed}");
    assert!(committed.stderr().contains("the volume /data is no part"), "{committed}");
    assert_eq!(node.says("commit -q a it:1").run().stderr(), "");
    let look = "cd /srv; cat kept changed new same; stat -c '%a %h' new; readlink link; ls /old; \
                [ -p pipe ] && [ ! -e gone ] && [ ! -e /data/file ] && echo so";
    let seen = node.says("run --rm it:1 sh -c").with([look]).ok();
    assert_eq!(seen, "keptafter\nnew\nnew\n4755 2\nnew\ntwo\nso\n");
    // The one it was made of is as it was, and both go.
    assert_eq!(node.says("run --rm base cat /srv/gone").ok(), "gone");
    // What runs on it can be committed again.
    node.says("run --name b it:1 rm /srv/kept").ok();
    node.says("commit b it:2").ok();
    node.says("run --rm it:2 ls /srv/kept").code(1);
    node.says("rm a b").ok();
    node.says("rmi it:1 it:2 base").ok();
}

fn the_changes_and_the_history_are_in_the_configuration(node: &Node) {
    has_base(node);
    node.says("run --name a base touch /new").ok();
    let changes = [
        "CMD [\"cat\", \"/new\"]",
        "ENTRYPOINT [\"/bin/env\"]",
        "ENV PATH=/bin:/usr/bin B='two words'",
        "EXPOSE 80 53/udp",
        "LABEL a=1",
        "ONBUILD RUN make",
        "STOPSIGNAL INT",
        "USER alice",
        "VOLUME /data",
        "WORKDIR /srv",
    ];
    let mut words = vec!["commit", "-q", "-m", "what for", "-a", "A. Author"];
    words.extend(changes.iter().flat_map(|change| ["-c", change]));
    let id = node.sandbar(words).with(["a", "it"]).ok();
    let made = configuration(&id);
    let config = json!({
        "Cmd": ["cat", "/new"], "Entrypoint": ["/bin/env"],
        "Env": ["PATH=/bin:/usr/bin", "B=two words"],
        "ExposedPorts": { "80/tcp": {}, "53/udp": {} }, "Labels": { "of": "base", "a": "1" },
        "OnBuild": ["RUN make"], "StopSignal": "SIGINT", "User": "alice",
        "Volumes": { "/data": {} }, "WorkingDir": "/srv",
    });
    assert_eq!(made["config"], config);
    assert_eq!(made["author"], "A. Author");
    let entry = &made["history"].as_array().expect("a history")[0];
    assert_eq!((&entry["comment"], &entry["author"]), (&json!("what for"), &json!("A. Author")));
    assert_eq!(made["rootfs"]["diff_ids"].as_array().expect("layers").len(), 2);
    let said = node.says("run --rm it sh -c").with(["echo $B; id -un; pwd"]).ok();
    assert_eq!(said, "two words\nalice\n/srv\n");
    node.says("commit a bad -c").with(["RUN ls"]).refused(2, &["RUN ls", "ONBUILD"]);
    node.says("rm a").ok();
}

fn the_same_content_is_the_same_image_with_an_epoch(node: &Node) {
    has_base(node);
    let commit = |name: &str| {
        let script = "mkdir -p /x/y; echo 1 >/x/y/z; echo 2 >/x/a; rm /srv/gone";
        node.says("run --name").with([name, "base", "sh", "-c", script]).ok();
        let id = node.says("commit -q").with([name]).env("SOURCE_DATE_EPOCH", "1000000000").ok();
        node.says("rm").with([name]).ok();
        id
    };
    let one = commit("one");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(commit("two"), one);
    assert_eq!(configuration(&one)["created"], "2001-09-09T01:46:40Z");
    node.says("run --name a base true").ok();
    let refused = node.says("commit a").env("SOURCE_DATE_EPOCH", "now");
    refused.refused(1, &["SOURCE_DATE_EPOCH", "'now'"]);
    node.says("rm a").ok();
}

/// Whether the processes of a container stand still.
fn is_frozen(node: &Node, container: &str) -> bool {
    let pid = node.process(container).number();
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its cgroups");
    text.lines().any(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let (file, frozen) = match controllers {
            "" => ("/sys/fs/cgroup/NAME/cgroup.events", "frozen 1"),
            "freezer" => ("/sys/fs/cgroup/freezer/NAME/freezer.state", "FROZEN"),
            _ => return false,
        };
        let file = file.replace("/NAME", path);
        fs::read_to_string(file).is_ok_and(|state| state.contains(frozen))
    })
}

fn a_running_container_stands_still_for_it_and_never_for_longer(node: &Node) {
    has_base(node);
    let script = "dd if=/dev/zero of=/large bs=1M count=80 2>/dev/null; echo ready; \
                  while :; do echo x >>/log; sleep 0.01; done";
    node.says("run -d --name a base sh -c").with([script]).ok();
    node.prints("a", "ready");
    let grows = || {
        let size = || node.says("exec a stat -c %s /log").ok();
        let before = size();
        until("the container to go on", SOON, || (size() != before).then_some(()));
    };
    let frozen = || until("it to stand still", SOON, || is_frozen(node, "a").then_some(()));
    let thawed = || until("it to go on", SOON, || (!is_frozen(node, "a")).then_some(()));
    // As it is told.
    let commit = node.says("commit -q a it").begin();
    frozen();
    let made = commit.wait();
    assert_eq!(made.exit_code(), 0, "{made}");
    thawed();
    grows();
    assert!(node.says("run --rm it stat -c %s /large").ok().starts_with("83886080"));
    // Not at all.
    let mut commit = node.says("commit -q --pause=false a").begin();
    while !commit.has_ended() {
        assert!(!is_frozen(node, "a"));
    }
    assert_eq!(commit.wait().exit_code(), 0);
    // Whoever reads it is killed.
    let commit = node.says("commit -q a").begin();
    frozen();
    commit.signal(Signal::KILL);
    thawed();
    grows();
    // Its supervisor is: the next goes on, and nobody gets an image of what moved.
    let commit = node.says("commit -q a torn").begin();
    frozen();
    node.supervisor("a").signal(Signal::KILL);
    let torn = commit.wait();
    assert_eq!(torn.exit_code(), 1, "{torn}");
    grows();
    assert!(!node.says("images").ok().contains("torn"));
    // Somebody wants its end.
    let commit = node.says("commit -q a torn").begin();
    frozen();
    node.says("stop -t 0 a").ok();
    let torn = commit.wait();
    assert!(torn.exit_code() == 1 && torn.stderr().contains("meanwhile"), "{torn}");
    node.says("rm a").ok();
}

fn what_can_not_be_committed_is_told(node: &Node) {
    node.has_busybox();
    node.says("commit nobody").refused(1, &["nobody"]);
    node.says("create --name a busybox").ok();
    node.says("commit a UPPER").refused(1, &["UPPER"]);
    // Nothing was written: the image has the same layers, and a history that says so.
    let id = node.says("commit a same").ok();
    assert_eq!(configuration(&id)["history"][1]["empty_layer"], true);
    let root = node.path("root");
    fs::create_dir(&root).expect("a directory");
    node.says("create --name b --rootfs").with([&root]).with(["/bin/sh"]).ok();
    node.says("commit b").refused(1, &["'b'", "--rootfs"]);
    node.says("rm a b").ok();
}
