//! Whiteouts, as overlayfs knows them; and what one layer says twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use harness::{Layer, Place, is_root};

fn is_whiteout(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.file_type().is_char_device() && m.rdev() == 0)
}

fn is_opaque(path: &Path) -> bool {
    let mut value = [0; 8];
    rustix::fs::lgetxattr(path, "trusted.overlay.opaque", &mut value[..]) == Ok(1)
        && value[0] == b'y'
}

#[test]
fn whiteouts_become_what_overlayfs_knows() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let root = &place.accepts(&[Layer::new()
        .dir("etc")
        .file("etc/.wh.gone", "")
        .file(".wh..hidden", "")
        .file("implied/.wh.gone", "")
        .dir("opaque")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/kept", "1")
        .finish()])[0];
    assert!(is_whiteout(&root.join("etc/gone")) && is_whiteout(&root.join(".hidden")));
    assert!(is_whiteout(&root.join("implied/gone")));
    assert!(is_opaque(&root.join("opaque")) && root.join("opaque/kept").exists());
    assert!(!is_opaque(&root.join("etc")));
}

#[test]
fn a_whiteout_hides_only_what_is_below_its_layer() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let root = &place.accepts(&[Layer::new()
        .file(".wh.file", "")
        .file("file", "1")
        .file("later", "1")
        .file(".wh.later", "")
        .file(".wh.dir", "")
        .dir("dir")
        .file("dir/x", "1")
        .file(".wh.implied", "")
        .file("implied/x", "1")
        .dir("dir2")
        .file("dir2/x", "1")
        .file(".wh.dir2", "")
        .finish()])[0];
    assert_eq!(std::fs::read(root.join("file")).unwrap(), b"1");
    assert_eq!(std::fs::read(root.join("later")).unwrap(), b"1");
    for directory in ["dir", "implied", "dir2"] {
        assert!(is_opaque(&root.join(directory)), "{directory} shows what it replaced");
        assert!(root.join(directory).join("x").exists());
    }
}

#[test]
fn the_last_entry_of_a_name_counts() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let root = &place.accepts(&[Layer::new()
        .dir("a")
        .file("a/in", "1")
        .file("a", "now a file")
        .file("b", "1")
        .dir("b")
        .file("b/in", "1")
        .dir("c")
        .file("c/in", "1")
        .symlink("c", "b")
        .file("c/through", "1")
        .file("d", "1")
        .file("d", "2")
        .finish()])[0];
    assert_eq!(std::fs::read(root.join("a")).unwrap(), b"now a file");
    assert!(root.join("b/in").exists() && root.join("b/through").exists());
    assert!(root.join("c").is_symlink());
    assert_eq!(std::fs::read(root.join("d")).unwrap(), b"2");
}
