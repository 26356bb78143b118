//! Images that `run` and `create` bring by themselves, and what is seen of a pull.

use std::fs;

use rustix::process::Signal;
use sandbar_tests::{Answer, INDEX, MANIFEST, Node, Registry, Rootfs, SOON, noise, tests, until};
use serde_json::json;

tests! {
    a_missing_image_is_pulled_before_anything_is_made,
    what_is_here_is_pulled_again_only_if_asked_for,
    ids_and_images_of_this_machine_are_asked_of_nobody,
    a_short_name_runs_as_what_was_pulled,
    the_image_of_another_platform_is_another_image,
    a_pull_is_seen_on_a_terminal_and_nowhere_else,
    an_interrupted_pull_goes_on_where_it_was,
}

const REGISTRY: &str = "127.0.0.1:5000";

fn says(text: &str) -> Vec<Rootfs> {
    vec![Rootfs::busybox().file("says", 0o644, text.as_bytes())]
}

fn registry() -> Registry {
    let registry = Registry::start(REGISTRY);
    registry.put_image("app:1", says("first\n"), &json!({ "Cmd": ["cat", "/says"] }));
    registry
}

fn a_missing_image_is_pulled_before_anything_is_made(node: &Node) {
    let registry = registry();
    let run = format!("run --rm --net none {REGISTRY}/app:1");
    registry.answers(|_| Answer::Status(403, Vec::new()));
    let words = [REGISTRY, "app:1", "no image", "can't be brought", "403"];
    node.says(&run).refused(125, &words);
    node.says(&run.replace("run --rm", "create --name a")).refused(125, &words);
    registry.answers(|request| match request.is_for_blob() {
        true => Answer::Cut(5),
        false => Answer::Usual,
    });
    node.says(&run).refused(125, &["app:1", "too early"]);
    assert!(node.pods().is_empty(), "a pod was made");
    registry.answers(|_| Answer::Usual);
    let said = node.says(&run).code(0);
    assert_eq!((said.stdout().as_str(), said.stderr().as_str()), ("first\n", ""));
    assert_eq!(node.says("ps -aq").ok(), "");
    // What is here needs nobody.
    _ = registry.requests();
    node.says(&run).ok();
    node.says(&format!("create --name a {REGISTRY}/app:1")).ok();
    assert!(registry.requests().is_empty());
    assert_eq!(node.says("start -a a").ok(), "first\n");
    node.says("rm a").ok();
}

fn what_is_here_is_pulled_again_only_if_asked_for(node: &Node) {
    let registry = registry();
    let run =
        |when: &str| node.says(&format!("run --rm --net none --pull {when} {REGISTRY}/app:1"));
    run("never").refused(125, &["no image", "app:1", "sandbar pull"]);
    assert!(registry.requests().is_empty());
    assert_eq!(run("missing").ok(), "first\n");
    registry.put_image("app:1", says("second\n"), &json!({ "Cmd": ["cat", "/says"] }));
    assert_eq!(run("missing").ok(), "first\n");
    assert_eq!(run("never").ok(), "first\n");
    assert_eq!(run("always").ok(), "second\n");
    registry.put_image("app:1", says("third\n"), &json!({ "Cmd": ["cat", "/says"] }));
    assert_eq!(run("newer").ok(), "third\n");
    registry.answers(|_| Answer::Status(403, Vec::new()));
    run("always").refused(125, &["app:1", "403"]);
    let said = run("newer").code(0);
    assert!(said.stdout() == "third\n" && said.stderr().contains("403"), "{said}");
    run("sometimes").refused(125, &["sometimes"]);
    node.says("run --rm --pull always --rootfs / true").refused(125, &["--rootfs"]);
}

fn ids_and_images_of_this_machine_are_asked_of_nobody(node: &Node) {
    let registry = registry();
    let id = node.says(&format!("pull {REGISTRY}/app:1")).ok();
    let (id, _) = (id.trim().to_owned(), registry.requests());
    assert_eq!(node.says(&format!("run --rm --net none {id}")).ok(), "first\n");
    node.says(&format!("run --pull always {id}")).refused(125, &["is an id"]);
    let other = format!("sha256:{}", "ab".repeat(32));
    node.says(&format!("run {other}")).refused(125, &["no image", &other]);
    node.says(&format!("run --platform linux/arm64 {other}")).refused(125, &["no image", &other]);
    node.says("run localhost/nothing").refused(125, &["localhost/nothing", "of this machine"]);
    node.says("run --pull always localhost/pause").refused(125, &["of this machine"]);
    assert!(registry.requests().is_empty());
}

fn a_short_name_runs_as_what_was_pulled(node: &Node) {
    let registry = registry();
    node.configure(
        "sandbar/registries.toml",
        &format!("unqualified-search-registries = [\"localhost:1\", \"{REGISTRY}\"]"),
    );
    node.says("run --net none app:1").refused(125, &["localhost:1/app:1", "refused"]);
    node.configure(
        "sandbar/registries.toml",
        &format!("unqualified-search-registries = [\"{REGISTRY}\"]"),
    );
    assert_eq!(node.says("run --rm --net none app:1").ok(), "first\n");
    assert!(!registry.requests().is_empty());
    // From now on the full name is known here, and the short one is asked for again.
    assert_eq!(node.says(&format!("run --rm --net none {REGISTRY}/app:1")).ok(), "first\n");
}

fn the_image_of_another_platform_is_another_image(node: &Node) {
    let registry = registry();
    let mut entries = Vec::new();
    for (architecture, tag) in [("amd64", "x"), ("arm64", "y")] {
        let mut manifest = registry.put_image(
            &format!("both:{tag}"),
            says(&format!("{architecture}\n")),
            &json!({ "Cmd": ["cat", "/says"] }),
        );
        if cfg!(target_arch = "x86_64") && architecture == "arm64" {
            manifest =
                registry.put_config(&manifest, |config| config["architecture"] = json!("arm64"));
        }
        let digest = registry.put_manifest("both", tag, MANIFEST, &manifest);
        entries.push(json!({
            "mediaType": MANIFEST, "digest": digest, "size": manifest.to_string().len(),
            "platform": { "os": "linux", "architecture": architecture },
        }));
    }
    registry.put_manifest(
        "both",
        "1",
        INDEX,
        &json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": entries,
        }),
    );
    let run =
        |options: &str| node.says(&format!("run --rm --net none {options} {REGISTRY}/both:1"));
    assert_eq!(run("").ok(), "amd64\n");
    // Its programs are this machine's in truth.
    assert_eq!(run("--platform linux/arm64").ok(), "arm64\n");
    let refused = run("--pull never --platform linux/amd64").code(125);
    assert!(refused.stderr().contains("is for linux/arm64"), "{refused}");
    assert_eq!(run("--platform linux/amd64").ok(), "amd64\n");
    _ = registry.requests();
    assert_eq!(run("--platform linux/amd64").ok(), "amd64\n");
    assert!(registry.requests().is_empty());
    run("--platform linux/s390x").refused(125, &["both:1", "s390x"]);
    run("--platform x").refused(125, &["--platform"]);
}

fn large(registry: &Registry) -> String {
    let layers = [1, 2].map(|n| Rootfs::new().file(&format!("{n}"), 0o644, &noise(n, 2 << 20)));
    registry.put_image("large:1", layers.into(), &json!({}));
    registry.name("large:1")
}

fn a_pull_is_seen_on_a_terminal_and_nowhere_else(node: &Node) {
    let registry = registry();
    let name = large(&registry);
    registry.answers(|_| Answer::Slow);
    let mut terminal = node.terminal(&node.says(&format!("pull {name}")));
    assert_eq!(terminal.wait(), 0, "{}", terminal.shown());
    let shown = terminal.shown();
    assert!(shown.contains("MB of 2.1MB") && shown.contains(": done"), "{shown}");
    assert_eq!(shown.matches("sha256:").count(), 1, "{shown}");
    node.says(&format!("rmi {name}")).ok();
    let mut terminal = node.terminal(&node.says(&format!("pull -q {name}")));
    assert_eq!(terminal.wait(), 0);
    assert!(!terminal.shown().contains("done"), "{}", terminal.shown());
    node.says(&format!("rmi {name}")).ok();
    assert_eq!(node.says(&format!("pull {name}")).code(0).stderr(), "");
}

fn an_interrupted_pull_goes_on_where_it_was(node: &Node) {
    let registry = registry();
    let name = large(&registry);
    registry.answers(|request| match request.is_for_blob() {
        true => Answer::Stall(1 << 20),
        false => Answer::Usual,
    });
    let pull = node.says(&format!("pull {name}")).begin();
    let halves = || {
        let files = fs::read_dir("/var/lib/sandbar/images/partial").ok()?.flatten();
        let sizes: Vec<_> = files.filter_map(|it| Some(it.metadata().ok()?.len())).collect();
        (sizes.contains(&(1 << 20))).then_some(())
    };
    until("half a layer", SOON, halves);
    pull.signal(Signal::INT);
    let _ended = pull.wait();
    node.says(&format!("inspect {name}")).code(1);
    registry.answers(|_| Answer::Usual);
    _ = registry.requests();
    node.says(&format!("pull {name}")).ok();
    let from: Vec<_> = registry.requests().iter().map(sandbar_tests::Request::from).collect();
    assert!(from.contains(&(1 << 20)), "{from:?}");
}
