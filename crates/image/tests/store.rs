//! The store: finding, naming, removing; and many at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;

use std::sync::Barrier;
use std::time::Instant;

use harness::{Layer, Place, docker_archive, is_root, snapshot};
use sandbar_image::{ErrorKind, File, Removal, Settings, Store};

fn layer(name: &str) -> Vec<u8> {
    Layer::new().file(name, name).finish()
}

#[test]
fn names_and_ids_are_found() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let hub = place.store.load(&docker_archive(&[layer("hub")], &["nginx"])[..]).unwrap()[0].id;
    assert_eq!(place.store.find("nginx").unwrap().id, hub);
    let local =
        place.store.load(&docker_archive(&[layer("local")], &["localhost/nginx"])[..]).unwrap()[0]
            .id;
    assert_eq!(place.store.find("nginx").unwrap().id, local, "what is local comes first");
    assert_eq!(place.store.find("docker.io/nginx").unwrap().id, hub);
    let hex = hub.digest().hex();
    for name in [hex.clone(), format!("sha256:{hex}"), hex[..12].to_owned(), format!("nginx@{hub}")]
    {
        assert_eq!(place.store.find(&name).unwrap().id, hub, "{name}");
    }
    let kind = |name: &str| place.store.find(name).unwrap_err().kind();
    for name in ["other", "nginx:2", "sha256:123456", &"0".repeat(64), "quay.io/nginx", "fff0fff0"]
    {
        assert_eq!(kind(name), ErrorKind::NotFound, "{name}");
    }
    for name in ["", "UPPER", "../nginx", "a:b:c", "nginx@sha256:12"] {
        assert_eq!(kind(name), ErrorKind::InvalidReference, "{name}");
    }
}

#[test]
fn a_prefix_of_two_ids_is_ambiguous() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut ids = Vec::new();
    // Among so many, some begin with the same three digits.
    for n in 0..400 {
        let settings = Settings { cmd: vec![n.to_string()], ..Settings::default() };
        let id = place.store.put_files(&"x".parse().unwrap(), &settings, &[]).unwrap();
        ids.push(id.digest().hex());
        if let Some(twin) = ids[..n].iter().find(|id| id[..3] == ids[n][..3]) {
            let error = place.store.find(&twin[..3]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Ambiguous);
            return;
        }
    }
    panic!("400 ids without two alike");
}

#[test]
fn put_files_is_idempotent_and_cheap() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let name = "pause".parse().unwrap();
    let settings = Settings { entrypoint: vec!["/pause".into()], ..Settings::default() };
    let files = [File { path: "/pause", mode: 0o755, contents: &[7; 1500] }];
    let id = place.store.put_files(&name, &settings, &files).unwrap();
    let before = place.contents();
    let begun = Instant::now();
    for _ in 0..100 {
        assert_eq!(place.store.put_files(&name, &settings, &files).unwrap(), id);
    }
    println!("put_files when present: {:?}", begun.elapsed() / 100);
    let begun = Instant::now();
    for _ in 0..100 {
        place.store.find("pause").unwrap();
    }
    println!("find: {:?}", begun.elapsed() / 100);
    assert_eq!(place.contents(), before);
    let image = place.store.find("localhost/pause:latest").unwrap();
    assert_eq!((image.id, image.size), (id, 1500));
    assert_eq!(std::fs::read(image.layers[0].join("pause")).unwrap(), [7; 1500]);
    let changed = [File { contents: b"new", ..files[0] }];
    assert_ne!(place.store.put_files(&name, &settings, &changed).unwrap(), id);
}

#[test]
fn removing_takes_what_nobody_else_has() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let empty = place.contents();
    let (shared, own) = (layer("shared"), layer("own"));
    place.store.load(&docker_archive(&[shared.clone(), own], &["a", "b"])[..]).unwrap();
    place.store.load(&docker_archive(&[shared], &["c"])[..]).unwrap();
    let a = place.store.find("a").unwrap().id;
    let remove = |name: &str, removal| place.store.remove(name, removal, |_| false);

    let error = remove(&a.to_string(), Removal::OneName).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Referenced);
    let removed = remove("a", Removal::OneName).unwrap();
    assert_eq!((removed.untagged.len(), removed.deleted), (1, None));
    let error = place.store.remove("b", Removal::OneName, |id| *id == a).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse);
    assert_eq!(place.store.find("b").unwrap().layers.len(), 2);
    assert_eq!(remove("b", Removal::OneName).unwrap().deleted, Some(a));
    assert_eq!(place.store.find("b").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(std::fs::read_dir(place.path("store/layers")).unwrap().count(), 1);
    assert!(place.store.find("c").unwrap().layers[0].join("shared").exists());

    place.store.tag("c", &"d".parse().unwrap()).unwrap();
    let c = place.store.find("c").unwrap().id;
    assert_eq!(remove(&c.short(), Removal::AllNames).unwrap().untagged.len(), 2);
    assert_eq!(place.contents(), empty);
    assert_eq!(remove("c", Removal::OneName).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn tags_move_and_lists_tell() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    place.store.load(&docker_archive(&[layer("1")], &["one"])[..]).unwrap();
    place.store.load(&docker_archive(&[layer("2")], &["two"])[..]).unwrap();
    let two = place.store.tag("two", &"docker.io/one".parse().unwrap()).unwrap();
    let list = place.store.list().unwrap();
    assert_eq!(list.len(), 2);
    let summary = list.iter().find(|image| image.id == two).unwrap();
    let names: Vec<_> = summary.references.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["docker.io/library/one:latest", "docker.io/library/two:latest"]);
    assert_eq!(summary.size, 1);
    let nameless = list.iter().find(|image| image.id != two).unwrap();
    assert!(nameless.references.is_empty());
    let missing = place.store.tag("three", &"x".parse().unwrap()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

#[test]
fn loads_at_once_share_their_layers() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let archive = docker_archive(&[layer("a"), layer("b"), layer("c")], &["x"]);
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open(&place.path("store")).unwrap();
                start.wait();
                store.load(&archive[..]).unwrap();
            });
        }
    });
    assert_eq!(place.store.find("x").unwrap().layers.len(), 3);
    assert_eq!(std::fs::read_dir(place.path("store/layers")).unwrap().count(), 3);
    assert!(snapshot(&place.path("store/tmp")).is_empty());
}

#[test]
fn loads_and_removals_at_once_never_break_an_image() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let archives = [
        docker_archive(&[layer("shared"), layer("one")], &["one"]),
        docker_archive(&[layer("shared"), layer("two")], &["two"]),
    ];
    let place = &place;
    std::thread::scope(|scope| {
        for (archive, name) in archives.iter().zip(["one", "two"]) {
            scope.spawn(move || {
                for _ in 0..20 {
                    place.store.load(&archive[..]).unwrap();
                    let image = place.store.find(name).unwrap();
                    assert!(image.layers.iter().all(|layer| layer.exists()), "{name} lost a layer");
                    drop(image);
                    place.store.remove(name, Removal::OneName, |_| false).unwrap();
                }
            });
        }
    });
    assert!(snapshot(&place.path("store/layers")).is_empty());
}

#[test]
fn what_a_killed_process_left_is_swept() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let left = place.path("store/tmp/99999-0/layer-1/diff");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("file"), "").unwrap();
    Store::open(&place.path("store")).unwrap();
    assert!(snapshot(&place.path("store/tmp")).is_empty());
}
