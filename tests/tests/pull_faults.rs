//! Registries that fail, lie or stop, disks that are full, and pulls that are killed: each is told by its name and its
//! cause, leaves the images as they were, and the next pull goes on from where this one was.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use sandbar_tests::{Answer, INDEX, MANIFEST, Node, Registry, Request, Rootfs, noise, tests};
use serde_json::{Value, json};

tests! {
    nobody_there,
    refusals_are_told_by_their_status,
    a_registry_that_is_busy_is_waited_for,
    a_layer_that_ends_too_early_goes_on_later,
    a_layer_that_stalls_goes_on_later,
    a_layer_of_another_digest_or_size_is_refused,
    a_redirection_to_itself_is_refused,
    an_image_for_other_platforms_alone_is_refused,
    a_disk_that_gets_full_is_left_as_it_was,
    a_pull_killed_at_any_point_leaves_the_images_sound,
    row_14_a_pulled_layer_reaches_nothing_outside_of_it,
    row_15_a_manifest_that_is_also_an_index_is_refused,
    row_16_a_layer_that_unfolds_without_end_is_stopped_by_the_disk_alone,
    row_17_a_digest_that_is_a_path_is_refused_unasked,
    row_17_a_login_tells_nobody_elses_realm,
}

const REGISTRY: &str = "127.0.0.1:5000";
const NAME: &str = "127.0.0.1:5000/app:1";
/// Large enough to be cut, small enough for a debugging build.
const SIZE: usize = 1_500_000;

/// A registry with one image of one layer, and a machine that waits no longer than a test should.
fn registry(node: &Node) -> Registry {
    node.configure(
        "sandbar/registries.toml",
        "[patience]\nconnect-seconds = 2\nstall-seconds = 1\nattempts = 2\nlongest-pause-seconds = 2\n",
    );
    let registry = Registry::start(REGISTRY);
    let layer = Rootfs::busybox().file("noise", 0o644, &noise(1, SIZE));
    registry.put_image("app:1", vec![layer], &json!({ "Cmd": ["echo", "well"] }));
    registry
}

/// What images take of the disk, and how many there are.
fn images(node: &Node) -> Value {
    let said = node.says("system df --format json").ok();
    let rows: Value = serde_json::from_str(&said).expect("JSON");
    rows[0].clone()
}

/// The pull of `name` fails with all of these words, and the images are as before.
#[track_caller]
fn fails(node: &Node, name: &str, words: &[&str]) {
    let before = images(node);
    let words: Vec<_> = words.iter().copied().chain([name]).collect();
    node.says(&format!("pull {name}")).refused(1, &words);
    assert_eq!(images(node), before, "{name}");
    node.says("system check").ok();
    assert!(!node.says("images").ok().contains("app"));
}

/// Now it is pulled, and asked for from each of these bytes on among others.
#[track_caller]
fn comes(node: &Node, registry: &Registry, from: &[usize]) {
    registry.answers(|_| Answer::Usual);
    _ = registry.requests();
    assert_eq!(node.says(&format!("run --rm --net none {NAME}")).ok(), "well\n");
    let requests = registry.requests();
    let asked: Vec<_> = requests.iter().filter(|it| it.is_for_blob()).map(Request::from).collect();
    assert!(from.iter().all(|from| asked.contains(from)), "{from:?} in {asked:?}");
    node.says("system check").ok();
}

/// Answers like this when a layer is asked for, which is the larger of the blobs.
fn of_layers(registry: &Registry, answer: impl Fn(&Request) -> Answer + Send + 'static) {
    registry.answers(move |request| match request.is_for_blob() {
        true => answer(request),
        false => Answer::Usual,
    });
}

/// The bytes that have come of layers.
fn partial() -> Vec<u64> {
    let files = fs::read_dir("/var/lib/sandbar/images/partial").into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).collect()
}

fn nobody_there(node: &Node) {
    let _registry = registry(node);
    fails(node, "no-such.invalid/app:1", &["its name has no address", "name servers"]);
    fails(node, "127.0.0.1:1/app:1", &["127.0.0.1:1", "no connection", "refused"]);
}

fn refusals_are_told_by_their_status(node: &Node) {
    let registry = registry(node);
    for (status, words) in [
        (401, ["401", "sandbar login"]),
        (403, ["403", "forbidden"]),
        (404, ["404", "not found"]),
        (500, ["500", "internal server error"]),
        (418, ["418", NAME]),
    ] {
        registry.answers(move |_| Answer::Status(status, Vec::new()));
        fails(node, NAME, &words);
        // The manifest is there, and the layer is not to be had.
        registry.answers(move |request| match request.is_for_blob() {
            true => Answer::Status(status, Vec::new()),
            false => Answer::Usual,
        });
        fails(node, NAME, &words);
    }
    comes(node, &registry, &[0]);
}

fn a_registry_that_is_busy_is_waited_for(node: &Node) {
    let registry = registry(node);
    let now = "Sun, 06 Nov 1994 08:49:37 GMT";
    let busy = |after: &'static str| {
        let header = |name, value: &str| (name, value.to_owned());
        Answer::Status(429, vec![header("date", now), header("retry-after", after)])
    };
    for after in ["3600", "Sun, 06 Nov 1994 09:49:37 GMT"] {
        registry.answers(move |_| busy(after));
        fails(node, NAME, &["429", "try again later"]);
        // Nobody waits for an hour, nor asks meanwhile.
        let asked = registry.requests();
        assert_eq!(asked.iter().filter(|it| it.path.contains("/manifests/")).count(), 1);
    }
    for after in ["1", "Sun, 06 Nov 1994 08:49:38 GMT"] {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        registry.answers(move |request| {
            let manifest = request.path.contains("/manifests/");
            match manifest && asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
                true => busy(after),
                false => Answer::Usual,
            }
        });
        node.says(&format!("pull {NAME}")).ok();
        node.says(&format!("rmi {NAME}")).ok();
    }
    comes(node, &registry, &[0]);
}

fn a_layer_that_ends_too_early_goes_on_later(node: &Node) {
    let registry = registry(node);
    for at in [1000, 700_000, SIZE] {
        of_layers(&registry, move |_| Answer::Cut(at));
        fails(node, NAME, &["too early"]);
        assert_eq!(partial(), [at as u64]);
    }
    comes(node, &registry, &[SIZE]);
    assert!(partial().is_empty());
}

fn a_layer_that_stalls_goes_on_later(node: &Node) {
    let registry = registry(node);
    of_layers(&registry, |_| Answer::Stall(400_000));
    fails(node, NAME, &["nothing came for too long", "try again later"]);
    assert_eq!(partial(), [400_000]);
    registry.answers(|_| Answer::Stall(10));
    fails(node, NAME, &["nothing came for too long"]);
    comes(node, &registry, &[400_000]);
}

fn a_layer_of_another_digest_or_size_is_refused(node: &Node) {
    let registry = registry(node);
    let right = Rootfs::busybox().file("noise", 0o644, &noise(1, SIZE)).into_archive();
    let other = Rootfs::busybox().file("noise", 0o644, &noise(2, SIZE)).into_archive();
    assert_eq!(right.len(), other.len());
    let layer = format!("sha256:{}", sandbar_tests::digest(&right));
    let only = |bytes: Vec<u8>| {
        let layer = layer.clone();
        registry.answers(move |request| match request.path.contains(&layer) {
            true => Answer::Other(bytes.clone()),
            false => Answer::Usual,
        });
    };
    only(other);
    fails(node, NAME, &["should have the digest sha256:"]);
    only([&right[..], b"more"].concat());
    fails(node, NAME, &["more than its", "bytes"]);
    only(right[..right.len() - 512].to_vec());
    fails(node, NAME, &["where there should be"]);
    // Nothing of it is gone on with.
    assert!(partial().is_empty(), "{:?}", partial());
    comes(node, &registry, &[0]);
}

fn a_redirection_to_itself_is_refused(node: &Node) {
    let registry = registry(node);
    let around = |request: &Request| {
        Answer::Status(307, vec![("location", format!("http://{REGISTRY}{}", request.path))])
    };
    registry.answers(around);
    fails(node, NAME, &["redirects too often"]);
    of_layers(&registry, around);
    fails(node, NAME, &["redirects too often"]);
    comes(node, &registry, &[0]);
}

fn an_image_for_other_platforms_alone_is_refused(node: &Node) {
    let registry = registry(node);
    let manifest = registry.put_image("far:1", vec![Rootfs::new()], &json!({}));
    let digest = registry.put_manifest("far", "1", MANIFEST, &manifest);
    let entry = json!({
        "mediaType": MANIFEST, "digest": digest, "size": manifest.to_string().len(),
        "platform": { "os": "linux", "architecture": "s390x" },
    });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] });
    registry.put_manifest("app", "1", INDEX, &index);
    fails(node, NAME, &["no image for linux/", "it has linux/s390x"]);
}

fn a_disk_that_gets_full_is_left_as_it_was(node: &Node) {
    let registry = registry(node);
    let root = node.path("small");
    fs::create_dir(&root).expect("a directory");
    let path = root.display().to_string();
    let mount =
        |options: &str| node.run("mount", ["-t", "tmpfs", "-o", options, "tmpfs", &path]).ok();
    mount("size=3m");
    let sandbar = |line: &str| node.says(&format!("--root {path} --run-root /run/test/run {line}"));
    let df = || sandbar("system df --format json").ok();
    // What a store has of its own is there.
    sandbar("images").ok();
    let before = df();
    for _ in 0..2 {
        sandbar(&format!("pull {NAME}")).refused(1, &[NAME, "No space left"]);
        assert_eq!(df(), before);
        sandbar("system check").ok();
    }
    mount("remount,size=64m");
    _ = registry.requests();
    assert_eq!(sandbar(&format!("run --rm --net none {NAME}")).ok(), "well\n");
    sandbar("system check").ok();
    node.run("umount", [&path]).ok();
}

fn a_pull_killed_at_any_point_leaves_the_images_sound(node: &Node) {
    let registry = registry(node);
    // Several, so that some are whole and others are not.
    let layer = |n| Rootfs::new().file(&format!("{n}"), 0o644, &noise(n, SIZE / 3));
    let layers = vec![Rootfs::busybox(), layer(1), layer(2), layer(3)];
    registry.put_image("app:1", layers, &json!({ "Cmd": ["echo", "well"] }));
    registry.answers(|_| Answer::Slow);
    let full = std::time::Instant::now();
    node.says(&format!("pull {NAME}")).ok();
    let full = full.elapsed();
    let whole = images(node);
    node.says(&format!("rmi {NAME}")).ok();
    let before = images(node);
    for point in 0..40 {
        let pull = node.says(&format!("pull {NAME}")).begin();
        sleep(full * point / 40 + Duration::from_millis(1));
        let mut pull = pull;
        if !pull.has_ended() {
            pull.signal(Signal::KILL);
        }
        _ = pull.wait();
        node.says("system check").ok();
        let work = fs::read_dir("/var/lib/sandbar/images/tmp").map_or(0, Iterator::count);
        assert_eq!(work, 0, "at {point}");
        let listed = node.says("images").ok().contains(REGISTRY);
        assert_eq!(listed, images(node)["Total"] == whole["Total"], "at {point}");
        if point % 4 == 3 {
            // From the beginning once more: what a killed one left is gone with the image, or by the next pruning.
            node.says(&format!("rmi -f {NAME}")).ok();
            node.says("image prune").ok();
            assert_eq!(images(node), before, "at {point}");
            assert!(partial().is_empty());
        }
    }
    comes(node, &registry, &[]);
    assert_eq!(images(node), whole);
}

fn row_14_a_pulled_layer_reaches_nothing_outside_of_it(node: &Node) {
    let registry = registry(node);
    let before = fs::read("/etc/passwd").expect("the host's");
    for (number, layer) in [
        Rootfs::new().link("way", "/etc").raw_file("way/passwd", b"evil"),
        Rootfs::new().raw_file("../../../../etc/passwd", b"evil"),
        Rootfs::new().link("way", "../../../../../../etc").raw_file("way/passwd", b"evil"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("evil:{number}");
        registry.put_image(&name, vec![layer], &json!({}));
        _ = node.says(&format!("pull {REGISTRY}/{name}")).run();
        assert_eq!(fs::read("/etc/passwd").expect("the host's"), before, "{name}");
        node.says("system check").ok();
    }
}

fn row_15_a_manifest_that_is_also_an_index_is_refused(node: &Node) {
    let registry = registry(node);
    let mut manifest = registry.put_image("app:1", vec![Rootfs::new()], &json!({}));
    manifest["manifests"] = json!([]);
    registry.put_manifest("app", "1", MANIFEST, &manifest);
    fails(node, NAME, &["both a manifest and an index"]);
    manifest.as_object_mut().expect("an object").remove("manifests");
    registry.put_manifest("app", "1", INDEX, &manifest);
    fails(node, NAME, &["manifest"]);
}

fn row_16_a_layer_that_unfolds_without_end_is_stopped_by_the_disk_alone(node: &Node) {
    let registry = registry(node);
    let (root, zeros) = (node.path("small"), vec![0; 24 << 20]);
    fs::create_dir(&root).expect("a directory");
    let path = root.display().to_string();
    node.run("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", &path]).ok();
    let plain = Rootfs::new().file("zeros", 0o644, &zeros).into_archive();
    let packed = node.run("gzip", ["-c", "-9"]).input(plain.clone()).run().stdout;
    assert!(packed.len() < 100_000);
    let kind = "application/vnd.oci.image.layer.v1.tar+gzip";
    registry.put_layers("bomb:1", vec![(plain, packed)], kind, &json!({}));
    let sandbar = |line: &str| node.says(&format!("--root {path} --run-root /run/test/run {line}"));
    sandbar("images").ok();
    let before = sandbar("system df --format json").ok();
    sandbar(&format!("pull {REGISTRY}/bomb:1")).refused(1, &["bomb:1", "No space left"]);
    assert_eq!(sandbar("system df --format json").ok(), before);
    node.run("umount", [&path]).ok();
}

fn row_17_a_digest_that_is_a_path_is_refused_unasked(node: &Node) {
    let registry = registry(node);
    let right = registry.put_image("app:1", vec![Rootfs::new()], &json!({}));
    for (part, evil) in [("config", "sha256:../../../../etc/passwd"), ("layer", "../../evil")] {
        let mut manifest = right.clone();
        match part {
            "config" => manifest["config"]["digest"] = json!(evil),
            _ => manifest["layers"][0]["digest"] = json!(evil),
        }
        registry.put_manifest("app", "1", MANIFEST, &manifest);
        _ = registry.requests();
        fails(node, NAME, &["not what it should be"]);
        let asked = registry.requests();
        assert!(asked.iter().all(|it| !it.path.contains("..")), "{asked:?}");
    }
    node.says(&format!("pull {REGISTRY}/app@sha256:../../x")).refused(1, &["app@sha256:../../x"]);
}

fn row_17_a_login_tells_nobody_elses_realm(node: &Node) {
    let registry = registry(node);
    // Somebody else, without TLS, who wants to be told.
    let other = Registry::start("192.0.2.1:5001");
    let realm = "Bearer realm=\"http://192.0.2.1:5001/v2/\",service=\"x\"".to_owned();
    registry.answers(move |_| Answer::Status(401, vec![("www-authenticate", realm.clone())]));
    let file = node.path("auth.json");
    let login = format!("login -u me --password-stdin --authfile {} {REGISTRY}", file.display());
    node.says(&login).input("secret").refused(1, &[REGISTRY, "TLS"]);
    assert!(other.requests().is_empty() && !file.exists());
}
