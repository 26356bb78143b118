//! A layer that was unpacked gives its tar stream again, byte for byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;

use std::io::Read;

use harness::{Layer, Place, chain, docker_archive, gzip, header, is_root};
use sandbar_image::{Digest, ErrorKind, Removal};

/// Loads the layer and reads it back.
fn comes_back(layer: &[u8]) {
    let place = Place::new();
    place.accepts(&[layer.to_vec()]);
    comes_back_from(&place, layer);
}

fn comes_back_from(place: &Place, layer: &[u8]) {
    let mut stream = place.store.layer_stream(&Digest::of(layer)).map_err(|e| chain(&e)).unwrap();
    assert_eq!(stream.size(), layer.len() as u64);
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert!(bytes == layer, "{} bytes came back of {}", bytes.len(), layer.len());
}

fn noise(length: usize) -> String {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b' ' + u8::try_from(state % 90).unwrap())
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn ordinary_layers_come_back() {
    if !is_root() {
        return;
    }
    let long = format!("deep/{}/{}", "x".repeat(200), "y".repeat(200));
    let mut odd = header(b'0', b"odd", 3);
    odd.as_old_mut().mode[..8].copy_from_slice(b"   644 \0");
    let layer = Layer::new()
        .dir("./")
        .dir("etc/")
        .file("etc/passwd", "root")
        .file("empty", "")
        .file("block", &noise(512))
        .file("large", &noise(700_001))
        .raw(odd, b"odd")
        .symlink("l", "etc")
        .hard_link("h", "etc/passwd")
        .device(b'3', "null", 1, 3)
        .pax("path", long.as_bytes())
        .file("short", "long")
        .pax("SCHILY.xattr.user.note", b"a\nb")
        .file("noted", "n")
        .file("etc/.wh.gone", "with contents")
        .file("opq/.wh..wh..opq", "");
    comes_back(&layer.clone().finish());
    comes_back(&layer.clone().0);
    comes_back(&[layer.finish(), vec![0; 9728], b"rubbish after the end".to_vec()].concat());
    comes_back(&Layer::new().finish());
    comes_back(&[]);
}

#[test]
fn what_a_layer_replaces_comes_back() {
    if !is_root() {
        return;
    }
    for layer in [
        Layer::new().file("a", "one").file("a", "two").file("a", "three").file("b", "b"),
        Layer::new().file("a", "one").hard_link("b", "a").file("a", "two").file("b", "three"),
        Layer::new().file("a", "one").symlink("a", "b").file("b", "two"),
        Layer::new().file("a", "one").dir("a").file("a/b", "two").file("a", "three").file("c", "c"),
        Layer::new().file("d/e/f", "1").file("d/e/f", "2").file("d", "3").file("d", "4"),
        Layer::new().file("d/x", "1").symlink("d", "e").file("e/x", "2").file("d/x", "3"),
        Layer::new().dir("usr/lib").symlink("lib", "usr/lib").file("lib/x", "1").file("lib", "2"),
        Layer::new().symlink("l", "/a/b").dir("a/b").file("l/c", "1").file("a", "2").dir("l"),
        Layer::new().file("a/.wh.b", "data").file("a/b", "1").file("a/.wh.b", "more"),
        Layer::new().dir("a").file("a", "1").device(b'3', "a", 1, 3).file("a", "2"),
        Layer::new().file("kept/moves", "1").file("kept", "2").file("recipe", "3"),
    ] {
        comes_back(&layer.finish());
    }
    let mut many = Layer::new();
    for n in 0..300 {
        many = many.file(&format!("d/{}", n % 7), &noise(n)).file("e", &n.to_string());
        if n % 50 == 49 {
            many = many.file("d", "a file").dir("d");
        }
    }
    comes_back(&many.finish());
}

#[test]
fn a_file_that_was_changed_is_told() {
    if !is_root() {
        return;
    }
    let layer = Layer::new().file("a", "one").file("b", "two").finish();
    for (change, told) in [("TWO", "a file was changed"), ("three", "has 5"), ("", "has 0")] {
        let place = Place::new();
        let root = place.accepts(std::slice::from_ref(&layer)).remove(0);
        std::fs::write(root.join("b"), change).unwrap();
        let mut stream = place.store.layer_stream(&Digest::of(&layer)).unwrap();
        let error = std::io::copy(&mut stream, &mut std::io::sink()).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[test]
fn a_layer_without_a_recipe_runs_and_gets_one_when_it_is_loaded_again() {
    if !is_root() {
        return;
    }
    let layer = Layer::new().file("a", "one").file("a", "two").finish();
    let place = Place::new();
    let root = place.accepts(std::slice::from_ref(&layer)).remove(0);
    let beside = root.parent().unwrap();
    std::fs::remove_file(beside.join("recipe")).unwrap();
    std::fs::remove_dir_all(beside.join("kept")).unwrap();
    std::fs::write(beside.join("size"), "3").unwrap();
    let mark = root.join("mark");
    std::fs::write(&mark, "").unwrap();
    let image = place.store.find("docker.io/x").unwrap();
    assert_eq!(std::fs::read(image.layers[0].join("a")).unwrap(), b"two");
    drop(image);
    let error = place.store.layer_stream(&Digest::of(&layer)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("pull or load"), "{error}");
    place.store.load(&gzip(&docker_archive(std::slice::from_ref(&layer), &["y"]))[..]).unwrap();
    comes_back_from(&place, &layer);
    assert!(mark.exists(), "the files that containers may run on were replaced");
}

#[test]
fn a_layer_that_is_being_read_is_not_removed() {
    if !is_root() {
        return;
    }
    let layer = Layer::new().file("a", "one").finish();
    let place = Place::new();
    place.accepts(std::slice::from_ref(&layer));
    let mut stream = place.store.layer_stream(&Digest::of(&layer)).unwrap();
    place.store.remove("docker.io/x", Removal::OneName, |_| false).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, layer);
    drop(stream);
    place.accepts(&[Layer::new().finish()]);
    place.store.remove("docker.io/x", Removal::OneName, |_| false).unwrap();
    assert_eq!(
        place.store.layer_stream(&Digest::of(&layer)).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}
