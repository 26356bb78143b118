//! What is pushed, and what need not be.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;
mod registry;
mod remote;

use std::collections::{BTreeMap, BTreeSet};

use harness::{Layer, MANIFEST, Oci, Place, chain, docker_archive, gzip, is_root, zstd};
use registry::Registry;
use remote::Memory;
use sandbar_image::{
    Cause, Compression, Destination, Digest, Error, ErrorKind, ManifestName, OutgoingBlob, Pushed,
    Removal,
};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

fn layer(name: &str) -> Vec<u8> {
    Layer::new().dir("etc/").file(&format!("etc/{name}"), &name.repeat(9000)).finish()
}

fn push(place: &Place, image: &str, to: &str, registry: &Registry) -> Result<Pushed, Error> {
    place.store.push(image, &to.parse().unwrap(), registry, None, &|_| {})
}

fn ok(pushed: Result<Pushed, Error>) -> Pushed {
    pushed.map_err(|e| chain(&e)).unwrap()
}

/// A place with an image of two layers that never was elsewhere.
fn loaded() -> Place {
    let place = Place::new();
    let archive = docker_archive(&[layer("base"), layer("top")], &["localhost/a:1"]);
    place.store.load(&archive[..]).map_err(|e| chain(&e)).unwrap();
    place
}

/// A place with the image `r.io/base/a:latest`, and the registry that it was pulled from.
fn pulled() -> (Place, Memory) {
    let place = Place::new();
    let layers = [layer("base"), layer("top")];
    let mut oci = Oci::default();
    let packed: Vec<_> = layers.iter().map(|layer| (GZIP, gzip(layer))).collect();
    let image = oci.image(&layers, &packed);
    let memory = Memory::new(oci, &image);
    let name = "r.io/base/a:latest".parse().unwrap();
    place.store.pull(&memory, &name, None, &|_| {}).map_err(|e| chain(&e)).unwrap();
    (place, memory)
}

#[test]
fn an_image_that_never_was_elsewhere_is_packed_the_same_way_each_time() {
    if !is_root() {
        return;
    }
    let place = loaded();
    let registry = Registry::default();
    let first = ok(push(&place, "a:1", "r.io/x/a:1", &registry));
    assert_eq!(registry.sent(), 3);
    let manifest = registry.manifest("1");
    assert_eq!(manifest["mediaType"], MANIFEST);
    assert_eq!(manifest["config"]["digest"], first.id.to_string());
    assert_eq!(manifest["layers"][0]["mediaType"], GZIP);
    // Again, and from a store that knows nothing of the first.
    assert_eq!(ok(push(&place, "a:1", "r.io/x/a:2", &registry)), first);
    assert_eq!(ok(push(&loaded(), "a:1", "r.io/x/a:3", &registry)), first);
    assert_eq!(registry.sent(), 0);
    // By a registry's digest it is found here too.
    place.store.tag("a:1", &"r.io/x/a:1".parse().unwrap()).unwrap();
    let pinned = format!("r.io/x/a@{}", first.digest);
    assert_eq!(place.store.find(&pinned).unwrap().id, first.id);
}

#[test]
fn what_was_pushed_can_be_pulled_as_the_same_image() {
    if !is_root() {
        return;
    }
    for (compression, kind) in
        [(Compression::Gzip, GZIP), (Compression::Zstd, ZSTD), (Compression::Plain, harness::LAYER)]
    {
        let place = loaded();
        let registry = Registry::default();
        let name = "r.io/x/a:1".parse().unwrap();
        let pushed = place.store.push("a:1", &name, &registry, Some(compression), &|_| {});
        let pushed = ok(pushed);
        assert_eq!(registry.manifest("1")["layers"][1]["mediaType"], kind);
        let other = Place::new();
        let (name, memory) = ("r.io/x/a:latest".parse().unwrap(), registry.to_pull("1"));
        let pulled = other.store.pull(&memory, &name, None, &|_| {}).map_err(|e| chain(&e));
        assert_eq!(pulled.unwrap().id, pushed.id);
    }
}

#[test]
fn a_manifest_that_was_pulled_is_pushed_as_it_is_where_its_blobs_are() {
    if !is_root() {
        return;
    }
    let (place, memory) = pulled();
    let original = memory.manifests["latest"].0.clone();
    let blobs: BTreeSet<_> = memory.blobs.values().map(|bytes| Digest::of(bytes)).collect();
    // In another repository of the same registry: mounted.
    let elsewhere = BTreeMap::from([("base/a".to_owned(), blobs)]);
    let registry = Registry { elsewhere, ..Registry::default() };
    let pushed = ok(push(&place, "r.io/base/a", "r.io/mine/a:1", &registry));
    assert_eq!(pushed.digest, Digest::of(&original));
    assert_eq!(registry.sent(), 1, "more than the configuration");
    // By its digest too.
    let pinned = format!("r.io/mine/a@{}", pushed.digest);
    assert_eq!(ok(push(&place, "r.io/base/a", &pinned, &registry)), pushed);
    // Another registry has none of it, and can have nothing mounted.
    let registry = Registry { elsewhere: registry.elsewhere, ..Registry::default() };
    let error = push(&place, "r.io/base/a", &pinned.replace("r.io", "q.io"), &registry);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unsupported);
    let other = ok(push(&place, "r.io/base/a", "q.io/mine/a:1", &registry));
    assert_eq!(other.id, pushed.id);
    assert_ne!(other.digest, pushed.digest);
    assert_eq!(registry.sent(), 3);
}

#[test]
fn what_was_pushed_to_one_repository_is_mounted_in_another() {
    if !is_root() {
        return;
    }
    let (place, first) = (loaded(), Registry::default());
    let pushed = ok(push(&place, "a:1", "r.io/one:1", &first));
    let blobs: BTreeSet<_> = first.blobs.lock().unwrap().keys().copied().collect();
    let elsewhere = BTreeMap::from([("one".to_owned(), blobs)]);
    let second = Registry { elsewhere: elsewhere.clone(), ..Registry::default() };
    assert_eq!(ok(push(&place, "a:1", "r.io/two:1", &second)), pushed);
    assert_eq!(second.sent(), 1, "more than the configuration");
    // Not in another registry that has a repository of that name.
    let third = Registry { elsewhere, ..Registry::default() };
    ok(push(&place, "a:1", "q.io/two:1", &third));
    assert_eq!(third.sent(), 3);
    place.store.remove("a:1", Removal::AllNames, |_| false).unwrap();
    assert_eq!(std::fs::read_dir(place.path("store/places")).unwrap().count(), 0);
}

#[test]
fn a_layer_that_is_there_in_any_form_is_not_packed_unless_the_form_is_asked_for() {
    if !is_root() {
        return;
    }
    let (place, memory) = pulled();
    let registry = Registry::default();
    let base = gzip(&layer("base"));
    assert!(memory.blobs.values().any(|blob| *blob == base));
    registry.blobs.lock().unwrap().insert(Digest::of(&base), base.clone());
    ok(push(&place, "r.io/base/a", "q.io/a:1", &registry));
    assert_eq!(registry.sent(), 2);
    assert_eq!(registry.manifest("1")["layers"][0]["digest"], Digest::of(&base).to_string());
    let name = "q.io/a:2".parse().unwrap();
    let zstd_only = Some(Compression::Zstd);
    ok(place.store.push("r.io/base/a", &name, &registry, zstd_only, &|_| {}));
    assert_eq!(registry.sent(), 2);
    for layer in registry.manifest("2")["layers"].as_array().unwrap() {
        assert_eq!(layer["mediaType"], ZSTD);
    }
    assert_ne!(zstd(&layer("base")), base);
}

#[test]
fn a_push_that_broke_off_goes_on() {
    if !is_root() {
        return;
    }
    let place = loaded();
    let mut registry = Registry { most: Some(1), ..Registry::default() };
    let error = push(&place, "a:1", "r.io/a:1", &registry).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Remote);
    assert!(chain(&error).contains("the disk is full"), "{}", chain(&error));
    assert!(registry.manifests.lock().unwrap().is_empty());
    assert_eq!(registry.sent(), 1);
    registry.most = None;
    ok(push(&place, "a:1", "r.io/a:1", &registry));
    assert_eq!(registry.sent(), 2);
    assert_eq!(std::fs::read_dir(place.path("store/tmp")).unwrap().count(), 0);
}

/// Another process that removes the image when its first blob goes out.
struct Removing<'a>(&'a Registry, &'a Place);

impl Destination for Removing<'_> {
    fn has_blob(&self, digest: &Digest, others: &[&str]) -> Result<bool, Cause> {
        self.0.has_blob(digest, others)
    }

    fn put_blob(&self, blob: &OutgoingBlob<'_>) -> Result<(), Cause> {
        match self.1.store.remove("a:1", Removal::AllNames, |_| false) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        self.0.put_blob(blob)
    }

    fn put_manifest(&self, name: &ManifestName, bytes: &[u8], kind: &str) -> Result<(), Cause> {
        self.0.put_manifest(name, bytes, kind)
    }
}

#[test]
fn an_image_that_is_removed_meanwhile_is_pushed_whole_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let (place, registry) = (loaded(), Registry::default());
    let name = "r.io/a:1".parse().unwrap();
    let pushed = place.store.push("a:1", &name, &Removing(&registry, &place), None, &|_| {});
    ok(pushed);
    assert_eq!(registry.sent(), 3);
    assert_eq!(place.store.find("a:1").unwrap_err().kind(), ErrorKind::NotFound);
    for directory in ["manifests", "blobs/sha256", "tmp"] {
        let path = place.path("store").join(directory);
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 0, "{directory}");
    }
}

#[test]
fn a_layer_that_was_changed_in_the_store_is_not_pushed() {
    if !is_root() {
        return;
    }
    let place = loaded();
    let top = place.store.find("a:1").unwrap().layers[0].join("etc/top");
    std::fs::write(&top, "pot".repeat(9000)).unwrap();
    for compression in [Compression::Gzip, Compression::Plain] {
        let registry = Registry::default();
        let name = "r.io/a:1".parse().unwrap();
        let pushed = place.store.push("a:1", &name, &registry, Some(compression), &|_| {});
        let error = pushed.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{}", chain(&error));
        assert!(chain(&error).contains("damaged"), "{}", chain(&error));
        assert!(registry.manifests.lock().unwrap().is_empty());
    }
}
