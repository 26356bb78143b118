//! What is unpacked is what umoci and Podman make of the same image, entry by entry.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, Timespec, Timestamps, XattrFlags};
use sandbar_tests::{Command, Node, assert_same, described, oci_archive_of, tests};
use serde_json::json;
use sha2::{Digest as _, Sha256};

tests! {
    a_tree_is_what_umoci_makes_of_it [Umoci],
    a_tree_is_what_podman_makes_of_it [Umoci, Podman],
}

/// `cap_net_raw=ep`, as `security.capability` has it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// How archives are written that hold everything.
const POSIX: [&str; 3] = ["--format=posix", "--xattrs", "--xattrs-include=*"];

/// A directory that a layer's archive is made of.
struct Tree(PathBuf);

impl Tree {
    fn new(path: PathBuf) -> Self {
        fs::create_dir(&path).expect("a tree");
        Self(path)
    }

    fn at(&self, path: impl AsRef<OsStr>) -> PathBuf {
        self.0.join(Path::new(path.as_ref()))
    }

    fn dir(&self, path: &str, mode: u32) -> &Self {
        fs::create_dir_all(self.at(path)).expect(path);
        fs::set_permissions(self.at(path), Permissions::from_mode(mode)).expect(path);
        self
    }

    fn file(&self, path: &str, mode: u32, content: &[u8]) -> &Self {
        self.bytes(path.as_bytes(), mode, content)
    }

    fn bytes(&self, path: &[u8], mode: u32, content: &[u8]) -> &Self {
        let path = self.at(OsStr::from_bytes(path));
        fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("its mode");
        self
    }

    fn node(&self, path: &str, kind: FileType, number: (u32, u32)) -> &Self {
        let device = rustix::fs::makedev(number.0, number.1);
        rustix::fs::mknodat(CWD, self.at(path), kind, Mode::from_raw_mode(0o640), device)
            .expect(path);
        self
    }

    fn time(&self, path: &str, seconds: i64, nanoseconds: i64) -> &Self {
        let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let times = Timestamps { last_access: time, last_modification: time };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(CWD, self.at(path), &times, flags).expect(path);
        self
    }

    /// The archive of it.
    fn archive(&self, node: &Node, more: &[&str]) -> Vec<u8> {
        let words = ["--create", "--sparse", "--sort=name"];
        let tar = node.run("tar", words).with(["--hole-detection=raw", "--numeric-owner"]);
        let output = tar.with(more).with(["--directory"]).with([&self.0]).with(["."]).run();
        assert_eq!(output.exit_code(), 0, "{}", output.stderr());
        output.stdout
    }
}

/// The bottom layer: a bit of everything.
fn lower(node: &Node) -> Vec<u8> {
    let tree = Tree::new(node.path("lower"));
    tree.dir("bin", 0o755)
        .file("bin/su", 0o4755, b"setuid")
        .file("bin/wall", 0o2755, b"setgid")
        .file("bin/ping", 0o755, b"capable")
        .file("secret", 0o000, b"nobody's")
        .dir("tmp", 0o1777)
        .dir("shared", 0o2770)
        .dir("closed", 0o111)
        .file("home/alice/notes", 0o600, b"hers")
        .file("zeros", 0o644, &[0; 100_000])
        .file("empty", 0o644, b"")
        .node("null", FileType::CharacterDevice, (1, 3))
        .node("disk", FileType::BlockDevice, (8, 300))
        .node("high", FileType::CharacterDevice, (511, 0x000f_ffff))
        .node("pipe", FileType::Fifo, (0, 0))
        .file("gone", 0o644, b"gone")
        .file("below/gone/deep", 0o644, b"gone")
        .file("opaque/one", 0o644, b"1")
        .file("opaque/sub/two", 0o644, b"2")
        .file("becomes-dir", 0o644, b"file")
        .file("becomes-file/in", 0o644, b"in")
        .file("becomes-link/in", 0o644, b"in")
        .file("merged/lower", 0o644, b"lower")
        .file("changed", 0o644, b"before")
        .file("linked", 0o644, b"linked")
        .file("name with  blanks\tand\nlines", 0o644, b"odd")
        .file("-rf *", 0o644, b"odd")
        .bytes(b"caf\xe9", 0o644, b"latin 1")
        .bytes(&[&b"long-\xff/"[..], &[b'\xfe'; 200]].concat(), 0o644, b"long")
        .file(&vec!["d".repeat(90); 20].join("/"), 0o644, b"deep")
        .file(&format!("{}/{}", "x".repeat(150), "y".repeat(250)), 0o644, b"long");
    let holes = File::create(tree.at("holes")).expect("a sparse file");
    holes.set_len(8 << 20).expect("its size");
    for at in [1 << 20, 5 << 20] {
        holes.write_all_at(b"data in the middle", at).expect("its data");
    }
    fs::hard_link(tree.at("linked"), tree.at("bin/linked-too")).expect("a hard link");
    symlink("/bin/su", tree.at("absolute")).expect("a link");
    symlink("../../../etc/passwd", tree.at("home/alice/climbing")).expect("a link");
    symlink("nowhere", tree.at("dangling")).expect("a link");
    fs::hard_link(tree.at("dangling"), tree.at("dangling-too")).expect("a link to a link");
    lchown(tree.at("dangling"), Some(5), Some(6)).expect("a link's owner");
    chown(tree.at("home/alice"), Some(1000), Some(100)).expect("an owner");
    chown(tree.at("home/alice/notes"), Some(4_000_000), Some(3_999_999)).expect("a high owner");
    let set = |path: &str, name: &str, value: &[u8]| {
        rustix::fs::lsetxattr(tree.at(path), name, value, XattrFlags::empty()).expect(name);
    };
    set("bin/ping", "security.capability", &CAPABILITY);
    tree.time("changed", 1_700_000_000, 123_456_789)
        .time("empty", -300_000_000, 0)
        .time("zeros", 0, 0)
        .time("absolute", 1_600_000_000, 5)
        .time("bin", 1_500_000_000, 999_999_999)
        .time("", 1_400_000_000, 0);
    tree.archive(node, &POSIX)
}

/// The one above it, which takes away and replaces.
fn upper(node: &Node) -> Vec<u8> {
    let tree = Tree::new(node.path("upper"));
    tree.file(".wh.gone", 0o644, b"")
        .file("below/.wh.gone", 0o644, b"")
        .file("opaque/.wh..wh..opq", 0o644, b"")
        .file("opaque/three", 0o644, b"3")
        .file("opaque/sub/four", 0o644, b"4")
        .file("becomes-dir/now", 0o644, b"now")
        .file("becomes-file", 0o755, b"now")
        .file("merged/upper", 0o644, b"upper")
        .file("changed", 0o600, b"after, and longer")
        .file("was-never-there/.wh.nothing", 0o644, b"")
        .dir("tmp", 0o700)
        .dir("closed", 0o755);
    symlink("merged", tree.at("becomes-link")).expect("a link");
    for path in ["below", "opaque", "opaque/sub", "merged", "was-never-there", ""] {
        tree.time(path, 1_650_000_000, 7);
    }
    tree.archive(node, &POSIX)
}

/// The one above that, in GNU's own format: without a sparse file, which neither of the two knows in it.
fn top(node: &Node) -> Vec<u8> {
    let tree = Tree::new(node.path("top"));
    tree.file("gone", 0o644, b"back")
        .file(&format!("{}/{}", "g".repeat(90), "h".repeat(120)), 0o644, b"long")
        .file("opaque/one", 0o644, b"back");
    tree.time("opaque", 1_660_000_000, 0).time("", 1_660_000_000, 0);
    tree.archive(node, &["--format=gnu"])
}

/// The image `it`, loaded; what it looks like, and its archive.
fn loaded(node: &Node) -> (BTreeMap<PathBuf, String>, PathBuf) {
    let layers = [lower(node), upper(node), top(node)];
    let archive = node.file("it.tar", oci_archive_of("it", &layers, &json!({})));
    node.says("load -i").with([&archive]).ok();
    let places = layers.iter().rev().map(|layer| {
        let hex: String = Sha256::digest(layer).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("/var/lib/sandbar/images/layers/{hex}/diff")
    });
    let lower = format!("lowerdir={}", places.collect::<Vec<_>>().join(":"));
    let merged = node.path("merged");
    fs::create_dir(&merged).expect("a directory");
    node.run("mount", ["-t", "overlay", "-o", &lower, "overlay"]).with([&merged]).ok();
    let mine = described(&merged);
    node.run("umount", [&merged]).ok();
    assert!(mine.len() > 60, "{mine:#?}");
    (mine, archive)
}

fn a_tree_is_what_umoci_makes_of_it(node: &Node) {
    let (mine, archive) = loaded(node);
    let layout = node.path("layout");
    fs::create_dir(&layout).expect("a directory");
    node.run("tar", ["-x", "-C"]).with([&layout]).with(["-f"]).with([&archive]).ok();
    let image = format!("{}:it", layout.display());
    node.run("umoci", ["unpack", "--image", &image]).with([node.path("bundle")]).ok();
    assert_same("umoci", &mine, &described(&node.path("bundle/rootfs")));
}

fn a_tree_is_what_podman_makes_of_it(node: &Node) {
    let (mut mine, archive) = loaded(node);
    let podman = |line: &str| -> Command {
        let own = [
            "--cgroup-manager=cgroupfs",
            "--events-backend=none",
            "--root=/var/lib/containers/storage",
            "--runroot=/run/containers/storage",
            "--tmpdir=/run/libpod",
        ];
        let podman = node.run("/usr/bin/podman", own).with(line.split_whitespace());
        podman.within(Duration::from_secs(60))
    };
    podman("load -q -i").with([&archive]).ok();
    let mounted = podman("image mount localhost/it").ok();
    let mut theirs = described(Path::new(mounted.trim()));
    // Two things are Podman's own way: the root is as it is made, and no time is before 1970.
    for path in ["", "empty"] {
        mine.remove(Path::new(path));
        theirs.remove(Path::new(path)).expect("an entry of both");
    }
    assert_same("Podman", &mine, &theirs);
    podman("image umount -a").ok();
    podman("rmi -af").ok();
}
