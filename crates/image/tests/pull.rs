//! Pulling from a remote that behaves, and from one that does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;
mod remote;

use std::io::Read;
use std::sync::Mutex;

use harness::{CONFIG, LAYER, Layer, MANIFEST, Oci, Place, chain, gzip, is_root, snapshot, zstd};
use remote::{Fault, Memory, index};
use sandbar_image::{Digest, Error, ErrorKind, Limits, Loaded, Platform, Progress, Store};
use serde_json::{Value, json};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

fn pull(place: &Place, remote: &Memory) -> Result<Loaded, Error> {
    place.store.pull(remote, &"h.io/app".parse().unwrap(), None, &|_| {})
}

/// Bytes that compress badly.
fn large(seed: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < 600_000 {
        bytes.extend_from_slice(
            Digest::of(&[&bytes.len().to_le_bytes()[..], &[seed]].concat()).hex().as_bytes(),
        );
    }
    Layer::new().entry(b'0', &format!("large{seed}"), &bytes).finish()
}

/// An image of three layers, each compressed in its own way.
fn three() -> ([Vec<u8>; 3], Memory) {
    let layers = [large(1), large(2), Layer::new().file("a", "1").file("a", "2").finish()];
    let mut oci = Oci::default();
    let packed = [(GZIP, gzip(&layers[0])), (ZSTD, zstd(&layers[1])), (LAYER, layers[2].clone())];
    let image = oci.image(&layers, &packed);
    (layers, Memory::new(oci, &image))
}

/// An image of one large layer, in gzip.
fn one() -> (Vec<u8>, Memory) {
    let layer = large(3);
    let mut oci = Oci::default();
    let image = oci.image(std::slice::from_ref(&layer), &[(GZIP, gzip(&layer))]);
    (layer, Memory::new(oci, &image))
}

fn is_whole(place: &Place, layers: &[Vec<u8>]) {
    let image = place.store.find("h.io/app").map_err(|e| chain(&e)).unwrap();
    assert_eq!(image.layers.len(), layers.len());
    for layer in layers {
        let mut bytes = Vec::new();
        place.store.layer_stream(&Digest::of(layer)).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes == *layer);
    }
    assert!(snapshot(&place.path("store/partial")).is_empty());
    assert!(snapshot(&place.path("store/tmp")).is_empty());
}

fn partials(place: &Place) -> usize {
    snapshot(&place.path("store/partial")).len()
}

#[test]
fn a_second_pull_asks_for_the_manifest_alone() {
    if !is_root() {
        return;
    }
    let (place, (layers, remote)) = (Place::new(), three());
    let told = Mutex::new(Vec::new());
    let name = "h.io/app".parse().unwrap();
    let loaded = place.store.pull(&remote, &name, None, &|p| told.lock().unwrap().push(p));
    is_whole(&place, &layers);
    let told = told.into_inner().unwrap();
    assert_eq!(told.iter().filter(|p| matches!(p, Progress::Done { .. })).count(), 3);
    assert!(told[..3].iter().all(|p| matches!(p, Progress::Layer { here: false, .. })));
    assert_eq!(remote.requests(), (1, 4));
    let before = place.contents();
    assert_eq!(pull(&place, &remote).unwrap(), loaded.unwrap());
    assert_eq!(remote.requests(), (1, 0));
    assert_eq!(place.contents(), before);
}

#[test]
fn a_download_that_breaks_goes_on_from_where_it_was() {
    if !is_root() {
        return;
    }
    for no_range in [false, true] {
        for fault in [Fault::Break(200_000), Fault::Truncate(200_000), Fault::Stall] {
            let (place, (layer, mut remote)) = (Place::new(), one());
            remote.no_range = no_range;
            remote.set(fault);
            let pulled = pull(&place, &remote);
            if no_range && fault != Fault::Stall {
                // It can't get further than it got the first time.
                assert_eq!(pulled.unwrap_err().kind(), ErrorKind::Remote);
                assert_eq!(partials(&place), 1);
                remote.set(Fault::None);
                pull(&place, &remote).unwrap();
            }
            is_whole(&place, &[layer]);
        }
    }
}

#[test]
fn an_interrupted_pull_is_resumed_by_the_next() {
    if !is_root() {
        return;
    }
    let (place, (layer, remote)) = (Place::new(), one());
    remote.set(Fault::Break(10_000));
    let error = pull(&place, &remote).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Remote, "{}", chain(&error));
    assert!(chain(&error).contains("reset"), "{}", chain(&error));
    assert!(place.store.find("h.io/app").is_err());
    remote.requests();
    remote.set(Fault::None);
    pull(&place, &remote).unwrap();
    assert_eq!(remote.asked.lock().unwrap().last().unwrap().1, 50_000);
    is_whole(&place, &[layer]);
}

#[test]
fn what_power_loss_spoiled_is_downloaded_again() {
    if !is_root() {
        return;
    }
    for spoiled in [vec![0; 5000], vec![7; 2_000_000]] {
        let (place, (layer, remote)) = (Place::new(), one());
        let blob = Digest::of(&gzip(&layer)).hex();
        std::fs::write(place.path("store/partial").join(blob), spoiled).unwrap();
        pull(&place, &remote).unwrap();
        is_whole(&place, &[layer]);
    }
}

#[test]
fn a_remote_that_lies_is_refused_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    for (fault, kinds) in [
        (Fault::Lie, &[ErrorKind::Mismatch, ErrorKind::Malformed][..]),
        (Fault::More, &[ErrorKind::Mismatch, ErrorKind::Malformed]),
    ] {
        let (place, (_, remote)) = (Place::new(), one());
        let before = place.contents();
        remote.set(fault);
        let error = pull(&place, &remote).unwrap_err();
        assert!(kinds.contains(&error.kind()), "{}", chain(&error));
        assert_eq!(place.contents(), before);
    }
}

#[test]
fn a_layer_that_is_not_the_configurations_is_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let (said, is) = (Layer::new().file("a", "1").finish(), Layer::new().file("a", "2").finish());
    let mut oci = Oci::default();
    let image = oci.image(&[said], &[(LAYER, is)]);
    let error = pull(&place, &Memory::new(oci, &image)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    assert!(snapshot(&place.path("store/layers")).is_empty());
}

#[test]
fn pulls_at_once_download_a_layer_once() {
    if !is_root() {
        return;
    }
    let (place, (layers, remote)) = (Place::new(), three());
    remote.set(Fault::Stall);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let store = Store::open(&place.path("store")).unwrap();
                store.pull(&remote, &"h.io/app".parse().unwrap(), None, &|_| {}).unwrap();
            });
        }
    });
    is_whole(&place, &layers);
    let asked = remote.asked.lock().unwrap();
    for layer in [gzip(&layers[0]), zstd(&layers[1])] {
        let digest = Digest::of(&layer);
        assert_eq!(asked.iter().filter(|(of, _)| *of == digest).count(), 1);
    }
}

#[test]
fn the_image_for_the_platform_is_taken() {
    if !is_root() {
        return;
    }
    let mut oci = Oci::default();
    let mut of = |name: &str, architecture: &str, variant: Value| {
        let layer = Layer::new().file(name, "").finish();
        let config: Value =
            serde_json::from_slice(&harness::config(std::slice::from_ref(&layer))).unwrap();
        let mut config = config;
        config["architecture"] = json!(architecture);
        let config = oci.blob(CONFIG, config.to_string().as_bytes());
        let layer = oci.blob(LAYER, &layer);
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
        let mut image = oci.blob(MANIFEST, manifest.to_string().as_bytes());
        image["platform"] = json!({"os": "linux", "architecture": architecture});
        if variant.is_string() {
            image["platform"]["variant"] = variant;
        }
        image
    };
    let mine = oci_spec::image::Arch::default().to_string();
    let mut attached = of("attached", "unknown", Value::Null);
    attached["platform"]["os"] = json!("unknown");
    let all = [
        attached,
        of("v5", "arm", json!("v5")),
        of("v6", "arm", json!("v6")),
        of("mine", &mine, Value::Null),
        of("s390x", "s390x", Value::Null),
    ];
    let top = index(&mut oci, &all);
    let remote = Memory::new(oci, &top);
    let place = Place::new();
    let take = |platform: Option<&str>| {
        let platform = platform.map(|text| text.parse::<Platform>().unwrap());
        place.store.pull(&remote, &"h.io/app".parse().unwrap(), platform.as_ref(), &|_| {})
    };
    for (platform, file) in
        [(None, "mine"), (Some("linux/arm/v7"), "v6"), (Some("linux/arm/v5"), "v5")]
    {
        let loaded = take(platform).map_err(|e| chain(&e)).unwrap();
        let image = place.store.find(&loaded.id.to_string()).unwrap();
        assert!(image.layers[0].join(file).exists(), "{platform:?}");
    }
    let error = take(Some("linux/riscv64")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("linux/arm/v5, linux/arm/v6"), "{error}");
    assert!(!error.to_string().contains("unknown"), "{error}");
    // All is here and pinned: nobody is asked.
    remote.requests();
    let pinned = format!("h.io/app@{}", top["digest"].as_str().unwrap());
    place.store.pull(&remote, &pinned.parse().unwrap(), None, &|_| {}).unwrap();
    assert_eq!(remote.requests(), (0, 0));
    assert!(place.store.find(&pinned).unwrap().layers[0].join("mine").exists());
}

#[test]
fn a_manifest_that_is_also_an_index_is_refused() {
    let place = Place::new();
    let mut oci = Oci::default();
    let layer = Layer::new().finish();
    let image = oci.image(std::slice::from_ref(&layer), &[(LAYER, layer.clone())]);
    let mut remote = Memory::new(oci, &image);
    let good: Value = serde_json::from_slice(&remote.manifests["latest"].0).unwrap();
    let with = |key: &str, value: Value| {
        let mut bad = good.clone();
        bad[key] = value;
        bad
    };
    let no_image = json!({"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": good["config"]["digest"], "size": 2});
    let mut chart = good["layers"].clone();
    chart[0]["mediaType"] = json!("application/vnd.cncf.helm.chart.content.v1.tar+gzip");
    for (bad, kind, said) in [
        (with("manifests", json!([])), ErrorKind::Malformed, MANIFEST),
        (with("fsLayers", json!([])), ErrorKind::Malformed, MANIFEST),
        (with("mediaType", json!(harness::INDEX)), ErrorKind::Malformed, MANIFEST),
        (good.clone(), ErrorKind::Malformed, harness::INDEX),
        (
            good.clone(),
            ErrorKind::Unsupported,
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
        ),
        (with("config", no_image), ErrorKind::Unsupported, MANIFEST),
        (with("layers", chart), ErrorKind::Unsupported, MANIFEST),
        (with("layers", json!([])), ErrorKind::Malformed, MANIFEST),
    ] {
        let bytes = bad.to_string().into_bytes();
        remote.manifests.insert("latest".into(), (bytes, said.to_owned()));
        let error = pull(&place, &remote).unwrap_err();
        assert_eq!(error.kind(), kind, "{said} {bad}: {}", chain(&error));
    }
    remote.manifests.clear();
    let error = pull(&place, &remote).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Remote);
    assert!(chain(&error).contains("MANIFEST_UNKNOWN"));
}

#[test]
fn a_manifest_of_another_digest_is_refused() {
    let (place, (_, mut remote)) = (Place::new(), one());
    let other = Digest::of(b"other");
    let latest = remote.manifests["latest"].clone();
    remote.manifests.insert(other.to_string(), latest);
    let name = format!("h.io/app@{other}").parse().unwrap();
    let error = place.store.pull(&remote, &name, None, &|_| {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch);
}

#[test]
fn a_bomb_is_stopped() {
    if !is_root() {
        return;
    }
    let place = Place::with(Limits { unpacked_bytes: 1 << 20, ..Limits::default() });
    let bomb = Layer::new().entry(b'0', "zeros", &vec![0; 4 << 20]).finish();
    let mut oci = Oci::default();
    let image = oci.image(std::slice::from_ref(&bomb), &[(GZIP, gzip(&bomb))]);
    let before = place.contents();
    let error = pull(&place, &Memory::new(oci, &image)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{}", chain(&error));
    assert_eq!(place.contents(), before);
}

/// A store on a disk of three megabytes, in a mount namespace of its own: the test starts itself again there.
#[test]
fn a_full_disk_is_left_as_it_was() {
    const INSIDE: &str = "SANDBAR_TEST_FULL_DISK";
    if !is_root() {
        return;
    }
    let Some(disk) = std::env::var_os(INSIDE) else {
        let disk = tempfile::tempdir().unwrap();
        let script = r#"mount -t tmpfs -o size=3m tmpfs "$SANDBAR_TEST_FULL_DISK" && TMPDIR="$SANDBAR_TEST_FULL_DISK" "$0" --exact a_full_disk_is_left_as_it_was --nocapture"#;
        let status = std::process::Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .arg(std::env::current_exe().unwrap())
            .env(INSIDE, disk.path())
            .status()
            .unwrap();
        assert!(status.success());
        return;
    };
    let place = Place::new();
    assert!(place.path("store").starts_with(disk));
    let layers: Vec<_> = (10..16).map(large).collect();
    let packed: Vec<_> = layers.iter().map(|layer| (GZIP, gzip(layer))).collect();
    let mut oci = Oci::default();
    let image = oci.image(&layers, &packed);
    let remote = Memory::new(oci, &image);
    let before = place.contents();
    let error = pull(&place, &remote).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(chain(&error).contains("No space left"), "{}", chain(&error));
    assert_eq!(place.contents(), before);
}
