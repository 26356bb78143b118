//! Images from a registry: distribution's own, with what skopeo stores in it.

use std::fs;

use sandbar_tests::{Node, Rootfs, Running, SOON, docker_archive, get, tests, until};

tests! {
    an_image_is_pulled_and_runs [Registry],
    what_can_not_be_pulled_is_told_and_nothing_is_left [Registry],
}

const REGISTRY: &str = "127.0.0.1:5000";

fn registry(node: &Node) -> Running {
    let configuration = node.file(
        "registry.yml",
        format!(
            "version: 0.1\nhttp: {{ addr: '{REGISTRY}' }}\n\
             storage: {{ filesystem: {{ rootdirectory: '/run/test/registry' }} }}\n"
        ),
    );
    let registry = node.run("docker-registry", ["serve".into(), configuration]).begin();
    until("the registry", SOON, || get(REGISTRY, "/v2/").filter(|it| it.status == 200));
    let config = r#"{"Cmd":["cat","/etc/motd"]}"#;
    let config = serde_json::from_str(config).expect("a configuration");
    let motd = Rootfs::busybox().file("etc/motd", 0o644, b"from afar\n");
    let archive = node.file("image.tar", docker_archive("far:1", vec![motd], &config));
    let from = format!("docker-archive:{}", archive.display());
    let to = format!("docker://{REGISTRY}/some/far:1");
    let words = ["copy", "--insecure-policy", "--dest-tls-verify=false", &from, &to];
    node.run("skopeo", words).ok();
    registry
}

fn an_image_is_pulled_and_runs(node: &Node) {
    let registry = registry(node);
    let name = format!("{REGISTRY}/some/far:1");
    let id = node.says(&format!("pull {name}")).ok();
    assert!(id.starts_with("sha256:"), "{id}");
    assert_eq!(node.says(&format!("pull --tls-verify=false {name}")).ok(), id);
    assert!(node.says("images").ok().contains("127.0.0.1:5000/some/far"));
    assert_eq!(node.says(&format!("run --rm {name}")).ok(), "from afar\n");
    registry.kill();
}

fn what_can_not_be_pulled_is_told_and_nothing_is_left(node: &Node) {
    let registry = registry(node);
    let pull = |name: &str| node.says(&format!("pull {REGISTRY}/{name}"));
    pull("some/far:2").refused(1, &["some/far:2", "404"]);
    pull("no/such").refused(1, &["no/such"]);
    node.says("pull localhost/here").refused(1, &["localhost/here", "of this machine"]);
    node.says("pull sha256:012345abcdef").refused(1, &["sha256:012345abcdef", "is an id"]);
    node.says("pull UPPER/case").refused(1, &["UPPER/case"]);
    let platform = format!("pull --platform linux/s390x {REGISTRY}/some/far:1");
    node.says(&platform).refused(1, &["s390x"]);
    registry.kill();
    pull("some/far:1").refused(1, &["127.0.0.1:5000", "refused"]);
    let images = node.says("images").ok();
    assert!(!images.contains("far") && !images.contains("<none>"), "{images}");
    let partial = fs::read_dir("/var/lib/sandbar/images/partial");
    assert_eq!(partial.map_or(0, Iterator::count), 0);
}
