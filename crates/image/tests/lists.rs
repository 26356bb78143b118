//! Manifest lists: images of several platforms under one name.

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

use std::collections::BTreeMap;
use std::io::Read;

use harness::{INDEX, LAYER, Layer, MANIFEST, Oci, Place, chain, is_root};
use registry::Registry;
use remote::{Memory, index};
use sandbar_image::{
    Digest, Error, ErrorKind, ListPush, ManifestList, Platform, Reference, Remote, Removal,
    SaveFormat,
};
use serde_json::{Value, json};

fn layer(name: &str) -> Vec<u8> {
    Layer::new().dir("etc/").file(&format!("etc/{name}"), name).finish()
}

fn config(architecture: &str, layer: &[u8]) -> Vec<u8> {
    json!({
        "architecture": architecture, "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [Digest::of(layer).to_string()]}
    })
    .to_string()
    .into_bytes()
}

/// Loads an image of this architecture.
fn load(place: &Place, name: &str, architecture: &str) {
    let layer = layer(architecture);
    let manifest = json!([{"Config": "c.json", "RepoTags": [name], "Layers": ["l.tar"]}]);
    let archive = harness::tar(&[
        ("c.json".into(), config(architecture, &layer)),
        ("l.tar".into(), layer),
        ("manifest.json".into(), manifest.to_string().into_bytes()),
    ]);
    place.store.load(&archive[..]).map_err(|e| chain(&e)).unwrap();
}

/// A place with the list `localhost/all:1` of two images.
fn place() -> Place {
    let place = Place::new();
    load(&place, "localhost/a:1", "amd64");
    load(&place, "localhost/b:1", "s390x");
    let member = |name| place.store.member(name).map_err(|e| chain(&e)).unwrap();
    let members = vec![member("a:1"), member("b:1")];
    place.store.create_list(&name("localhost/all:1"), members, false).unwrap();
    place
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Pushes to `r.io/all:1`; what is elsewhere is in `from`.
fn push(
    place: &Place,
    list: &ManifestList,
    registry: &Registry,
    from: Option<&Memory>,
) -> Result<Digest, Error> {
    let how = ListPush {
        to: &name("r.io/all:1"),
        destination: registry,
        remote: &|_| from.map(|it| Box::new(Borrowed(it)) as Box<dyn Remote>).ok_or("no".into()),
        members: true,
        compression: None,
        progress: &|_| {},
    };
    place.store.push_list(list, &how)
}

struct Borrowed<'a>(&'a Memory);

impl Remote for Borrowed<'_> {
    fn manifest(
        &self,
        which: &sandbar_image::ManifestName,
    ) -> Result<sandbar_image::RemoteManifest, sandbar_image::Cause> {
        self.0.manifest(which)
    }

    fn blob(
        &self,
        digest: &Digest,
        size: u64,
        from: u64,
    ) -> Result<sandbar_image::RemoteBlob<'_>, sandbar_image::Cause> {
        self.0.blob(digest, size, from)
    }
}

#[test]
fn a_list_is_pushed_as_the_index_that_it_is_shown_as() {
    if !is_root() {
        return;
    }
    let place = place();
    let list = place.store.find_list("all:1").unwrap();
    let shown: Value = serde_json::from_slice(&list.index().unwrap()).unwrap();
    assert_eq!(shown["mediaType"], INDEX);
    assert_eq!(shown["manifests"][0]["platform"], json!({"os": "linux", "architecture": "amd64"}));
    assert_eq!(shown["manifests"][1]["platform"]["architecture"], "s390x");
    let registry = Registry::default();
    let digest = push(&place, &list, &registry, None).map_err(|e| chain(&e)).unwrap();
    assert_eq!(digest, Digest::of(&list.index().unwrap()));
    assert_eq!(registry.manifest("1"), shown);
    // Whoever pulls it has the image for his platform.
    let memory = registry.to_pull("1");
    for (image, platform) in [("a:1", "linux/amd64"), ("b:1", "linux/s390x")] {
        let platform = platform.parse().unwrap();
        let other = Place::new();
        let name = name("r.io/all:latest");
        let pulled = other.store.pull(&memory, &name, Some(&platform), &|_| {});
        let pulled = pulled.map_err(|e| chain(&e)).unwrap();
        assert_eq!(pulled.id, place.store.find(image).unwrap().id);
    }
}

#[test]
fn what_is_in_a_registry_goes_from_there_to_the_other() {
    if !is_root() {
        return;
    }
    let mut oci = Oci::default();
    let mut images = Vec::new();
    for architecture in ["arm64", "riscv64", "unknown"] {
        let layer = layer(architecture);
        let config = oci.blob(harness::CONFIG, &config(architecture, &layer));
        let layer = oci.blob(LAYER, &layer);
        let manifest = json!(
            {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        let mut image = oci.blob(MANIFEST, manifest.to_string().as_bytes());
        let os = if architecture == "unknown" { "unknown" } else { "linux" };
        image["platform"] = json!({"os": os, "architecture": architecture});
        images.push(image);
    }
    let top = index(&mut oci, &images);
    let memory = Memory::new(oci, &top);
    let place = place();
    let from = name("q.io/some:latest");
    let all = place.store.remote_members(&memory, &from, None, true).unwrap();
    assert_eq!(all.len(), 2, "what is no image is taken for one");
    let riscv = "linux/riscv64".parse().unwrap();
    let one = place.store.remote_members(&memory, &from, Some(&riscv), false).unwrap();
    assert_eq!(one, all[1..]);
    let other = "linux/ppc64le".parse().unwrap();
    let error = place.store.remote_members(&memory, &from, Some(&other), false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    memory.requests();
    let list = place.store.add_to_list("all:1", all).unwrap();
    assert_eq!(list.members.len(), 4);
    let registry = Registry::default();
    push(&place, &list, &registry, Some(&memory)).map_err(|e| chain(&e)).unwrap();
    let pushed = registry.manifest("1");
    assert_eq!(pushed["manifests"][2]["digest"], images[0]["digest"]);
    for image in &images[..2] {
        let manifest = registry.manifest(image["digest"].as_str().unwrap());
        let layer = manifest["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
        assert!(registry.blobs.lock().unwrap().contains_key(&layer));
    }
    // Again, nothing is asked for but manifests.
    memory.requests();
    push(&place, &list, &registry, Some(&memory)).map_err(|e| chain(&e)).unwrap();
    assert_eq!(memory.requests(), (2, 0));
    let error = push(&place, &list, &registry, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Remote);
}

#[test]
fn a_list_is_saved_in_an_oci_layout_and_nowhere_else() {
    if !is_root() {
        return;
    }
    let place = place();
    let save = |images: &[&str], format| {
        let mut archive = Vec::new();
        place.store.save(images, format, &mut archive).map(|()| archive)
    };
    let error = save(&["all:1"], SaveFormat::DockerArchive).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(save(&["no:1"], SaveFormat::OciArchive).unwrap_err().kind(), ErrorKind::NotFound);
    // One of its images also by itself.
    let archive = save(&["all:1", "a:1", "all:1"], SaveFormat::OciArchive);
    let archive = archive.map_err(|e| chain(&e)).unwrap();
    let mut blobs = BTreeMap::new();
    for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
        let (mut entry, mut bytes) = (entry.unwrap(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        let name = entry.path().unwrap().display().to_string();
        assert!(blobs.insert(name, bytes).is_none(), "a blob is there twice");
    }
    let read = |digest: &Value| -> Value {
        let name = digest.as_str().unwrap().replace(':', "/");
        serde_json::from_slice(&blobs[&format!("blobs/{name}")]).unwrap()
    };
    let top: Value = serde_json::from_slice(&blobs["index.json"]).unwrap();
    assert_eq!(top["manifests"].as_array().unwrap().len(), 2);
    let list = &top["manifests"][1];
    assert_eq!(list["annotations"]["io.containerd.image.name"], "localhost/all:1");
    let index = read(&list["digest"]);
    for (image, entry) in ["a:1", "b:1"].iter().zip(index["manifests"].as_array().unwrap()) {
        let config = read(&entry["digest"])["config"]["digest"].clone();
        assert_eq!(config, place.store.find(image).unwrap().id.to_string());
    }
    // Whoever loads it has the image for this machine.
    let (other, host) = (Place::new(), place.store.find("a:1").unwrap());
    if host.config.architecture() == &oci_spec::image::Arch::default() {
        other.store.load(&archive[..]).map_err(|e| chain(&e)).unwrap();
        assert_eq!(other.store.find("all:1").unwrap().id, host.id);
    }
}

#[test]
fn lists_are_made_amended_and_removed() {
    if !is_root() {
        return;
    }
    let place = place();
    let store = &place.store;
    let error = store.create_list(&name("localhost/all:1"), Vec::new(), false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Referenced);
    load(&place, "localhost/c:1", "ppc64le");
    let member = store.member("c:1").unwrap();
    store.create_list(&name("localhost/all:1"), vec![member.clone()], true).unwrap();
    // What is there already is not there twice.
    let mut changed = member;
    changed.platform = changed.platform.with(None, Some("arm"), Some("v6"));
    let list = store.add_to_list("all:1", vec![changed]).unwrap();
    assert_eq!(list.members.len(), 3);
    assert_eq!(list.members[2].platform.to_string(), "linux/arm/v6");
    assert_eq!(store.find_list("localhost/all:1").unwrap(), list);
    // By a digest, an image, or what it was looked up as.
    let removed = store.remove_from_list("all:1", &list.members[1].digest.to_string()).unwrap();
    assert_eq!(removed, list.members[1]);
    let arm = |platform: &Platform| platform.with(None, Some("arm"), None);
    let changed = store.annotate_in_list("all:1", "a:1", arm).unwrap();
    assert_eq!(changed.platform.to_string(), "linux/arm/v7");
    let odd = |platform: &Platform| platform.with(Some("a b"), None, None);
    let error = store.annotate_in_list("all:1", "a:1", odd).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidReference);
    for other in ["b:1", "no:1", &Digest::of(b"").to_string()] {
        let error = store.remove_from_list("all:1", other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{other}");
    }
    let list = store.find_list("all:1").unwrap();
    assert_eq!(list.members.len(), 2);
    let mut there = list.members.clone();
    for (member, digest) in there.iter_mut().zip([b"1", b"2"]) {
        (member.image, member.digest) = (None, Digest::of(digest));
        member.from = Some(name("r.io/there:1"));
    }
    store.create_list(&name("localhost/there:1"), there, false).unwrap();
    let error = store.remove_from_list("there:1", "r.io/there:1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Ambiguous);
    store.remove_from_list("there:1", &Digest::of(b"1").to_string()).unwrap();
    store.remove_from_list("there:1", "r.io/there:1").unwrap();
    store.remove_list("there:1").unwrap();
    store.create_list(&name("docker.io/library/empty:1"), Vec::new(), false).unwrap();
    let empty = store.find_list("empty:1").unwrap();
    let error = push(&place, &empty, &Registry::default(), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(store.lists().unwrap(), [empty, list]);
    store.remove_list("all:1").unwrap();
    assert_eq!(store.find_list("all:1").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.remove_list("all:1").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.find("c:1").unwrap().config.architecture().to_string(), "ppc64le");
}

#[test]
fn an_image_of_a_list_is_not_pruned_but_can_be_removed() {
    if !is_root() {
        return;
    }
    let place = place();
    let id = place.store.find("b:1").unwrap().id;
    place.store.tag("a:1", &name("localhost/b:1")).unwrap();
    assert_eq!(place.store.prune(false, None, |_| false).unwrap().deleted, []);
    assert!(place.store.find(&id.to_string()).is_ok());
    place.store.remove(&id.to_string(), Removal::AllNames, |_| false).unwrap();
    let list = place.store.find_list("all:1").unwrap();
    let error = push(&place, &list, &Registry::default(), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("linux/s390x"), "{error}");
}
