//! The care of what is kept: what it takes of the disk, whether it is sound, and what nobody needs.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use sandbar_tests::{Answer, Node, Registry, Rootfs, SOON, noise, tests, until};
use serde_json::{Value, json};

tests! {
    the_disk_is_measured_to_the_byte,
    damage_is_named_and_repaired,
    what_nobody_needs_is_pruned,
    what_is_needed_before_a_prune_begins_stays,
    what_builds_keep_is_measured_and_pruned,
    what_is_stopped_is_pruned_if_that_is_meant,
    images_are_filtered,
    the_long_names_of_commands_do_the_same,
}

const IMAGES: &str = "/var/lib/sandbar/images";
const REGISTRY: &str = "127.0.0.1:5000";

fn du(node: &Node, paths: &[String]) -> u64 {
    let said =
        node.run("du", ["-s", "-c", "-B1"].iter().map(ToString::to_string).chain(paths.to_vec()));
    let said = said.ok();
    let total = said.lines().last().and_then(|line| line.split_whitespace().next());
    total.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

fn df(node: &Node) -> Value {
    serde_json::from_str(&node.says("system df --format json").ok()).expect("JSON")
}

fn the_disk_is_measured_to_the_byte(node: &Node) {
    let base = || Rootfs::busybox();
    let own = Rootfs::new().file("own", 0o644, &noise(1, 100_000));
    let registry = Registry::start(REGISTRY);
    registry.put_image("base:1", vec![base()], &json!({ "Cmd": ["true"] }));
    registry.put_image("own:1", vec![base(), own], &json!({ "Cmd": ["true"] }));
    for name in ["base:1", "own:1"] {
        node.says(&format!("pull {REGISTRY}/{name}")).ok();
    }
    let script = "dd if=/dev/zero of=/data/file bs=1000 count=99; echo x >/written";
    node.says(&format!("run --name a --net none -v data:/data {REGISTRY}/base:1 sh -c"))
        .with([script])
        .ok();
    let [images, containers, volumes, builds, partial] =
        df(node).as_array().expect("a list").clone().try_into().expect("five rows");
    assert_eq!((&builds["Type"], &builds["RawSize"]), (&json!("Build Cache"), &json!(0)));
    let of = |row: &Value| (row["Total"].as_u64(), row["Active"].as_u64(), row["RawSize"].as_u64());
    let paths = ["layers", "blobs/sha256"].map(|it| format!("{IMAGES}/{it}"));
    // What is in the directories, and not those themselves.
    let inside = |path: &String| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path().display().to_string()).collect::<Vec<_>>()
    };
    let parts: Vec<_> = paths.iter().flat_map(inside).collect();
    assert_eq!(of(&images), (Some(3), Some(1), Some(du(node, &parts))));
    let id = node.inspect("a")["Id"].as_str().unwrap_or_default().to_owned();
    let storage = format!("/var/lib/sandbar/containers/{id}");
    assert_eq!(of(&containers), (Some(1), Some(0), Some(du(node, &[storage]))));
    assert_eq!(containers["RawReclaimable"], containers["RawSize"]);
    let data = "/var/lib/sandbar/volumes/data".to_owned();
    assert_eq!(of(&volumes), (Some(1), Some(1), Some(du(node, &[data]))));
    assert_eq!(
        (&volumes["RawReclaimable"], of(&partial)),
        (&json!(0), (Some(0), Some(0), Some(0)))
    );
    // Only what the one has that the other has not can be had back.
    let wanted = images["RawReclaimable"].as_u64().unwrap_or(0);
    assert!((100_000..200_000).contains(&wanted), "{images}");
    let verbose = node.says("system df -v").ok();
    for word in ["SHARED", "UNIQUE", "own", "data", "Shared by images, counted once"] {
        assert!(verbose.contains(word), "{word}: {verbose}");
    }
    let said = node.says("image prune -a").ok();
    assert!(said.contains("own:1") && !said.contains("base:1"), "{said}");
    let after = df(node)[0]["RawSize"].as_u64().unwrap_or(0);
    assert_eq!(images["RawSize"].as_u64().unwrap_or(0) - after, wanted);
    node.says("rm a").ok();
    assert_eq!(df(node)[2]["Active"], 0);
}

fn damage_is_named_and_repaired(node: &Node) {
    let registry = Registry::start(REGISTRY);
    registry.put_image("app:1", vec![Rootfs::busybox()], &json!({ "Cmd": ["echo", "well"] }));
    let name = format!("{REGISTRY}/app:1");
    node.says(&format!("create --name a {name}")).ok();
    assert!(node.says("system check").ok().contains("what they were"));
    let layers: Vec<_> = fs::read_dir(Path::new(IMAGES).join("layers"))
        .expect("the layers")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("diff/etc/passwd").exists())
        .collect();
    let [layer] = layers.as_slice() else { panic!("{layers:?}") };
    fs::write(layer.join("diff/etc/passwd"), "root::0:0::/:/bin/sh\n").expect("a file");
    let found = node.says("system check").code(1);
    let id = node.says(&format!("images -q --filter reference={name}")).ok();
    for word in ["layer sha256:", "etc/passwd", id.trim()] {
        assert!(found.stdout().contains(word), "{word}: {found}");
    }
    assert!(found.stderr().contains("--repair"), "{found}");
    // What a container has is not taken from it.
    let said = node.says("system check --repair").code(1);
    assert!(said.stderr().contains("ps -a"), "{said}");
    node.says("rm a").ok();
    assert!(node.says("system check --repair").ok().contains("Deleted: sha256:"));
    node.says("system check").ok();
    assert_eq!(node.says(&format!("run --rm --net none {name}")).ok(), "well\n");
    // Power loss on a disk that lies may leave empty files.
    for part in ["images", "references"] {
        for file in fs::read_dir(Path::new(IMAGES).join(part)).expect("files").flatten() {
            fs::write(file.path(), "").expect("a file");
        }
        node.says("images").code(1);
        assert!(node.says("images").run().stderr().contains("system check --repair"));
        node.says("system check --repair").ok();
        node.says("system check").ok();
        assert_eq!(node.says(&format!("run --rm --net none {name}")).ok(), "well\n");
    }
}

fn what_nobody_needs_is_pruned(node: &Node) {
    let registry = Registry::start(REGISTRY);
    let layer = Rootfs::new().file("file", 0o644, &noise(1, 300_000));
    registry.put_image("half:1", vec![layer], &json!({}));
    registry.answers(|request| match (request.is_for_blob(), request.from()) {
        (false, _) => Answer::Usual,
        (true, 0) => Answer::Cut(100_000),
        (true, _) => Answer::Status(403, Vec::new()),
    });
    node.says(&format!("pull {REGISTRY}/half:1")).refused(1, &["half:1", "403"]);
    assert_eq!(df(node)[4]["Total"], 1);
    node.import("old", Rootfs::busybox(), &[]);
    node.import("old", Rootfs::busybox().file("new", 0o644, b""), &[]);
    node.says("image prune --filter until=24h").ok();
    assert_eq!((&df(node)[4]["Total"], &df(node)[0]["Total"]), (&json!(0), &json!(3)));
    let said = node.says("image prune -f").ok();
    assert!(said.contains("Deleted: ") && said.contains("Total reclaimed space: "), "{said}");
    assert_eq!(node.says("image prune").ok(), "Total reclaimed space: 0B\n");
    let said = node.says("image prune -a").ok();
    assert!(said.contains("Untagged: localhost/old:latest"), "{said}");
    node.says("image prune --filter label=x").refused(2, &["--filter", "until="]);
    // The built-in image is always there, and not worth a word.
    assert!(!said.contains("pause"), "{said}");
    node.says("run -d --name a pause").ok();
    node.says("rm -f a").ok();
}

fn what_is_needed_before_a_prune_begins_stays(node: &Node) {
    node.has_busybox();
    let lock = File::open(format!("{IMAGES}/lock")).expect("the lock");
    flock(&lock, FlockOperation::LockShared).expect("a shared lock");
    let prune = node.says("image prune -a").begin();
    // It has the lock open for long only when it waits to be alone.
    let fds = format!("/proc/{}/fd", prune.pid().as_raw_nonzero());
    let mut looks = 0;
    until("that the prune waits for the lock", SOON, || {
        let mut open = fs::read_dir(&fds).expect("its files").flatten();
        let waits =
            open.any(|it| fs::read_link(it.path()).is_ok_and(|it| it.ends_with("images/lock")));
        looks = if waits { looks + 1 } else { 0 };
        (looks == 5).then_some(())
    });
    node.says("create --name a --net none busybox echo whole").ok();
    drop(lock);
    let output = prune.wait();
    assert!(output.exit_code() == 0 && !output.stdout().contains("Deleted"), "{output}");
    assert_eq!(node.says("start -a a").ok(), "whole\n");
    node.says("rm a").ok();
}

fn what_builds_keep_is_measured_and_pruned(node: &Node) {
    node.has_busybox();
    let context = node.path("context");
    fs::create_dir_all(&context).expect("a directory");
    let build = |command: &str| {
        let run = |id: &str| format!("RUN --mount=type=cache,target=/c,id={id} {command}\n");
        let text = format!("FROM busybox\nENV PATH=/bin\n{}{}", run("a"), run("b"));
        fs::write(context.join("Dockerfile"), text).expect("a Dockerfile");
        node.says("build --network none").with([&context])
    };
    build("dd if=/dev/zero of=/c/zeros bs=1000 count=99").ok();
    let inside = |name: &str| {
        let entries = fs::read_dir(format!("/var/lib/sandbar/build/{name}")).expect("a directory");
        entries.flatten().map(|it| it.path().display().to_string()).collect::<Vec<_>>()
    };
    let all = || df(node)[3].clone();
    let paths = [inside("caches"), inside("steps")].concat();
    let is = |row: &Value| (row["Total"].as_u64(), row["Active"].as_u64());
    assert_eq!(is(&all()), (Some(5), Some(0)), "two caches, three steps");
    assert_eq!(all()["RawSize"], du(node, &paths));
    assert_eq!(all()["RawReclaimable"], all()["RawSize"]);
    assert!(node.says("system df -v").ok().contains("CACHE ID"));
    // Nothing takes the caches that was not asked to, nor one that is in use or was used lately.
    node.says("image prune -a --build-cache --filter until=1h").ok();
    node.says("system prune -f").ok();
    assert_eq!(inside("caches").len(), 4, "two, and their locks");
    let running = build("touch /c/begun; exec sleep 1000").begin();
    until("the command", SOON, || node.says("ps").ok().contains("Up ").then_some(()));
    assert_eq!(all()["Active"], 1);
    assert_ne!(all()["RawReclaimable"], all()["RawSize"]);
    let said = node.says("image prune --build-cache").ok();
    assert_eq!(said.matches("Removed build cache: ").count(), 1, "{said}");
    assert_eq!(inside("caches").len(), 2, "one, and its lock");
    running.kill();
    let said = node.says("system prune -a -f").ok();
    assert!(said.contains("Removed build cache: "), "{said}");
    assert_eq!((is(&all()), &all()["RawSize"]), ((Some(0), Some(0)), &json!(0)));
    assert_eq!([inside("caches"), inside("tmp"), inside("steps")].concat(), Vec::<String>::new());
}

fn what_is_stopped_is_pruned_if_that_is_meant(node: &Node) {
    node.has_busybox();
    node.import("unused", Rootfs::new().file("1", 0o644, b""), &[]);
    node.says("network create lan").ok();
    node.says("pod create --name kept").ok();
    for line in ["create --name stopped", "run -d --name runs", "create --pod kept --name inside"] {
        let own = if line.contains("--pod") { "" } else { "--net none" };
        node.says(&format!("{line} {own} busybox sleep 1000")).ok();
    }
    node.says("system prune").refused(1, &["no terminal", "-f"]);
    let mut terminal = node.terminal(&node.says("system prune"));
    terminal.shows("[y/N]");
    terminal.type_in("n\n");
    assert_eq!(terminal.wait(), 1);
    let said = node.says("system prune -f --filter until=1h").ok();
    assert_eq!(said, "Total reclaimed space: 0B\n");
    let mut terminal = node.terminal(&node.says("system prune -a"));
    terminal.shows("[y/N]");
    terminal.type_in("y\n");
    assert_eq!(terminal.wait(), 0, "{}", terminal.shown());
    let shown = terminal.shown();
    for word in ["container: stopped", "network: lan", "Untagged: localhost/unused:latest"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let left = node.says("ps -a --format json").ok();
    assert!(left.contains("runs") && left.contains("inside") && !left.contains("stopped"));
    node.says("image inspect busybox").ok();
    node.says("rm -f runs").ok();
    node.says("pod rm -f kept").ok();
}

fn images_are_filtered(node: &Node) {
    let registry = Registry::start(REGISTRY);
    let manifest = registry.put_image("app:1", vec![Rootfs::busybox()], &json!({}));
    let digest = registry.put_manifest("app", "1", sandbar_tests::MANIFEST, &manifest);
    node.says(&format!("pull {REGISTRY}/app:1")).ok();
    node.import("first", Rootfs::new().file("1", 0o644, b""), &[]);
    node.import("second", Rootfs::new().file("2", 0o644, b""), &[]);
    let names = |options: &str| {
        let said = node.says(&format!("images {options}")).ok();
        let lines = said.lines().skip(1);
        let mut names: Vec<_> =
            lines.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect();
        names.sort();
        names
    };
    assert_eq!(names("-a").len(), 4);
    assert_eq!(names("-f reference=second"), ["localhost/second"]);
    assert_eq!(names("second"), ["localhost/second"]);
    assert_eq!(names("seco?d:latest"), ["localhost/second"]);
    assert_eq!(names("nothing"), Vec::<String>::new());
    assert_eq!(names("--filter reference=*/app"), [format!("{REGISTRY}/app")]);
    assert_eq!(names("-f dangling=true"), Vec::<String>::new());
    assert!(names("-f since=first -f reference=localhost/*").contains(&"localhost/second".into()));
    assert!(!names("-f before=second").contains(&"localhost/second".into()));
    let digests = node.says("images --digests -f reference=*/app").ok();
    assert!(digests.contains(&digest) && digests.contains("DIGEST"), "{digests}");
    node.says("images -f colour=blue").refused(2, &["--filter", "dangling=true"]);
    node.says("images -f before=nothing").refused(1, &["nothing"]);
}

fn the_long_names_of_commands_do_the_same(node: &Node) {
    node.has_busybox();
    assert_eq!(node.says("image ls").ok(), node.says("images").ok());
    assert_eq!(node.says("image list -q").ok(), node.says("images -q").ok());
    assert_eq!(node.says("image inspect busybox").ok(), node.says("inspect busybox").ok());
    node.says("create --name one busybox true").ok();
    let said = node.says("image inspect one").code(1);
    assert!(said.stdout() == "[]\n" && said.stderr().contains("one"), "{said}");
    node.says("image tag busybox two").ok();
    assert_eq!(node.says("image rm two").ok(), "Untagged: localhost/two:latest\n");
    node.says("image pull localhost/two").refused(1, &["of this machine"]);
    node.says("image push localhost/two").refused(1, &["cannot push", "no image"]);
    node.says("image build nowhere").refused(1, &["cannot build", "nowhere"]);
    assert_eq!(node.says("image save busybox").ok(), node.says("save busybox").ok());
    node.says("image").refused(2, &["image --help"]);
    node.says("system").refused(2, &["system --help"]);
    node.says("rm one").ok();
}
