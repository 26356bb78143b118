//! Power that is lost at any step of a load or a pull leaves an image whole or absent.
//!
//! The store is on a file system in a file. The command is stopped after each of the calls that put things in order
//! (fsync, syncfs, rename), the file copied, and the copy mounted, as after a reboot. That is done twice: with what the
//! kernel has written by itself, and with what it is allowed to write at its worst: all names and sizes, as another
//! program's fsync has them written, and no contents that nobody asked for (`data=writeback`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use sandbar_tests::{
    Command, Node, Process, Rootfs, SOON, assert_same, described, get, oci_archive, tests, until,
};
use serde_json::json;

tests! {
    an_image_that_is_loaded_is_whole_or_absent [PowerLoss],
    an_image_that_is_pulled_is_whole_or_absent [PowerLoss, Registry],
}

const REGISTRY: &str = "127.0.0.1:5000";
/// The calls by which what is written is put in order.
const CALLS: &str = "fsync,fdatasync,syncfs,renameat,renameat2";

/// Mounted while it lives.
struct Mounted<'a>(&'a Node, PathBuf);

impl<'a> Mounted<'a> {
    fn new(node: &'a Node, image: &Path, at: &str) -> Self {
        let at = node.path(at);
        fs::create_dir_all(&at).expect("a directory");
        let options = "loop,data=writeback,noauto_da_alloc";
        node.run("mount", ["-t", "ext4", "-o", options]).with([image, &at]).ok();
        Self(node, at)
    }

    fn root(&self) -> PathBuf {
        self.1.join("root")
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        self.0.run("umount", [&self.1]).run();
    }
}

fn roots(node: &Node, root: &Path) -> [PathBuf; 4] {
    ["--root".into(), root.to_owned(), "--run-root".into(), node.path("run-root")]
}

fn sandbar(node: &Node, root: &Path, line: &str) -> Command {
    node.sandbar(roots(node, root)).with(line.split_whitespace())
}

/// Every file of every layer; of the store's own, what is in them.
fn layers(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = described(&root.join("images/layers"));
    for (path, text) in &mut all {
        // What the archive says nothing of has the time of its unpacking: a layer's root, and whiteouts.
        let depth = path.components().count();
        if depth < 3 || text.starts_with("device 0 ") {
            *text = match text.split_once(']') {
                Some((contents, _)) => contents.to_owned(),
                None => text.split(' ').take(3).collect::<Vec<_>>().join(" "),
            };
        }
    }
    all.remove(Path::new(""));
    all
}

/// A file system in a file.
fn disk(node: &Node) -> PathBuf {
    let path = node.path("disk.ext4");
    let file = File::create(&path).expect("a file");
    file.set_len(48 << 20).expect("its size");
    node.run("mkfs.ext4", ["-q", "-F"]).with([&path]).ok();
    path
}

/// Stops a command on `disk` after the `n`th call of one of its threads; `None` if none makes as many. The copies of
/// the disk at that time.
fn stopped_at(node: &Node, disk: &Path, words: &[&str], n: usize) -> Option<[PathBuf; 2]> {
    let mounted = Mounted::new(node, disk, "disk");
    let trace = node.path("trace");
    let _none_there = fs::remove_file(&trace);
    let (calls, stop) = (format!("trace={CALLS}"), format!("inject={CALLS}:signal=STOP:when={n}"));
    let strace = node.run("strace", ["-f", "-qq", "-e", &calls, "-e", &stop, "-o"]).with([&trace]);
    let load = strace.with([node.program()]).with(roots(node, &mounted.root()));
    let mut load = load.with(words).begin();
    let traced = || fs::read_to_string(&trace).unwrap_or_default();
    let is_stopped = || traced().contains("stopped by SIGSTOP");
    until("the load to stop or to end", SOON, || (is_stopped() || load.has_ended()).then_some(()));
    if !is_stopped() {
        let ended = load.wait();
        assert_eq!(ended.exit_code(), 0, "{ended}");
        return None;
    }
    let copies = [node.path("as-it-is.ext4"), node.path("at-its-worst.ext4")];
    fs::copy(disk, &copies[0]).expect("a copy");
    let other = File::create(mounted.1.join("other")).expect("another program's file");
    other.sync_all().expect("fsync");
    fs::copy(disk, &copies[1]).expect("a copy");
    let pid = traced().split(' ').next().and_then(|pid| pid.parse().ok());
    Process::of(pid.expect("a process id")).signal(Signal::KILL);
    load.wait();
    Some(copies)
}

/// The archive of an image of two layers.
fn archive(node: &Node) -> PathBuf {
    let lower = Rootfs::busybox().file("etc/motd", 0o644, &[b'x'; 300_000]).directory("a/b", 0o700);
    let upper = Rootfs::new()
        .file("etc/motd", 0o640, b"above\n")
        .file("etc/.wh.passwd", 0o644, b"")
        .link("link", "etc/motd");
    let archive = oci_archive("it", vec![lower, upper], &json!({ "Cmd": ["sh"] }));
    node.file("it.tar", archive)
}

fn an_image_that_is_loaded_is_whole_or_absent(node: &Node) {
    let archive = archive(node);
    whole_or_absent(node, &["load", "-q", "-i", &archive.display().to_string()]);
}

fn an_image_that_is_pulled_is_whole_or_absent(node: &Node) {
    let configuration = node.file(
        "registry.yml",
        format!(
            "version: 0.1\nhttp: {{ addr: '{REGISTRY}' }}\n\
             storage: {{ filesystem: {{ rootdirectory: '/run/test/registry' }} }}\n"
        ),
    );
    let registry = node.run("docker-registry", ["serve".into(), configuration]).begin();
    until("the registry", SOON, || get(REGISTRY, "/v2/").filter(|it| it.status == 200));
    let from = format!("oci-archive:{}", archive(node).display());
    let to = format!("docker://{REGISTRY}/some/it:1");
    node.run("skopeo", ["copy", "--insecure-policy", "--dest-tls-verify=false", &from, &to]).ok();
    whole_or_absent(node, &["pull", &format!("{REGISTRY}/some/it:1")]);
    registry.kill();
}

/// Has a command bring an image, and stops it everywhere.
fn whole_or_absent(node: &Node, words: &[&str]) {
    let load = |root: &Path| sandbar(node, root, "").with(words).ok();
    let root = node.path("expected");
    let id = load(&root);
    let whole = layers(&root);
    assert!(whole.len() > 100, "{} entries", whole.len());
    let (mut there, mut absent) = (0, 0);
    for n in 1.. {
        let disk = disk(node);
        let Some(copies) = stopped_at(node, &disk, words, n) else {
            break;
        };
        for copy in &copies {
            let what = format!("after call {n}, {}", copy.display());
            let after = Mounted::new(node, copy, "after");
            let root = after.root();
            let images = sandbar(node, &root, "images -q --no-trunc").run();
            assert_eq!(images.exit_code(), 0, "{what}: {images}");
            match images.stdout().contains(id.trim()) {
                true => {
                    assert_same(&what, &layers(&root), &whole);
                    there += 1;
                }
                false => absent += 1,
            }
            // What is there of it is not taken for more than it is.
            assert_eq!(load(&root), id, "{what}");
            assert_same(&what, &layers(&root), &whole);
        }
    }
    assert!(there > 0 && absent > 0, "{there} times there, {absent} times not");
}
