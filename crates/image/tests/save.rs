//! What is saved is what came in, and the same each time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use harness::{Layer, Oci, Place, chain, docker_archive, gzip, is_root, named};
use sandbar_image::{Digest, ErrorKind, SaveFormat};
use serde_json::Value;

fn layer(name: &str) -> Vec<u8> {
    Layer::new().dir("etc/").file(&format!("etc/{name}"), &name.repeat(3000)).finish()
}

/// A place with `localhost/a:1` and `localhost/b:1`, which share their lower layer.
fn place() -> Place {
    let place = Place::new();
    for (name, top) in [("localhost/a:1", "a"), ("localhost/b:1", "b")] {
        let archive = docker_archive(&[layer("base"), layer(top)], &[name]);
        place.store.load(&archive[..]).map_err(|e| chain(&e)).unwrap();
    }
    place
}

fn save(place: &Place, images: &[&str], format: SaveFormat) -> Vec<u8> {
    let mut archive = Vec::new();
    place.store.save(images, format, &mut archive).map_err(|e| chain(&e)).unwrap();
    archive
}

fn members(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let (mut bytes, name) = (Vec::new(), entry.path().unwrap().display().to_string());
        entry.read_to_end(&mut bytes).unwrap();
        assert!(all.insert(name, bytes).is_none(), "a member is there twice");
    }
    all
}

#[test]
fn an_archive_is_loaded_as_the_same_images_with_the_same_names() {
    if !is_root() {
        return;
    }
    for format in [SaveFormat::DockerArchive, SaveFormat::OciArchive] {
        let place = place();
        let archive = save(&place, &["a:1", "localhost/b:1"], format);
        assert_eq!(save(&place, &["a:1", "localhost/b:1"], format), archive, "other bytes");
        let other = Place::new();
        let loaded = other.store.load(&archive[..]).map_err(|e| chain(&e)).unwrap();
        for (loaded, name) in loaded.iter().zip(["localhost/a:1", "localhost/b:1"]) {
            assert_eq!(loaded.id, place.store.find(name).unwrap().id);
            assert_eq!(loaded.references, [name.parse().unwrap()]);
        }
        assert_eq!(loaded.len(), 2);
        // A layer of both is there once.
        assert_eq!(members(&archive).values().filter(|it| **it == layer("base")).count(), 1);
        // The other store has nothing but what was in the archive, and writes the same.
        assert_eq!(save(&other, &["a:1", "localhost/b:1"], format), archive);
    }
}

#[test]
fn an_image_has_the_names_that_it_is_called_by() {
    if !is_root() {
        return;
    }
    let place = place();
    let id = place.store.tag("a:1", &"docker.io/library/more:2".parse().unwrap()).unwrap();
    let tags = |images: &[&str]| {
        let archive = members(&save(&place, images, SaveFormat::DockerArchive));
        let manifest: Value = serde_json::from_slice(&archive["manifest.json"]).unwrap();
        assert_eq!(manifest.as_array().unwrap().len(), 1);
        manifest[0]["RepoTags"].to_string()
    };
    assert_eq!(tags(&["a:1"]), r#"["localhost/a:1"]"#);
    assert_eq!(tags(&[&id.to_string()]), "[]");
    let all = r#"["docker.io/library/more:2","localhost/a:1"]"#;
    assert_eq!(tags(&["more:2", &id.short(), "a:1", "a:1"]), all);
}

#[test]
fn directories_are_what_other_tools_read() {
    if !is_root() {
        return;
    }
    let place = place();
    let (layout, plain) = (place.path("layout"), place.path("plain"));
    for path in [&layout, &plain] {
        std::fs::create_dir(path).unwrap();
    }
    place.store.save_to_directory(&["a:1"], SaveFormat::OciDirectory, &layout).unwrap();
    let archived = members(&save(&place, &["a:1"], SaveFormat::OciArchive));
    for (name, bytes) in archived {
        assert_eq!(std::fs::read(layout.join(name)).unwrap(), bytes);
    }
    place.store.save_to_directory(&["a:1"], SaveFormat::DockerDirectory, &plain).unwrap();
    let manifest = std::fs::read(plain.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    for part in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
        let digest = part["digest"].as_str().unwrap();
        let bytes = std::fs::read(plain.join(&digest["sha256:".len()..])).unwrap();
        assert_eq!(Digest::of(&bytes).to_string(), digest);
        assert_eq!(part["size"], bytes.len());
        assert!(part["mediaType"].as_str().unwrap().contains("docker"));
    }
    let two = ["a:1", "b:1"];
    let error = place.store.save_to_directory(&two, SaveFormat::DockerDirectory, &plain);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
    let error = place.store.save(&two, SaveFormat::OciDirectory, &mut io::sink());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn an_archive_that_can_not_be_whole_has_no_end() {
    if !is_root() {
        return;
    }
    let place = place();
    let whole = save(&place, &["a:1"], SaveFormat::DockerArchive);
    struct Full(Vec<u8>);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.len() > 4096 {
                true => Err(io::ErrorKind::StorageFull.into()),
                false => self.0.write(bytes),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut full = Full(Vec::new());
    let error = place.store.save(&["a:1"], SaveFormat::DockerArchive, &mut full).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(whole.starts_with(&full.0) && full.0.len() < whole.len());
    let top = place.store.find("a:1").unwrap().layers[0].join("etc/a");
    std::fs::write(&top, "b".repeat(3000)).unwrap();
    let mut archive = Vec::new();
    let error = place.store.save(&["a:1"], SaveFormat::DockerArchive, &mut archive).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", chain(&error));
    assert!(Place::new().store.load(&archive[..]).is_err(), "it was taken for whole");
}

#[test]
fn what_a_manifest_said_besides_is_kept() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    let packed = [("application/vnd.oci.image.layer.v1.tar+gzip", gzip(&layer("a")))];
    let image = oci.image(&[layer("a")], &packed);
    let bytes = oci.0[&format!("blobs/sha256/{}", &image["digest"].as_str().unwrap()[7..])].clone();
    let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
    manifest["annotations"] = serde_json::json!({"org.opencontainers.image.title": "An image"});
    let image = oci.blob(harness::MANIFEST, manifest.to_string().as_bytes());
    let archive = oci.finish(&[named(image, "localhost/a:1")]);
    place.store.load(&archive[..]).map_err(|e| chain(&e)).unwrap();
    let saved = members(&save(&place, &["a:1"], SaveFormat::OciArchive));
    let kept = |bytes: &Vec<u8>| {
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        value["annotations"]["org.opencontainers.image.title"] == "An image"
    };
    assert_eq!(saved.values().filter(|bytes| kept(bytes)).count(), 1);
}
