//! Images that are loaded come out as they were written.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its helpers are no tests to clippy"
)]

mod harness;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use harness::{
    INDEX, LAYER, Layer, Oci, Place, docker_archive, gzip, header, is_root, named, snapshot, zstd,
};
use sandbar_image::{Digest, Settings};
use serde_json::json;

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

/// A bit of everything.
fn rich() -> Vec<u8> {
    let mut root = header(b'5', b"./", 0);
    root.set_mode(0o711);
    let mut program = header(b'0', b"bin/su", 4);
    program.set_mode(0o4755);
    program.set_uid(7);
    program.set_gid(8);
    let mut tmp = header(b'5', b"tmp/", 0);
    tmp.set_mode(0o1777);
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let long = format!("deep/{}/{}", "x".repeat(200), "y".repeat(200));
    let gnu = format!("gnu/{}\0", "z".repeat(200));
    Layer::new()
        .raw(root, b"")
        .dir("bin/")
        .raw(program, b"prog")
        .raw(tmp, b"")
        .symlink("sh", "/bin/su")
        .hard_link("bin/sudo", "bin/su")
        .device(b'3', "null", 1, 3)
        .device(b'4', "disk", 8, 300)
        .device(b'6', "pipe", 0, 0)
        .pax("SCHILY.xattr.security.capability", &capability)
        .file("bin/ping", "p")
        .pax("SCHILY.xattr.user.note", b"a\nb=c\0")
        .pax_with_mtime("noted", "1700000000.5")
        .pax("path", long.as_bytes())
        .file("short", "long")
        .entry(b'L', "././@LongLink", gnu.as_bytes())
        .file("short", "gnu")
        .file("implied/by/this", "1")
        .finish()
}

impl Layer {
    fn pax_with_mtime(mut self, path: &str, mtime: &str) -> Self {
        // One header of two records, as one entry may have but one.
        let start = self.0.len() - 1024;
        let record: Vec<u8> = self.0[start + 512..].to_vec();
        let end = record.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let mut records = record[..end].to_vec();
        let more = format!(" mtime={mtime}\n");
        records.extend_from_slice(format!("{}{more}", more.len() + 2).as_bytes());
        self.0.truncate(start);
        self.entry(b'x', "pax", &records).file(path, "n")
    }
}

fn check(root: &Path) {
    let meta = |path: &str| root.join(path).symlink_metadata().unwrap();
    let bits = |path: &str| (meta(path).mode() & 0o7777, meta(path).uid(), meta(path).gid());
    assert_eq!(meta("").mode() & 0o7777, 0o711);
    assert_eq!(bits("bin/su"), (0o4755, 7, 8));
    assert_eq!(bits("tmp"), (0o1777, 0, 0));
    assert_eq!(bits("implied"), (0o755, 0, 0));
    assert_eq!(meta("bin/su").ino(), meta("bin/sudo").ino());
    assert_eq!(std::fs::read_link(root.join("sh")).unwrap(), Path::new("/bin/su"));
    assert_eq!((meta("null").rdev(), meta("disk").rdev()), (0x103, rustix::fs::makedev(8, 300)));
    assert!(
        meta("null").file_type().is_char_device() && meta("disk").file_type().is_block_device()
    );
    assert!(meta("pipe").file_type().is_fifo());
    for path in ["", "bin", "bin/su", "sh", "null", "tmp", "bin/ping"] {
        assert_eq!(meta(path).mtime(), 1_000_000, "{path}");
    }
    assert_eq!((meta("noted").mtime(), meta("noted").mtime_nsec()), (1_700_000_000, 500_000_000));
    assert_eq!(xattr(&root.join("noted"), "user.note"), b"a\nb=c\0");
    assert_eq!(xattr(&root.join("bin/ping"), "security.capability").len(), 20);
    let long = root.join("deep").join("x".repeat(200)).join("y".repeat(200));
    assert_eq!(std::fs::read(long).unwrap(), b"long");
    assert_eq!(std::fs::read(root.join("gnu").join("z".repeat(200))).unwrap(), b"gnu");
}

fn xattr(path: &Path, name: &str) -> Vec<u8> {
    let mut value = vec![0; 256];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap_or(0);
    value.truncate(length);
    value
}

#[test]
fn a_layer_comes_out_entry_by_entry() {
    if is_root() {
        let place = Place::new();
        check(&place.accepts(&[rich()])[0]);
    }
}

#[test]
fn docker_archives_load_however_they_are_packed_and_read() {
    if !is_root() {
        return;
    }
    let archive =
        docker_archive(&[rich(), Layer::new().file("b", "2").finish()], &["nginx:1", "me/x"]);
    let mut seen = Vec::new();
    for packed in [archive.clone(), gzip(&archive), zstd(&archive)] {
        let place = Place::new();
        // From a pipe: it can't be sought in.
        let (reader, mut writer) = std::io::pipe().unwrap();
        let bytes = packed.clone();
        let writing = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
        let piped = place.store.load(reader).unwrap();
        writing.join().unwrap();
        let names: Vec<_> = piped[0].references.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["docker.io/library/nginx:1", "docker.io/me/x:latest"]);
        let before = place.contents();
        // Again, and from a file: nothing changes.
        std::fs::write(place.path("saved"), &packed).unwrap();
        let filed = place.store.load_file(File::open(place.path("saved")).unwrap(), None).unwrap();
        assert_eq!(filed, piped);
        assert_eq!(place.contents(), before);
        let image = place.store.find("nginx:1").unwrap();
        assert_eq!(image.layers.len(), 2);
        assert!(image.layers[0].join("b").exists(), "the top layer comes first");
        check(&image.layers[1]);
        assert_eq!(
            image.config.config().as_ref().unwrap().cmd().as_deref(),
            Some(&["/bin/sh".to_owned()][..])
        );
        assert_eq!(image.created.unwrap().to_string(), "2024-05-06T07:08:09Z");
        seen.push(snapshot(&place.path("store/layers")).into_keys().collect::<Vec<_>>());
    }
    assert!(seen.iter().all(|one| *one == seen[0]));
}

#[test]
fn old_docker_archives_share_layers_by_links() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let layer = Layer::new().file("a", "1").finish();
    let config = harness::config(&[layer.clone(), layer.clone()]);
    let manifest =
        json!([{"Config": "c.json", "RepoTags": null, "Layers": ["1/layer.tar", "2/layer.tar"]}]);
    let archive = Layer::new()
        .symlink("2/layer.tar", "../1/layer.tar")
        .entry(b'0', "1/layer.tar", &layer)
        .entry(b'0', "c.json", &config)
        .entry(b'0', "manifest.json", manifest.to_string().as_bytes())
        .finish();
    let loaded = place.store.load(&archive[..]).unwrap();
    assert!(loaded[0].references.is_empty());
    let image = place.store.find(&loaded[0].id.short()).unwrap();
    assert_eq!(image.layers.len(), 1, "overlayfs takes no directory twice");
    assert_eq!(image.reference, None);
}

#[test]
fn oci_archives_load_with_layers_of_every_compression() {
    if !is_root() {
        return;
    }
    let (one, two, three) =
        (rich(), Layer::new().file("2", "").finish(), Layer::new().file("3", "").finish());
    let mut oci = Oci::default();
    let packed = [(LAYER, one.clone()), (GZIP, gzip(&two)), (ZSTD, zstd(&three))];
    let image = oci.image(&[one, two, three], &packed);
    let digest = image["digest"].as_str().unwrap().to_owned();
    for archive in
        [oci.finish(std::slice::from_ref(&image)), gzip(&oci.finish(std::slice::from_ref(&image)))]
    {
        let place = Place::new();
        let loaded = place.store.load(&archive[..]).unwrap();
        assert_eq!(loaded[0].references, []);
        let found = place.store.find(&loaded[0].id.to_string()).unwrap();
        assert_eq!(found.layers.len(), 3);
        check(&found.layers[2]);
    }
    let place = Place::new();
    for (name, full) in [
        ("app:1", "localhost/app:1"),
        ("quay.io/a/b", "quay.io/a/b:latest"),
        ("v1", "localhost/v1:latest"),
    ] {
        let loaded = place.store.load(&oci.finish(&[named(image.clone(), name)])[..]).unwrap();
        assert_eq!(loaded[0].references[0].to_string(), full);
    }
    let pinned = place.store.find(&format!("quay.io/a/b@{digest}")).unwrap();
    assert_eq!(pinned.reference.as_ref().unwrap().to_string(), "quay.io/a/b:latest");
    assert!(place.store.find(&format!("quay.io/a/c@{digest}")).is_err());
}

#[test]
fn a_nested_index_gives_the_image_for_this_machine() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let mut oci = Oci::default();
    let (mine, other) =
        (Layer::new().file("mine", "").finish(), Layer::new().file("other", "").finish());
    let mut foreign = oci.image(std::slice::from_ref(&other), &[(LAYER, other.clone())]);
    foreign["platform"] = json!({"os": "linux", "architecture": "s390x"});
    let mut native = oci.image(std::slice::from_ref(&mine), &[(LAYER, mine.clone())]);
    native["platform"] =
        json!({"os": "linux", "architecture": oci_spec::image::Arch::default().to_string()});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [foreign, native]});
    let index = oci.blob(INDEX, index.to_string().as_bytes());
    let loaded = place.store.load(&oci.finish(&[named(index, "multi")])[..]).unwrap();
    assert_eq!(loaded.len(), 1);
    let image = place.store.find("multi").unwrap();
    assert!(image.layers[0].join("mine").exists());
    assert!(image.layers[0].ends_with(format!("layers/{}/diff", Digest::of(&mine).hex())));
}

#[test]
fn an_archive_of_a_root_filesystem_becomes_an_image() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    let settings = Settings {
        cmd: vec!["sh".into()],
        env: vec!["A=b".into()],
        working_dir: Some("/w".into()),
        user: Some("1:2".into()),
        exposed_ports: vec!["80/tcp".into()],
        stop_signal: Some("SIGINT".into()),
        created: Some("2020-01-02T03:04:05Z".parse().unwrap()),
        ..Settings::default()
    };
    let name = "box".parse().unwrap();
    let id = place.store.import(&zstd(&rich())[..], Some(&name), &settings).unwrap();
    assert_eq!(place.store.import(&gzip(&rich())[..], Some(&name), &settings).unwrap(), id);
    let image = place.store.find("box").unwrap();
    assert_eq!((image.id, image.created), (id, settings.created));
    let config = image.config.config().clone().unwrap();
    assert_eq!(config.exposed_ports().as_deref(), Some(&["80/tcp".to_owned()][..]));
    assert_eq!(config.working_dir().as_deref(), Some("/w"));
    assert_eq!(config.entrypoint(), &None);
    check(&image.layers[0]);
}
