//! What is unpacked is what umoci makes of the same image.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Layer, Oci, Place, gzip, header, is_root, named, snapshot};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// As a snapshot, with nanoseconds, names of one file together, and extended attributes; without whiteouts.
fn details(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = snapshot(root);
    all.insert(PathBuf::new(), "the root".into());
    let mut first = BTreeMap::new();
    for (path, text) in &mut all {
        let full = root.join(path);
        let meta = full.symlink_metadata().unwrap();
        let links = match meta.is_dir() {
            true => PathBuf::new(),
            false => first.entry(meta.ino()).or_insert_with(|| path.clone()).clone(),
        };
        let mut names = [0; 4096];
        let length = rustix::fs::llistxattr(&full, &mut names[..]).unwrap();
        let mut xattrs = BTreeMap::new();
        for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            let mut value = [0; 256];
            let length = rustix::fs::lgetxattr(&full, name, &mut value[..]).unwrap();
            xattrs.insert(String::from_utf8(name.to_vec()).unwrap(), value[..length].to_vec());
        }
        let (mode, size) = (meta.mode(), if meta.is_file() { meta.size() } else { 0 });
        *text += &format!(" {mode:o} {size} .{} {links:?} {xattrs:?}", meta.mtime_nsec());
    }
    all
}

fn owned(kind: u8, path: &[u8], mode: u32, (uid, gid): (u64, u64), size: u64) -> tar::Header {
    let mut header = header(kind, path, size);
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header
}

#[test]
#[ignore = "needs umoci in the PATH (Debian's package)"]
fn a_layer_is_unpacked_as_umoci_does() {
    assert!(is_root());
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let layer = Layer::new()
        .raw(owned(b'5', b"./", 0o711, (0, 0), 0), b"")
        .dir("bin")
        .raw(owned(b'0', b"bin/su", 0o4755, (7, 8), 4), b"prog")
        .hard_link("bin/sudo", "bin/su")
        .pax("SCHILY.xattr.security.capability", &capability)
        .file("bin/ping", "p")
        .pax("SCHILY.xattr.user.note", b"a\0b")
        .file("noted", "n")
        .pax("mtime", b"1700000000.123456789")
        .file("precise", "n")
        .raw(owned(b'5', b"tmp", 0o1777, (0, 0), 0), b"")
        .raw(owned(b'5', b"home", 0o2750, (1000, 100), 0), b"")
        .file("home/late", "after its directory")
        .file("zeros", &"\0".repeat(100_000))
        .symlink("link", "/bin/su")
        .raw(owned(b'2', b"owned", 0o777, (5, 6), 0), b"")
        .device(b'3', "null", 1, 3)
        .device(b'4', "disk", 8, 300)
        .device(b'6', "pipe", 0, 0)
        .file("twice", "first")
        .file("twice", "second");
    // A symbolic link with an owner needs a target in its header too.
    let mut layer = layer.0;
    let at = layer.windows(6).position(|w| w == b"owned\0").unwrap();
    let mut link = owned(b'2', b"owned", 0o777, (5, 6), 0);
    link.set_link_name("bin").unwrap();
    link.set_cksum();
    layer[at..at + 512].copy_from_slice(link.as_bytes());
    let layer = Layer(layer).finish();

    let place = Place::new();
    let mut oci = Oci::default();
    let image = oci.image(std::slice::from_ref(&layer), &[(GZIP, gzip(&layer))]);
    let archive = oci.finish(&[named(image, "it")]);
    tar::Archive::new(&archive[..]).unpack(place.path("layout")).unwrap();
    place.store.load(&archive[..]).unwrap();
    let mine = place.store.find("it").unwrap().layers.remove(0);
    let image = format!("{}:it", place.path("layout").display());
    let status = Command::new("umoci")
        .args(["unpack", "--image", &image])
        .arg(place.path("bundle"))
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(details(&mine), details(&place.path("bundle/rootfs")));
}
