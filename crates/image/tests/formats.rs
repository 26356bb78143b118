//! Every local format is recognised by what is in it; what is no image is refused with its type.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;

use std::fs::File;
use std::path::Path;

use harness::{CONFIG, INDEX, LAYER, Layer, MANIFEST, Oci, Place, chain, gzip, is_root, named};
use sandbar_image::{Digest, Error, ErrorKind, Loaded, Platform};
use serde_json::{Value, json};

/// An image of one layer with one file, called as what the image is.
fn image(oci: &mut Oci, what: &str) -> Value {
    let layer = Layer::new().file(what, "").finish();
    oci.image(std::slice::from_ref(&layer), &[(LAYER, layer.clone())])
}

/// As `image`, for a machine that only the index tells of.
fn image_for(oci: &mut Oci, architecture: &str, variant: Option<&str>) -> Value {
    let mut descriptor = image(oci, &format!("{architecture}{}", variant.unwrap_or_default()));
    descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
    if let Some(variant) = variant {
        descriptor["platform"]["variant"] = json!(variant);
    }
    descriptor
}

/// An OCI layout as a directory.
fn layout(place: &Place, name: &str, archive: &[u8]) -> std::path::PathBuf {
    let path = place.path(name);
    tar::Archive::new(archive).unpack(&path).unwrap();
    path
}

fn load(place: &Place, path: &Path) -> Result<Vec<Loaded>, Error> {
    place.store.load_file(File::open(path).unwrap(), None)
}

fn refused(place: &Place, oci: &Oci, descriptor: Value, said: &str) {
    let error = place.refuses(&oci.finish(&[descriptor]));
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains(said), "{error}");
}

/// What Skopeo calls `dir`: a manifest, and blobs by their digests' digits.
fn dir(place: &Place, name: &str, oci: &Oci, manifest: &Value) -> std::path::PathBuf {
    let path = place.path(name);
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("version"), "Directory Transport Version: 1.1\n").unwrap();
    let own = manifest["digest"].as_str().unwrap().trim_start_matches("sha256:");
    for (blob, bytes) in &oci.0 {
        let hex = blob.trim_start_matches("blobs/sha256/");
        let is_manifest = bytes.starts_with(b"{") && bytes.windows(9).any(|w| w == b"mediaType");
        match (hex == own, is_manifest) {
            (true, _) => std::fs::write(path.join("manifest.json"), bytes).unwrap(),
            (_, true) => std::fs::write(path.join(format!("{hex}.manifest.json")), bytes).unwrap(),
            (_, false) => std::fs::write(path.join(hex), bytes).unwrap(),
        }
    }
    path
}

#[test]
fn a_directory_is_loaded_as_its_archive_is() {
    if !is_root() {
        return;
    }
    let mut oci = Oci::default();
    let one = image(&mut oci, "one");
    let archive = oci.finish(&[named(one.clone(), "it:1")]);
    let place = Place::new();
    let id = place.store.load(&archive[..]).unwrap();
    let before = place.contents();
    assert_eq!(load(&place, &layout(&place, "layout", &archive)).unwrap(), id);
    assert_eq!(place.contents(), before);
    let dir = dir(&place, "dir", &oci, &one);
    let loaded = load(&place, &dir).unwrap();
    assert_eq!((loaded[0].id, &loaded[0].references[..]), (id[0].id, &[][..]));
    // Docker's, unpacked.
    let layers = [Layer::new().file("one", "").finish()];
    let docker = layout(&place, "docker", &harness::docker_archive(&layers, &["it:2"]));
    assert_eq!(load(&place, &docker).unwrap()[0].id, id[0].id);
    // Into a store that has none of it, from the directory alone.
    let place = Place::new();
    load(&place, &dir).unwrap();
    assert!(place.store.find(&id[0].id.to_string()).unwrap().layers[0].join("one").exists());
}

#[test]
fn a_dir_of_an_index_gives_the_image_for_the_platform() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    let host = oci_spec::image::Arch::default().to_string();
    let all = [image_for(&mut oci, "s390x", None), image_for(&mut oci, &host, None)];
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": all});
    let index = oci.blob(INDEX, index.to_string().as_bytes());
    let loaded = load(&place, &dir(&place, "dir", &oci, &index)).unwrap();
    let image = place.store.find(&loaded[0].id.to_string()).unwrap();
    assert!(image.layers[0].join(host).exists());
}

#[test]
fn a_member_of_a_directory_is_a_file_within_it() {
    if !is_root() {
        return;
    }
    let mut oci = Oci::default();
    let descriptor = image(&mut oci, "one");
    let archive = oci.finish(&[descriptor]);
    for (at, what) in ["index.json", "oci-layout"].into_iter().enumerate() {
        let place = Place::new();
        let path = layout(&place, "layout", &archive);
        let outside = place.path("outside");
        std::fs::rename(path.join(what), &outside).unwrap();
        std::os::unix::fs::symlink(&outside, path.join(what)).unwrap();
        assert_eq!(load(&place, &path).unwrap_err().kind(), ErrorKind::Malformed);
        std::fs::remove_file(path.join(what)).unwrap();
        match at {
            0 => std::fs::create_dir(path.join(what)).unwrap(),
            _ => rustix::fs::mknodat(
                rustix::fs::CWD,
                path.join(what),
                rustix::fs::FileType::Fifo,
                0o644.into(),
                0,
            )
            .unwrap(),
        }
        assert_eq!(load(&place, &path).unwrap_err().kind(), ErrorKind::Malformed);
        std::fs::remove_dir(path.join(what))
            .or_else(|_| std::fs::remove_file(path.join(what)))
            .unwrap();
        // A link within is one of the directory's own.
        std::fs::rename(&outside, path.join("moved")).unwrap();
        std::os::unix::fs::symlink("moved", path.join(what)).unwrap();
        load(&place, &path).map_err(|e| chain(&e)).unwrap();
    }
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    let error = load(&place, &place.path("empty")).unwrap_err();
    assert!(error.to_string().contains("it is no saved image"), "{error}");
}

#[test]
fn a_changed_layer_of_a_directory_is_refused() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    let layer = Layer::new().file("one", "1").finish();
    let descriptor = oci.image(std::slice::from_ref(&layer), &[(LAYER, layer.clone())]);
    let path = layout(&place, "layout", &oci.finish(&[descriptor]));
    let other = Layer::new().file("one", "2").finish();
    std::fs::write(path.join("blobs/sha256").join(Digest::of(&layer).hex()), other).unwrap();
    let before = place.contents();
    assert_eq!(load(&place, &path).unwrap_err().kind(), ErrorKind::Mismatch);
    assert_eq!(place.contents(), before);
}

#[test]
fn of_several_platforms_the_one_asked_for_is_taken() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    // The layers tell them apart; their configurations say this machine's architecture, as all of the harness do.
    let host = oci_spec::image::Arch::default().to_string();
    let variants: Vec<_> =
        ["v1", "v2", "v9"].iter().map(|v| image_for(&mut oci, &host, Some(v))).collect();
    let names = variants.into_iter().map(|one| named(one, "it:1")).collect::<Vec<_>>();
    std::fs::write(place.path("saved"), oci.finish(&names)).unwrap();
    let load = |platform: &str| {
        let platform: Platform = platform.parse().unwrap();
        place.store.load_file(File::open(place.path("saved")).unwrap(), Some(&platform))
    };
    for (asked, given) in [("v2", "v2"), ("v3", "v2"), ("v1", "v1"), ("v9", "v9")] {
        let loaded = load(&format!("linux/{host}/{asked}")).unwrap();
        assert_eq!(loaded.len(), 1);
        let image = place.store.find("it:1").unwrap();
        assert!(image.layers[0].join(format!("{host}{given}")).exists(), "{asked}");
    }
    let error = load("linux/s390x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("no image for linux/s390x; it has"), "{error}");
    // An image that no index tells of says itself for what it is.
    let layers = [Layer::new().finish()];
    std::fs::write(place.path("saved"), harness::docker_archive(&layers, &["it:2"])).unwrap();
    let error = load("linux/s390x").unwrap_err();
    assert!(error.to_string().contains("not for linux/s390x"), "{error}");
    load(&format!("linux/{host}")).unwrap();
}

#[test]
fn dockers_archive_that_is_a_layout_too_is_read_either_way() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    let layer = Layer::new().file("one", "").finish();
    let packed = gzip(&layer);
    let mut descriptor = oci.image(
        std::slice::from_ref(&layer),
        &[("application/vnd.oci.image.layer.v1.tar+gzip", packed.clone())],
    );
    descriptor["annotations"] = json!({
        "io.containerd.image.name": "docker.io/library/it:1",
        "org.opencontainers.image.ref.name": "1",
    });
    let config = Digest::of(&harness::config(std::slice::from_ref(&layer))).hex();
    let manifest = json!([{
        "Config": format!("blobs/sha256/{config}"), "RepoTags": ["it:1"],
        "Layers": [format!("blobs/sha256/{}", Digest::of(&packed).hex())],
    }]);
    let path = layout(&place, "layout", &oci.finish(&[descriptor]));
    std::fs::write(path.join("manifest.json"), manifest.to_string()).unwrap();
    let host = Platform::host();
    for platform in [None, Some(&host)] {
        let loaded = place.store.load_file(File::open(&path).unwrap(), platform).unwrap();
        assert_eq!(loaded[0].id.to_string(), format!("sha256:{config}"));
        assert_eq!(loaded[0].references[0].to_string(), "docker.io/library/it:1");
    }
}

#[test]
fn artifacts_are_no_images() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    let empty = oci.blob("application/vnd.oci.empty.v1+json", b"{}");
    let sbom = oci.blob("application/spdx+json", br#"{"spdxVersion": "SPDX-2.3"}"#);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/spdx+json",
        "config": empty, "layers": [sbom],
    });
    let artifact = oci.blob(MANIFEST, manifest.to_string().as_bytes());
    refused(&place, &oci, artifact, "artifact of type application/spdx+json");

    let config = oci.blob("application/vnd.cncf.helm.config.v1+json", br#"{"name": "chart"}"#);
    let chart = oci.blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"chart");
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [chart]});
    let helm = oci.blob(MANIFEST, manifest.to_string().as_bytes());
    refused(&place, &oci, helm, "artifact of type application/vnd.cncf.helm.config.v1+json");

    // Cosign's has the configuration of an image.
    let simple = "application/vnd.dev.cosign.simplesigning.v1+json";
    let payload = br#"{"critical": {}}"#.to_vec();
    let config = oci.blob(CONFIG, &harness::config(std::slice::from_ref(&payload)));
    let signature = oci.blob(simple, &payload);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [signature],
    });
    let cosign = oci.blob(MANIFEST, manifest.to_string().as_bytes());
    refused(&place, &oci, cosign.clone(), &format!("artifact of type {simple}"));

    let other = oci.blob("application/vnd.oci.artifact.manifest.v1+json", b"{}");
    refused(&place, &oci, other, "artifact of type application/vnd.oci.artifact.manifest.v1+json");

    // Beside an image they are left out; an image that is one's by name is none by what is in it.
    let real = image(&mut oci, "real");
    let loaded = place.store.load(&oci.finish(&[named(cosign, "sig"), named(real, "it")])[..]);
    assert_eq!(loaded.unwrap().len(), 1);
    assert!(place.store.find("sig").is_err());
}

#[test]
fn layers_that_are_elsewhere_are_named() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let layer = Layer::new().file("one", "").finish();
    for media_type in [
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ] {
        let mut oci = Oci::default();
        let config = oci.blob(CONFIG, &harness::config(std::slice::from_ref(&layer)));
        let mut foreign = oci.blob(media_type, &gzip(&layer));
        foreign["urls"] = json!(["https://example.com/layer"]);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [foreign],
        });
        let descriptor = oci.blob(MANIFEST, manifest.to_string().as_bytes());
        // Here all the same: it is as good as any other.
        Place::new().store.load(&oci.finish(std::slice::from_ref(&descriptor))[..]).unwrap();
        oci.0.remove(&format!("blobs/sha256/{}", Digest::of(&gzip(&layer)).hex()));
        refused(&place, &oci, descriptor, "fetch it from https://example.com/layer");
    }
    let mut oci = Oci::default();
    let encrypted = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
    let descriptor = oci.image(std::slice::from_ref(&layer), &[(encrypted, gzip(&layer))]);
    refused(&place, &oci, descriptor, encrypted);
}
