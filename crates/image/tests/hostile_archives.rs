//! Archives that lie, end early, are two things at once, or unfold to more than anyone wants.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;

use harness::{
    CONFIG, INDEX, LAYER, Layer, MANIFEST, Oci, Place, config, docker_archive, gzip, header,
    is_root, named, tar, zstd,
};
use sandbar_image::{Digest, ErrorKind, Limits, Settings};
use serde_json::json;

fn layer() -> Vec<u8> {
    Layer::new().dir("etc").file("etc/name", &"sandbar ".repeat(200)).finish()
}

#[test]
fn a_stream_cut_anywhere_is_an_error() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let whole = docker_archive(&[layer()], &["x"]);
    // All but the second half of the end mark, which no reader needs.
    for length in (0..whole.len() - 1024).step_by(509).chain([whole.len() - 1024]) {
        let error = place.refuses(&whole[..length]);
        assert_eq!(error.kind(), ErrorKind::Malformed, "{length}: {error}");
    }
    for packed in [gzip(&whole), zstd(&whole)] {
        for length in (0..packed.len()).step_by(97).chain([packed.len() - 1]) {
            assert_eq!(place.refuses(&packed[..length]).kind(), ErrorKind::Malformed, "{length}");
        }
    }
    let whole = layer();
    for length in [0, 511, 512, 1024, 1536, whole.len() - 1024] {
        let error = place.store.import(&whole[..length], None, &Settings::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{length}: {error}");
    }
    assert!(place.store.list().unwrap().is_empty());
}

#[test]
fn bytes_that_changed_are_an_error() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    for mut packed in
        [gzip(&docker_archive(&[layer()], &[])), zstd(&docker_archive(&[layer()], &[]))]
    {
        let middle = packed.len() / 2;
        packed[middle] ^= 0x10;
        place.refuses(&packed);
    }
}

#[test]
fn a_layer_that_is_not_what_was_promised_is_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let (promised, other) = (layer(), Layer::new().file("other", "").finish());
    let config = config(&[promised]);
    let name = format!("{}.json", Digest::of(&config).hex());
    let manifest =
        json!([{"Config": name, "RepoTags": ["x"], "Layers": ["l"]}]).to_string().into_bytes();
    let archive =
        tar(&[("l".into(), other.clone()), (name, config), ("manifest.json".into(), manifest)]);
    assert_eq!(place.refuses(&archive).kind(), ErrorKind::Mismatch);

    let mut oci = Oci::default();
    let image = oci.image(&[layer()], &[(LAYER, other)]);
    assert_eq!(place.refuses(&oci.finish(&[image])).kind(), ErrorKind::Mismatch);
}

#[test]
fn a_blob_of_another_digest_or_size_is_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    let image = oci.image(&[layer()], &[(LAYER, layer())]);
    for (path, bytes) in oci.0.clone() {
        let mut damaged = Oci(oci.0.clone());
        let last = bytes.len() - 1;
        damaged.0.get_mut(&path).unwrap()[last] ^= 1;
        let error = place.refuses(&damaged.finish(std::slice::from_ref(&image)));
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
        let mut longer = Oci(oci.0.clone());
        longer.0.get_mut(&path).unwrap().push(b' ');
        let error = place.refuses(&longer.finish(std::slice::from_ref(&image)));
        assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
        let mut missing = Oci(oci.0.clone());
        missing.0.remove(&path);
        let error = place.refuses(&missing.finish(std::slice::from_ref(&image)));
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    }
    // The compressed blob is changed after the stream that matters.
    let mut packed = gzip(&layer());
    packed.extend_from_slice(&gzip(b""));
    let image =
        oci.image(&[layer()], &[("application/vnd.oci.image.layer.v1.tar+gzip", packed.clone())]);
    let path = format!("blobs/sha256/{}", Digest::of(&packed).hex());
    oci.0.get_mut(&path).unwrap()[packed_mtime(&packed)] ^= 1;
    assert_eq!(place.refuses(&oci.finish(&[image])).kind(), ErrorKind::Mismatch);
}

/// Where the second member's modification time is, which no checksum covers.
fn packed_mtime(packed: &[u8]) -> usize {
    packed.len() - gzip(b"").len() + 4
}

#[test]
fn a_manifest_that_is_also_an_index_is_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    let image = oci.image(&[layer()], &[(LAYER, layer())]);
    let config = oci.blob(CONFIG, &config(&[layer()]));
    let both = json!({"schemaVersion": 2, "config": config, "layers": [], "manifests": [image]})
        .to_string();
    for media_type in [MANIFEST, INDEX] {
        let descriptor = oci.blob(media_type, both.as_bytes());
        assert_eq!(place.refuses(&oci.finish(&[descriptor])).kind(), ErrorKind::Malformed);
    }
    let wrong =
        json!({"schemaVersion": 2, "mediaType": INDEX, "config": config, "layers": []}).to_string();
    let descriptor = oci.blob(MANIFEST, wrong.as_bytes());
    assert_eq!(place.refuses(&oci.finish(&[descriptor])).kind(), ErrorKind::Malformed);
}

#[test]
fn an_index_within_itself_or_too_deep_is_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    let mut inner = oci.image(&[layer()], &[(LAYER, layer())]);
    for _ in 0..6 {
        let index =
            json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [inner]}).to_string();
        inner = oci.blob(INDEX, index.as_bytes());
    }
    assert_eq!(place.refuses(&oci.finish(&[inner])).kind(), ErrorKind::Malformed);
}

#[test]
fn a_digest_that_is_a_path_is_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    for digest in ["sha256:../../../../host/etc/passwd", "sha256:", "../x", "sha512:00", ""] {
        let descriptor = json!({"mediaType": MANIFEST, "digest": digest, "size": 4});
        place.refuses(&oci.finish(std::slice::from_ref(&descriptor)));
        let manifest = json!({"schemaVersion": 2, "config": oci.blob(CONFIG, &config(&[layer()])),
            "layers": [{"mediaType": LAYER, "digest": digest, "size": 4}]});
        let manifest = oci.blob(MANIFEST, manifest.to_string().as_bytes());
        place.refuses(&oci.finish(&[manifest]));
    }
    let config = json!({"architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": ["sha256:../../../host"]}});
    let manifest = br#"[{"Config": "c", "RepoTags": null, "Layers": ["l"]}]"#.to_vec();
    let members =
        [("c", config.to_string().into_bytes()), ("l", layer()), ("manifest.json", manifest)];
    place.refuses(&tar(&members.map(|(name, data)| (name.to_owned(), data))));
}

#[test]
fn names_that_break_the_grammar_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    for name in ["../x", "X", "x:y:z", "x@sha256:1", "a b", "<none>:<none>"] {
        let error = place.refuses(&docker_archive(&[layer()], &[name]));
        assert_eq!(error.kind(), ErrorKind::InvalidReference, "{name}");
        let mut oci = Oci::default();
        let image = oci.image(&[layer()], &[(LAYER, layer())]);
        let error = place.refuses(&oci.finish(&[named(image, name)]));
        assert_eq!(error.kind(), ErrorKind::InvalidReference, "{name}");
    }
}

#[test]
fn an_image_is_not_called_by_another_ones_digest() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let other = Digest::of(b"what somebody trusts");
    for name in [format!("nginx@{other}"), format!("r.io/app:1@{other}")] {
        let error = place.refuses(&docker_archive(&[layer()], &[&name]));
        assert_eq!(error.kind(), ErrorKind::InvalidReference, "{name}");
        let mut oci = Oci::default();
        let image = oci.image(&[layer()], &[(LAYER, layer())]);
        let error = place.refuses(&oci.finish(&[named(image, &name)]));
        assert_eq!(error.kind(), ErrorKind::InvalidReference, "{name}");
        let name = name.parse().unwrap();
        let tar = Layer::new().file("a", "").finish();
        let error = place.store.import(&tar[..], Some(&name), &Settings::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidReference, "{name}");
    }
    let mut oci = Oci::default();
    let image = oci.image(&[layer()], &[(LAYER, layer())]);
    let own = format!("r.io/app@{}", image["digest"].as_str().unwrap());
    let id = place.store.load(&oci.finish(&[named(image, &own)])[..]).unwrap()[0].id;
    assert_eq!(place.store.find(&own).unwrap().id, id, "its own is one to call it by");
    for (name, taken) in [
        (format!("b.io/app@{other}"), false),
        (own.replace("r.io", "b.io"), true),
        (format!("b.io/app@{id}"), true),
    ] {
        let tagged = place.store.tag(&own, &name.parse().unwrap());
        assert_eq!(tagged.is_ok(), taken, "{name}");
    }
}

#[test]
fn members_that_lead_out_of_the_archive_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let archive = Layer::new().symlink("manifest.json", "../../host/etc/passwd").finish();
    assert_eq!(place.refuses(&archive).kind(), ErrorKind::Malformed);
    let archive = Layer::new().symlink("manifest.json", "manifest.json").finish();
    assert_eq!(place.refuses(&archive).kind(), ErrorKind::Malformed);
    let twice = Layer::new().file("manifest.json", "[]").file("./manifest.json", "[]").finish();
    assert_eq!(place.refuses(&twice).kind(), ErrorKind::Malformed);
}

#[test]
fn a_document_larger_than_four_mebibytes_is_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let large = vec![b' '; (4 << 20) + 1];
    let archive = tar(&[("manifest.json".to_owned(), large.clone())]);
    assert_eq!(place.refuses(&archive).kind(), ErrorKind::TooLarge);
    let mut oci = Oci::default();
    let descriptor = oci.blob(MANIFEST, &large);
    assert_eq!(place.refuses(&oci.finish(&[descriptor])).kind(), ErrorKind::TooLarge);
}

#[test]
fn a_bomb_ends_at_the_limit() {
    if !is_root() {
        return;
    }
    let limits = Limits { unpacked_bytes: 8 << 20, entries: 100 };
    let place = Place::with(limits);
    let zeros = vec![0; 32 << 20];
    let large = Layer::new().raw(header(b'0', b"zeros", zeros.len() as u64), &zeros).finish();
    let bomb = gzip(&large);
    assert!(bomb.len() * 100 < large.len());
    // The archive itself unfolds; a layer within it does; a layer of many empty files.
    assert_eq!(
        place.refuses(&gzip(&docker_archive(std::slice::from_ref(&large), &["x"]))).kind(),
        ErrorKind::TooLarge
    );
    let mut oci = Oci::default();
    let image =
        oci.image(&[large], &[("application/vnd.oci.image.layer.v1.tar+gzip", bomb.clone())]);
    assert_eq!(place.refuses(&oci.finish(&[image])).kind(), ErrorKind::TooLarge);
    let error = place.store.import(&bomb[..], None, &Settings::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let many = (0..101).fold(Layer::new(), |all, n| all.file(&n.to_string(), ""));
    assert_eq!(
        place.refuses(&docker_archive(&[many.finish()], &["x"])).kind(),
        ErrorKind::TooLarge
    );
}

#[test]
fn sizes_and_sparse_maps_that_promise_more_than_there_is_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let huge = Layer::new().raw(header(b'0', b"f", 8 << 30), b"").finish();
    assert_eq!(place.refuses(&huge).kind(), ErrorKind::Malformed);
    place.refuses_layer(Layer::new().raw(header(b'0', b"f", 8 << 30), b""));
    let name = Layer::new().raw(header(b'L', b"././@LongLink", 8 << 30), b"").finish();
    assert_eq!(place.refuses(&docker_archive(&[name], &["x"])).kind(), ErrorKind::TooLarge);
    let mut sparse = tar::Header::new_gnu();
    sparse.set_entry_type(tar::EntryType::GNUSparse);
    sparse.set_path("s").unwrap();
    sparse.set_mode(0o644);
    sparse.set_uid(0);
    sparse.set_gid(0);
    sparse.set_mtime(0);
    sparse.set_size(0);
    sparse.as_gnu_mut().unwrap().set_real_size(1 << 60);
    let old = Layer::new().raw(sparse, b"").finish();
    assert_eq!(place.refuses(&docker_archive(&[old], &["x"])).kind(), ErrorKind::TooLarge);
    place.refuses_layer(
        Layer::new().pax("GNU.sparse.realsize", b"1152921504606846976").file("s", ""),
    );
}

#[test]
fn images_for_other_systems_are_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    let mut image = oci.image(&[layer()], &[(LAYER, layer())]);
    image["platform"] = json!({"os": "linux", "architecture": "s390x"});
    assert_eq!(place.refuses(&oci.finish(&[image.clone()])).kind(), ErrorKind::Unsupported);
    image["platform"] =
        json!({"os": "windows", "architecture": oci_spec::image::Arch::default().to_string()});
    assert_eq!(place.refuses(&oci.finish(&[image])).kind(), ErrorKind::Unsupported);
    for other in [&b"\xfd7zXZ\0"[..], b"BZh91AY&SY"] {
        assert_eq!(place.refuses(other).kind(), ErrorKind::Unsupported);
    }
    assert_eq!(place.refuses(b"").kind(), ErrorKind::Malformed);
    assert_eq!(
        place.refuses(&Layer::new().file("readme", "").finish()).kind(),
        ErrorKind::Malformed
    );
}
