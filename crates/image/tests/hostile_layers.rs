//! Layers that reach for what is outside, or for how overlayfs puts layers together.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;

use std::os::unix::fs::MetadataExt;

use harness::{Layer, Place, header, is_root};

#[test]
fn a_file_through_a_symlink_stays_in_the_layer() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let host = place.path("host");
    // An absolute link, and one that climbs: both mean something within the layer, which is not there.
    for target in [host.to_str().unwrap(), "../../../../../host", "/etc"] {
        place.refuses_layer(Layer::new().symlink("out", target).file("out/victim", "hit"));
        place.refuses_layer(Layer::new().symlink("out", target).dir("out/new"));
    }
    let climbing = "../../../../../../../..";
    let target = format!("{climbing}{}", host.display());
    place.refuses_layer(Layer::new().symlink("out", &target).file("out/victim", "hit"));
    let layer = Layer::new().symlink("up", climbing).file("up/inside", "here");
    let layers = place.accepts(&[layer.finish()]);
    assert_eq!(std::fs::read(layers[0].join("inside")).unwrap(), b"here");
    // A link to what is in the layer is followed, as it is by every other tool.
    let layer = Layer::new().dir("usr/lib").symlink("lib", "usr/lib").file("lib/x", "1");
    let layers = place.accepts(&[layer.finish()]);
    assert_eq!(std::fs::read(layers[0].join("usr/lib/x")).unwrap(), b"1");
    assert!(layers[0].join("lib").is_symlink());
}

#[test]
fn a_file_replaces_a_symlink_and_is_not_written_through_it() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let victim = place.path("host/victim");
    let victim = victim.to_str().unwrap();
    let mut setuid = header(b'0', b"v", 0);
    setuid.set_mode(0o4777);
    let layers = place.accepts(&[
        Layer::new().symlink("v", victim).file("v", "hit").finish(),
        Layer::new().symlink("v", victim).raw(setuid, b"").finish(),
        Layer::new().symlink("v", victim).dir("v/").finish(),
        Layer::new().symlink("v", victim).device(b'6', "v", 0, 0).finish(),
    ]);
    assert_eq!(std::fs::read(layers[0].join("v")).unwrap(), b"hit");
    assert_eq!(layers[1].join("v").symlink_metadata().unwrap().mode() & 0o7777, 0o4777);
    assert!(layers[2].join("v").symlink_metadata().unwrap().is_dir());
}

#[test]
fn a_hard_link_reaches_nothing_outside() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let victim = place.path("host/victim");
    let victim = victim.to_str().unwrap();
    place.refuses_layer(Layer::new().hard_link("mine", victim));
    place.refuses_layer(Layer::new().hard_link("mine", "../../../../host/victim"));
    place.refuses_layer(Layer::new().hard_link("mine", "/etc/passwd"));
    place
        .refuses_layer(Layer::new().symlink("out", "/").hard_link("mine", &format!("out{victim}")));
    place.refuses_layer(Layer::new().dir("d").hard_link("mine", "d"));
    place.refuses_layer(Layer::new().file(".wh.x", "").hard_link("mine", "x"));
    // A link to a link is a link, not a way to what it points to.
    let layer = Layer::new().symlink("s", victim).hard_link("h", "s").file("h", "hit");
    let layers = place.accepts(&[layer.finish()]);
    assert_eq!(std::fs::read(layers[0].join("h")).unwrap(), b"hit");
    // To itself: no reason to lose the file.
    let layers = place.accepts(&[Layer::new().file("a", "1").hard_link("a", "a").finish()]);
    assert_eq!(std::fs::read(layers[0].join("a")).unwrap(), b"1");
}

#[test]
fn names_that_climb_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    for name in ["../victim", "a/../../victim", "..", "a/.."] {
        place.refuses_layer(Layer::new().file(name, "hit"));
        place.refuses_layer(Layer::new().symlink(name, "x"));
        place.refuses_layer(Layer::new().pax("path", name.as_bytes()).file("ok", "hit"));
    }
    place.refuses_layer(Layer::new().pax("path", b"a\0b").file("ok", "hit"));
    place.refuses_layer(Layer::new().file("./", "the root is no file"));
    place.refuses_layer(Layer::new().symlink(".", "/"));
}

#[test]
fn whiteouts_that_name_nothing_or_climb_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    for name in [".wh.", ".wh..", ".wh...", "a/.wh...", ".wh..wh.", ".wh..wh..plnk", ".wh.a/b"] {
        place.refuses_layer(Layer::new().file(name, ""));
    }
}

#[test]
fn devices_that_are_whiteouts_or_out_of_range_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.refuses_layer(Layer::new().device(b'3', "null", 0, 0));
    place.refuses_layer(Layer::new().device(b'3', "d", 4096, 0));
    place.refuses_layer(Layer::new().device(b'4', "d", 0, 1 << 20));
    place.refuses_layer(Layer::new().raw(header(b'V', b"odd", 0), b""));
    let layers = place.accepts(&[Layer::new().device(b'3', "null", 1, 3).finish()]);
    assert_eq!(layers[0].join("null").symlink_metadata().unwrap().rdev(), 0x103);
}

#[test]
fn attributes_that_steer_overlayfs_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    for name in ["trusted.overlay.opaque", "trusted.overlay.redirect", "user.overlay.whiteout"] {
        let key = format!("SCHILY.xattr.{name}");
        place.refuses_layer(Layer::new().pax(&key, b"y").dir("d"));
        place.refuses_layer(Layer::new().pax(&key, b"y").file("f", ""));
        place.refuses_layer(Layer::new().pax(&key, b"y").symlink("s", "x"));
    }
}

#[test]
fn owners_out_of_range_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    for id in [&b"4294967295"[..], b"4294967296", b"-1", b"0x0", b""] {
        place.refuses_layer(Layer::new().pax("uid", id).file("f", ""));
        place.refuses_layer(Layer::new().pax("gid", id).dir("d"));
    }
}

#[test]
fn two_sizes_for_one_file_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    // A reader that takes the other size finds the inner archive's entries.
    let inner = Layer::new().file("inner", "hidden").0;
    let size = inner.len().to_string();
    let zero = Layer::new().pax("size", size.as_bytes()).raw(header(b'0', b"f", 0), &inner);
    place.refuses_layer(zero);
    let more = Layer::new().pax("size", b"0").raw(header(b'0', b"f", inner.len() as u64), &inner);
    place.refuses_layer(more);
    let mut wide = header(b'0', b"f", 0);
    wide.as_old_mut().size = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    place.refuses_layer(Layer::new().raw(wide, b""));
    place.refuses_layer(Layer::new().raw(header(b'1', b"l", 512), &[0; 512]));
    place.refuses_layer(Layer::new().raw(header(b'5', b"d", 512), &[0; 512]));
    place.refuses_layer(Layer::new().pax("path", b"a").pax("path", b"b").file("c", ""));
    let both = Layer::new().pax("path", b"a").entry(b'L', "././@LongLink", b"b\0").file("c", "");
    place.refuses_layer(both);
    place.refuses_layer(Layer::new().entry(b'g', "pax", b"9 size=1\n").file("c", ""));
    place.refuses_layer(Layer::new().pax("path", b"nothing follows"));
}

#[test]
fn a_directory_deeper_than_a_path_can_tell_is_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    // Each step doubles back through a link: the path is short, the tree is not.
    let step = "d/".repeat(1500);
    let mut layer = Layer::new();
    let mut at = String::new();
    for n in 0..4 {
        layer = layer.pax("path", format!("{at}{step}").as_bytes()).dir("x");
        let target = format!("{at}{step}");
        layer = layer.pax("linkpath", target.as_bytes()).symlink(&format!("s{n}"), "x");
        at = format!("s{n}/");
    }
    place.refuses_layer(layer);
}
