//! Files with holes: unpacked as such, in each of GNU tar's formats, and no hostile map is followed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use harness::{Layer, Place, chain, docker_archive, header, is_root};
use sandbar_image::{Digest, ErrorKind, Limits};

const MIB: u64 = 1 << 20;

/// A file with data at these offsets, 5,000 bytes each.
fn holed(path: &Path, size: u64, data: impl Iterator<Item = u64>) {
    let file = File::create(path).unwrap();
    file.set_len(size).unwrap();
    for offset in data {
        let bytes: Vec<u8> = (0..5000).map(|n| (offset + n).to_le_bytes()[0] | 1).collect();
        file.write_all_at(&bytes, offset).unwrap();
    }
}

fn comes_back(place: &Place, layer: &[u8]) {
    let mut stream = place.store.layer_stream(&Digest::of(layer)).map_err(|e| chain(&e)).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    assert!(bytes == layer, "{} bytes came back of {}", bytes.len(), layer.len());
}

/// The records of one extended header.
fn pax(records: &[(&str, &str)]) -> Layer {
    let mut all = Vec::new();
    for (key, value) in records {
        let one = Layer::new().pax(key, value.as_bytes()).0;
        let end = one[512..].iter().position(|byte| *byte == 0).unwrap();
        all.extend_from_slice(&one[512..512 + end]);
    }
    Layer::new().entry(b'x', "pax", &all)
}

#[test]
fn every_format_of_gnu_tar_is_unpacked_with_its_holes() {
    if !is_root() {
        return;
    }
    let source = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(120));
    std::fs::create_dir(source.path().join("d".repeat(90))).unwrap();
    let files = [
        ("one", 8 * MIB, vec![3 * MIB]),
        ("empty", 4 * MIB, vec![]),
        ("ends-with-data", 2 * MIB, vec![0, 2 * MIB - 5000]),
        ("many", 64 * MIB, (0..60).map(|n| n * MIB + 77).collect()),
        (long.as_str(), 2 * MIB, vec![MIB]),
    ];
    for (name, size, data) in &files {
        holed(&source.path().join(name), *size, data.iter().copied());
    }
    std::fs::write(source.path().join("plain"), "after them").unwrap();
    for format in [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ] {
        let tar = Command::new("tar")
            .args(["--create", "--sparse", "--hole-detection=raw", "--sort=name"])
            .args(format)
            .arg("--directory")
            .arg(source.path())
            .arg(".")
            .output()
            .unwrap();
        assert!(tar.status.success());
        let layer = tar.stdout;
        assert!((layer.len() as u64) < 2 * MIB, "tar wrote the holes");
        let place = Place::new();
        let unpacked = place.accepts(std::slice::from_ref(&layer)).remove(0);
        for (name, size, data) in &files {
            let (theirs, mine) = (source.path().join(name), unpacked.join(name));
            assert!(std::fs::read(&theirs).unwrap() == std::fs::read(&mine).unwrap(), "{name}");
            let meta = mine.metadata().unwrap();
            assert_eq!(meta.size(), *size);
            assert_eq!(meta.mtime(), theirs.metadata().unwrap().mtime());
            let blocks = meta.blocks() * 512;
            assert!(blocks <= data.len() as u64 * 16384, "{format:?} {name}: {blocks} bytes");
        }
        assert_eq!(std::fs::read(unpacked.join("plain")).unwrap(), b"after them");
        comes_back(&place, &layer);
        // Data where a hole was are no part of the stream, and noticed all the same.
        let file = File::options().write(true).open(unpacked.join("empty")).unwrap();
        file.write_all_at(b"x", MIB).unwrap();
        let mut stream = place.store.layer_stream(&Digest::of(&layer)).unwrap();
        let error = std::io::copy(&mut stream, &mut std::io::sink()).unwrap_err();
        assert!(error.to_string().contains("where a hole should be"), "{error}");
    }
}

#[test]
fn a_sparse_file_that_the_layer_replaces_comes_back_too() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let records = [("GNU.sparse.size", "20"), ("GNU.sparse.numblocks", "1")];
    let sparse = |data: &str| {
        let all = [&records[..], &[("GNU.sparse.map", "10,4")]].concat();
        Layer(pax(&all).0).file("s", data)
    };
    let layer = [sparse("once").0, sparse("more").0, Layer::new().file("s", "last").0].concat();
    let layer = Layer(layer).finish();
    let unpacked = place.accepts(std::slice::from_ref(&layer));
    assert_eq!(std::fs::read(unpacked[0].join("s")).unwrap(), b"last");
    comes_back(&place, &layer);
}

#[test]
fn holes_count_as_what_is_unpacked() {
    if !is_root() {
        return;
    }
    let place = Place::with(Limits { unpacked_bytes: MIB, entries: 100 });
    let of = |size: &str| {
        let records =
            [("GNU.sparse.size", size), ("GNU.sparse.numblocks", "0"), ("GNU.sparse.map", "")];
        Layer(pax(&records).0).file("s", "").finish()
    };
    let error = place.refuses(&docker_archive(&[of("1048577")], &["x"]));
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let several = of("300000")[..1536].repeat(4);
    let error = place.refuses(&docker_archive(&[Layer(several).finish()], &["x"]));
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    place.accepts(&[of("1000000")]);
}

#[test]
fn maps_that_can_be_read_in_two_ways_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let size = ("GNU.sparse.size", "100");
    let blocks = |n| ("GNU.sparse.numblocks", n);
    let map = |map| ("GNU.sparse.map", map);
    let one = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0")];
    for records in [
        &[size, blocks("1"), map("0,3,50,1")][..],
        &[size, blocks("2"), map("50,1,0,3")],
        &[size, blocks("2"), map("0,3,2,1")],
        &[size, blocks("1"), map("98,4")],
        &[size, blocks("1"), map("18446744073709551615,4")],
        &[size, blocks("1"), map("0,5")],
        &[size, blocks("1"), map("0")],
        &[size, blocks("1"), map("0,-4")],
        &[size, map("0,4")],
        &[blocks("1"), map("0,4")],
        &[size, ("GNU.sparse.realsize", "101"), blocks("1"), map("0,4")],
        &[size, blocks("1"), ("GNU.sparse.numbytes", "4")],
        &[size, blocks("1"), ("GNU.sparse.offset", "0")],
        &[size, blocks("1"), ("GNU.sparse.offset", "0"), ("GNU.sparse.offset", "1")],
        &[size, ("GNU.sparse.colour", "4")],
        &[("GNU.sparse.major", "2"), ("GNU.sparse.minor", "0"), size],
        &[one[0], one[1], size, blocks("1"), map("0,4")],
        // The data are no map.
        &[one[0], one[1], size],
    ] {
        place.refuses_layer(Layer([pax(records).0, Layer::new().file("s", "data").0].concat()));
    }
    let good = [size, blocks("1"), map("0,4")];
    place.refuses_layer(Layer([pax(&good).0, Layer::new().dir("s").0].concat()));
    let mut global = pax(&good).0;
    let mut head = header(b'g', b"pax", global.len() as u64 - 512);
    head.as_old_mut().size.copy_from_slice(&global[124..136]);
    head.set_cksum();
    global[..512].copy_from_slice(head.as_bytes());
    place.refuses_layer(Layer([global, Layer::new().file("s", "data").0].concat()));
    for data in ["1\n0\n", "2\n0\n4\n", "x\n", "1\n0\n99999999999999999999999\n", "-1\n", "\n"] {
        let mut block = data.as_bytes().to_vec();
        block.resize(512, 0);
        block.extend_from_slice(b"data");
        let file = Layer::new().entry(b'0', "s", &block);
        place.refuses_layer(Layer([pax(&[one[0], one[1], size]).0, file.0].concat()));
    }
    place.accepts(&[Layer([pax(&good).0, Layer::new().file("s", "data").0].concat()).finish()]);
}

#[test]
fn old_maps_with_gaps_or_without_an_end_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let old = |pairs: &[(usize, &str, &str)], more: u8| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNUSparse);
        header.set_path("s").unwrap();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(4);
        header.as_gnu_mut().unwrap().set_real_size(100);
        let bytes = header.as_mut_bytes();
        for (n, offset, length) in pairs {
            let at = 386 + n * 24;
            bytes[at..at + offset.len()].copy_from_slice(offset.as_bytes());
            bytes[at + 12..at + 12 + length.len()].copy_from_slice(length.as_bytes());
        }
        bytes[482] = more;
        header
    };
    place.accepts(&[Layer::new().raw(old(&[(0, "00000000012", "4")], 0), b"data").finish()]);
    for (pairs, more) in [
        (&[(1, "0", "4")][..], 0),
        (&[(0, "0", "")], 0),
        (&[(0, "", "4")], 0),
        (&[(0, "8", "4")], 0),
        (&[(0, "0", "5")], 0),
        (&[(0, "0", "4")], 1),
        (&[(0, "0", "1"), (1, "2", "1"), (2, "4", "1"), (3, "6", "1")], 1),
    ] {
        place.refuses_layer(Layer::new().raw(old(pairs, more), b"data"));
    }
    let mut ustar = header(b'S', b"s", 4);
    ustar.set_size(4);
    place.refuses_layer(Layer::new().raw(ustar, b"data"));
    // An archive of an image is no layer.
    let archive = Layer::new().raw(old(&[(0, "0", "4")], 0), b"data").finish();
    assert_eq!(place.refuses(&archive).kind(), ErrorKind::Unsupported);
}
