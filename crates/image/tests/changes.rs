//! What overlayfs wrote becomes a layer: the same for the same content, whiteouts and links as the OCI has them.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use sandbar_image::{Changes, ImageId, Store};

/// An upper directory as a container may leave it.
fn upper(place: &Path) {
    let path = |name: &str| place.join(name);
    let long = "long".repeat(50);
    fs::create_dir_all(path("d/opaque")).unwrap();
    fs::write(path("d/file"), "content").unwrap();
    fs::set_permissions(path("d/file"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(path("d/file"), path("d/other")).unwrap();
    fs::write(path(&format!("d/{long}")), vec![b'x'; 1025]).unwrap();
    symlink(format!("/{long}/{long}"), path("link")).unwrap();
    rustix::fs::mknodat(CWD, path("gone"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    let opaque = path("d/opaque");
    rustix::fs::setxattr(&opaque, "trusted.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
    rustix::fs::setxattr(path("d/file"), "user.a", b"b\0c", XattrFlags::empty()).unwrap();
    fs::create_dir_all(path("run/stub")).unwrap();
    fs::write(path("run/stub/file"), "").unwrap();
}

fn extend(store: &Store, base: Option<&ImageId>, changes: &Changes) -> ImageId {
    let configure = |layers: &[sandbar_image::Digest]| {
        let layers: Vec<String> = layers.iter().map(|layer| format!("\"{layer}\"")).collect();
        let layers = layers.join(",");
        Ok(format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{layers}]}}}}"#
        )
        .into_bytes())
    };
    store.extend(base, Some(changes), configure, None).unwrap()
}

#[test]
fn a_layer_is_what_was_written() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&place.path().join("store")).unwrap();
    let written = place.path().join("upper");
    fs::create_dir(&written).unwrap();
    upper(&written);
    let stubs = ["/run", "/run/stub", "/run/stub/file"].map(Path::new);
    let changes = Changes::of(&written).unwrap().without_empty(stubs);
    let id = extend(&store, None, &changes);
    let image = store.find(&id.to_string()).unwrap();
    let layer = &image.layers[0];
    let file = fs::metadata(layer.join("d/file")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.nlink()), (0o4755, 2));
    assert_eq!(fs::read(layer.join("d/other")).unwrap(), b"content");
    let long = "long".repeat(50);
    assert_eq!(fs::metadata(layer.join("d").join(&long)).unwrap().len(), 1025);
    let target = fs::read_link(layer.join("link")).unwrap();
    assert_eq!(target, Path::new(&format!("/{long}/{long}")));
    let gone = fs::symlink_metadata(layer.join("gone")).unwrap();
    assert_eq!((gone.mode() & 0o170_000, gone.rdev()), (0o020_000, 0));
    let mut value = [0; 8];
    let opaque = layer.join("d/opaque");
    let read = rustix::fs::getxattr(&opaque, "trusted.overlay.opaque", &mut value).unwrap();
    assert_eq!(&value[..read], b"y");
    let read = rustix::fs::getxattr(layer.join("d/file"), "user.a", &mut value).unwrap();
    assert_eq!(&value[..read], b"b\0c");
    assert!(!layer.join("run").exists(), "places of mounts are no part of a layer");
}

#[test]
fn the_same_content_is_the_same_layer_whenever_it_was_written() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&place.path().join("store")).unwrap();
    let epoch = Timestamp::from_second(1_000_000_000).unwrap();
    let ids = ["a", "b"].map(|name| {
        let written = place.path().join(name);
        fs::create_dir(&written).unwrap();
        upper(&written);
        let later = fs::File::open(written.join("d")).unwrap();
        let time = std::time::SystemTime::UNIX_EPOCH
            + std::time::Duration::from_secs(1_500_000_000 + u64::from(name.as_bytes()[0]));
        later.set_modified(time).unwrap();
        extend(&store, None, &Changes::of(&written).unwrap().no_newer_than(Some(epoch)))
    });
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn a_base_keeps_its_layers_and_no_change_makes_none() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&place.path().join("store")).unwrap();
    let (written, nothing) = (place.path().join("upper"), place.path().join("nothing"));
    fs::create_dir(&written).unwrap();
    fs::create_dir(&nothing).unwrap();
    fs::write(written.join("a"), "a").unwrap();
    let base = extend(&store, None, &Changes::of(&written).unwrap());
    fs::write(written.join("b"), "b").unwrap();
    let next = extend(&store, Some(&base), &Changes::of(&written).unwrap());
    let layers = |id: &ImageId| store.find(&id.to_string()).unwrap().layers.len();
    assert_eq!((layers(&base), layers(&next)), (1, 2));
    let same = extend(&store, Some(&next), &Changes::of(&nothing).unwrap());
    assert_eq!(same, next);
}

#[test]
fn what_only_overlayfs_knows_the_whole_of_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(&place.path().join("store")).unwrap();
    let written = place.path().join("upper");
    fs::create_dir_all(written.join("moved")).unwrap();
    let moved = written.join("moved");
    rustix::fs::setxattr(&moved, "trusted.overlay.redirect", b"/x", XattrFlags::empty()).unwrap();
    let changes = Changes::of(&written).unwrap();
    let error = store.extend(None, Some(&changes), |_| Ok(Vec::new()), None).unwrap_err();
    let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(why.contains("redirect_dir"), "{error}: {why}");
}
