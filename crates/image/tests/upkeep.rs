//! Checking, measuring and pruning the store, and listing a large one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;

use std::path::Path;
use std::time::Instant;

use harness::{Layer, Place, chain, docker_archive, is_root, snapshot};
use sandbar_image::{Digest, ErrorKind, ImageId, Part, Settings};

fn layer(name: &str) -> Vec<u8> {
    Layer::new().file(name, &name.repeat(9000)).hard_link("link", name).finish()
}

fn load(place: &Place, layers: &[Vec<u8>], tag: &str) -> ImageId {
    place.store.load(&docker_archive(layers, &[tag])[..]).unwrap()[0].id
}

#[test]
fn each_damaged_thing_is_reported() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let (shared, own) = (layer("shared"), layer("own"));
    let a = load(&place, &[shared.clone(), own.clone()], "a");
    let b = load(&place, std::slice::from_ref(&shared), "b");
    let found = place.store.check().unwrap();
    assert!(found.is_empty(), "{found:?}");

    let at = |layer: &[u8], rest: &str| {
        place.path("store/layers").join(Digest::of(layer).hex()).join(rest)
    };
    let mut changed = std::fs::read(at(&shared, "diff/shared")).unwrap();
    changed[4000] ^= 1;
    std::fs::write(at(&shared, "diff/shared"), changed).unwrap();
    std::fs::remove_file(at(&own, "recipe")).unwrap();
    std::fs::write(place.path("store/blobs/sha256").join(b.digest().hex()), "{}").unwrap();
    let found = place.store.check().unwrap();
    let is = |part: Part, images: &[ImageId]| {
        let fits = |d: &&sandbar_image::Damage| {
            let mut of = d.images.clone();
            of.sort();
            d.part == part && of == images
        };
        let damage = found.iter().find(fits).unwrap_or_else(|| panic!("{part:?} in {found:?}"));
        assert_eq!(damage.error.kind(), ErrorKind::Corrupt, "{}", chain(&damage.error));
    };
    let mut both = [a, b];
    both.sort();
    is(Part::Layer(Digest::of(&shared)), &both);
    is(Part::Layer(Digest::of(&own)), &[a]);
    is(Part::Blob(*b.digest()), &[b]);
    is(Part::Image(b), &[b]);
    assert_eq!(found.len(), 4);
}

#[test]
fn what_is_brought_again_is_whole_again() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let bring = || load(&place, &[layer("a")], "a");
    let id = bring();
    let built_in = |name: &str| {
        place.store.put_files(&name.parse().unwrap(), &Settings::default(), &[]).unwrap()
    };
    let pause = built_in("pause");
    for directory in ["images", "references", "blobs/sha256"] {
        for entry in std::fs::read_dir(place.path("store").join(directory)).unwrap() {
            std::fs::write(entry.unwrap().path(), "").unwrap();
        }
    }
    assert!(!place.store.check().unwrap().is_empty());
    assert_eq!((bring(), built_in("pause")), (id, pause));
    let found = place.store.check().unwrap();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn what_is_nobodys_is_left_alone() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    load(&place, &[layer("a")], "a");
    for directory in ["references", "images", "manifests", "layers", "partial", "tmp"] {
        std::fs::write(place.path("store").join(directory).join("file"), "").unwrap();
    }
    std::fs::create_dir(place.path("store/partial/directory")).unwrap();
    assert_eq!(place.store.list().unwrap().len(), 1);
    place.store.prune(false, None, |_| false).unwrap();
    assert_eq!(place.store.list().unwrap().len(), 1);
    assert!(place.store.check().unwrap().is_empty());
}

#[test]
fn what_is_not_contents_is_checked_too() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
    if !is_root() {
        return;
    }
    let place = Place::new();
    let tar = Layer::new()
        .file("a/file", "some")
        .hard_link("a/link", "a/file")
        .symlink("a/way", "file")
        .file("a/gone", "")
        .file("a/gone", "again")
        .file(".wh.hidden", "")
        .finish();
    let id = load(&place, std::slice::from_ref(&tar), "a");
    let at = |name: &str| {
        place.path("store/layers").join(Digest::of(&tar).hex()).join("diff").join(name)
    };
    let fine = || {
        let found = place.store.check().unwrap();
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(std::fs::read_dir(place.path("store/tmp")).unwrap().count(), 0);
    };
    let damaged = |why: &str| {
        let found = place.store.check().unwrap();
        assert_eq!(found.len(), 1, "{why}: {found:?}");
        assert_eq!((found[0].part, &found[0].images), (Part::Layer(Digest::of(&tar)), &vec![id]));
        let said = chain(&found[0].error);
        assert!(said.contains(why), "{why}: {said}");
    };
    let touch = |name: &str| {
        let time = std::fs::metadata(at("a/file")).unwrap().modified().unwrap();
        std::fs::File::options().append(true).open(at(name)).unwrap().set_modified(time).unwrap();
    };
    fine();
    chown(at("a/file"), Some(7), None).unwrap();
    damaged("\"a/file\": its owner is 7:0, not 0:0");
    chown(at("a/file"), Some(0), None).unwrap();
    let mode = std::fs::metadata(at("a")).unwrap().permissions();
    std::fs::set_permissions(at("a"), PermissionsExt::from_mode(0o777)).unwrap();
    damaged("\"a\": its mode is 777");
    std::fs::set_permissions(at("a"), mode).unwrap();
    fine();
    std::fs::write(at("a/new"), "").unwrap();
    damaged("\"a/new\": it is no part of the layer");
    std::fs::remove_file(at("a/new")).unwrap();
    let time = std::fs::symlink_metadata(at("a/way")).unwrap().mtime();
    std::fs::remove_file(at("a/way")).unwrap();
    damaged("\"a/way\": it is missing");
    symlink("else", at("a/way")).unwrap();
    damaged("\"a/way\": ");
    std::fs::remove_file(at("a/way")).unwrap();
    symlink("file", at("a/way")).unwrap();
    damaged("\"a/way\": its time");
    let set = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(at("a"), name, value, rustix::fs::XattrFlags::empty())
    };
    let zero = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 };
    let as_it_was = rustix::fs::Timespec { tv_sec: time, ..zero };
    let times = rustix::fs::Timestamps { last_access: zero, last_modification: as_it_was };
    let itself = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, at("a/way"), &times, itself).unwrap();
    touch("a/file");
    fine();
    set("trusted.overlay.opaque", b"y").unwrap();
    damaged("trusted.overlay.opaque");
    rustix::fs::removexattr(at("a"), "trusted.overlay.opaque").unwrap();
    // A label of the host's is none of ours.
    std::fs::remove_file(at("a/link")).unwrap();
    std::fs::copy(at("a/file"), at("a/link")).unwrap();
    touch("a/link");
    damaged("names, not");
}

#[test]
fn a_path_as_long_as_can_be_is_checked() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let longest = format!("{}end", "a/".repeat(2046));
    let tar = Layer::new().pax("path", longest.as_bytes()).file("short", "some").finish();
    load(&place, &[tar], "a");
    let found = place.store.check().unwrap();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn what_is_damaged_is_removed_unless_it_is_in_use() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let empty = place.contents();
    let (shared, own) = (layer("shared"), layer("own"));
    let a = load(&place, &[shared.clone(), own.clone()], "a");
    let b = load(&place, std::slice::from_ref(&shared), "b");
    let damage = || {
        let path = place.path("store/layers").join(Digest::of(&own).hex()).join("recipe");
        std::fs::write(path, "").unwrap();
        place.store.check().unwrap()
    };
    assert_eq!(place.store.repair(&damage(), |id| *id == a).unwrap(), []);
    assert_eq!(place.store.repair(&damage(), |id| *id == b).unwrap(), [a]);
    assert!(place.store.check().unwrap().is_empty());
    assert_eq!(place.store.list().unwrap().len(), 1);
    assert_eq!(load(&place, &[shared, own], "a"), a);
    assert!(place.store.check().unwrap().is_empty());
    // What says which image is which.
    std::fs::write(place.path("store/images").join(a.digest().hex()), "").unwrap();
    let name = std::fs::read_dir(place.path("store/references")).unwrap().next().unwrap();
    std::fs::write(name.unwrap().path(), "{").unwrap();
    let damages = place.store.check().unwrap();
    let parts: Vec<_> = damages.iter().map(|damage| damage.part).collect();
    assert!(matches!(parts[..], [Part::Image(_), Part::Name(_)]), "{damages:?}");
    assert_eq!(place.store.repair(&damages, |_| false).unwrap(), [a]);
    assert!(place.store.check().unwrap().is_empty());
    place.store.prune(true, None, |_| false).unwrap();
    assert_eq!(place.contents(), empty);
}

fn du(paths: &[&Path]) -> u64 {
    let output = std::process::Command::new("du").args(["-s", "-c", "-B1"]).args(paths).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.lines().last().unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn usage_is_what_du_says() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let (shared, own, gone) = (layer("shared"), layer("own"), layer("gone"));
    let a = load(&place, &[shared.clone(), own.clone()], "a");
    let b = load(&place, std::slice::from_ref(&shared), "b");
    load(&place, std::slice::from_ref(&gone), "c");
    let layer = |layer: &[u8]| place.path("store/layers").join(Digest::of(layer).hex());
    let blob = |id: ImageId| place.path("store/blobs/sha256").join(id.digest().hex());
    std::fs::remove_file(
        place.path("store/images").join(place.store.find("docker.io/c").unwrap().id.digest().hex()),
    )
    .unwrap();
    std::fs::write(place.path("store/partial").join(a.digest().hex()), [1; 10_000]).unwrap();
    let usage = place.store.usage(|id| *id == b).unwrap();
    let of = |id: ImageId| *usage.images.iter().find(|image| image.id == id).unwrap();
    assert_eq!(of(a).shared, du(&[&layer(&shared)]));
    assert_eq!(of(a).unique, du(&[&layer(&own), &blob(a)]));
    assert_eq!((of(b).shared, of(b).unique), (of(a).shared, du(&[&blob(b)])));
    assert_eq!(usage.partial, du(&[&place.path("store/partial").join(a.digest().hex())]));
    assert_eq!(usage.total, of(a).shared + of(a).unique + of(b).unique + usage.unreferenced);
    assert!(usage.unreferenced > du(&[&layer(&gone)]));
    // What b needs stays, the layer that it shares with a as well.
    assert_eq!(usage.reclaimable, usage.total - of(b).shared - of(b).unique);
    assert_eq!(sandbar_image::bytes_on_disk(&layer(&own)).unwrap(), du(&[&layer(&own)]));
    assert_eq!(sandbar_image::bytes_on_disk(&place.path("nothing")).unwrap(), 0);
}

#[test]
fn pruning_takes_what_has_no_name_and_keeps_what_is_in_use() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let empty = place.contents();
    let nameless = load(&place, &[layer("1")], "one");
    let one = load(&place, &[layer("2")], "one");
    let used = load(&place, &[layer("3")], "three");
    std::fs::write(place.path("store/partial").join(one.digest().hex()), "some").unwrap();
    let in_use = |id: &ImageId| *id == used;
    let early = Some("2020-01-01T00:00:00Z".parse().unwrap());
    let pruned = place.store.prune(true, early, in_use).unwrap();
    assert!(pruned.deleted.is_empty() && pruned.untagged.is_empty());
    assert!(pruned.freed > 0 && snapshot(&place.path("store/partial")).is_empty());
    let before = place.store.usage(|_| false).unwrap().total;
    let pruned = place.store.prune(false, None, in_use).unwrap();
    assert_eq!((pruned.deleted, pruned.untagged.len()), (vec![nameless], 0));
    assert!(
        pruned.freed > 0 && place.store.usage(|_| false).unwrap().total <= before - pruned.freed
    );
    let pruned = place.store.prune(true, None, in_use).unwrap();
    assert_eq!((pruned.deleted, pruned.untagged.len()), (vec![one], 1));
    assert_eq!(place.store.list().unwrap().len(), 1);
    place.store.prune(true, None, |_| false).unwrap();
    assert_eq!(place.contents(), empty);
}

#[test]
fn a_thousand_images_are_listed_without_their_configurations() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let created = Some("2024-05-06T07:08:09Z".parse().unwrap());
    for n in 0..1000 {
        let settings = Settings { cmd: vec![n.to_string()], created, ..Settings::default() };
        let id = place.store.put_files(&format!("x:{n}").parse().unwrap(), &settings, &[]).unwrap();
        std::fs::remove_file(place.path("store/blobs/sha256").join(id.digest().hex())).unwrap();
    }
    let begun = Instant::now();
    let list = place.store.list().unwrap();
    println!("1,000 images listed in {:?}", begun.elapsed());
    assert_eq!(list.len(), 1000);
    assert!(list.iter().all(|image| image.created == created && image.references.len() == 1));
}

#[test]
fn a_record_of_an_older_version_is_listed_by_its_configuration() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let id = load(&place, &[layer("1")], "one");
    let path = place.path("store/images").join(id.digest().hex());
    let mut record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record.as_object_mut().unwrap().remove("created").unwrap();
    std::fs::write(&path, record.to_string()).unwrap();
    let created = place.store.list().unwrap()[0].created;
    assert_eq!(created.unwrap().to_string(), "2024-05-06T07:08:09Z");
}
