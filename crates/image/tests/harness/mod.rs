//! A store in a place of its own with a host tree beside it, and archives made by hand.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use sandbar_image::{Digest, Error, ErrorKind, Limits, Store};
use serde_json::{Value, json};
use tar::{EntryType, Header};

/// One entry of a snapshot: kind, mode, owner, device, size, time, links, contents or target.
pub type Snapshot = BTreeMap<PathBuf, String>;

pub fn snapshot(root: &Path) -> Snapshot {
    let mut all = Snapshot::new();
    walk(root, root, &mut all);
    all
}

fn walk(root: &Path, at: &Path, all: &mut Snapshot) {
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let m = path.symlink_metadata().unwrap();
        let t = m.file_type();
        let content = match () {
            () if t.is_file() => format!("file {:?}", Digest::of(&std::fs::read(&path).unwrap())),
            () if t.is_symlink() => format!("link {:?}", std::fs::read_link(&path).unwrap()),
            () if t.is_dir() => "directory".to_owned(),
            () if t.is_fifo() => "fifo".to_owned(),
            () => format!("device {:x}", m.rdev()),
        };
        let text = format!("{content} {:o} {}:{} {}", m.mode(), m.uid(), m.gid(), m.mtime());
        all.insert(path.strip_prefix(root).unwrap().to_owned(), text);
        if t.is_dir() {
            walk(root, &path, all);
        }
    }
}

pub struct Place {
    pub dir: tempfile::TempDir,
    pub store: Store,
    host: Snapshot,
}

/// Tells why a test can't run here; the caller returns.
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!(
            "skipped: unpacking sets owners, devices and trusted attributes, which needs root"
        );
    }
    root
}

impl Place {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let host = dir.path().join("host");
        std::fs::create_dir_all(host.join("etc")).unwrap();
        std::fs::write(host.join("etc/passwd"), "root").unwrap();
        std::fs::write(host.join("victim"), "untouched").unwrap();
        let store = Store::open_with(&dir.path().join("store"), limits).unwrap();
        let host = snapshot(&host);
        Self { dir, store, host }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the store holds, the lock file and times of directories apart.
    pub fn contents(&self) -> Snapshot {
        let mut all = snapshot(&self.path("store"));
        all.retain(|path, text| path != Path::new("lock") && !text.starts_with("directory 40700"));
        all
    }

    pub fn host_is_untouched(&self) {
        assert_eq!(snapshot(&self.path("host")), self.host);
    }

    /// Loads an archive that must be refused, leaving everything as it was.
    pub fn refuses(&self, archive: &[u8]) -> Error {
        let before = self.contents();
        let error = self.store.load(archive).expect_err("a hostile archive was loaded");
        assert_eq!(self.contents(), before, "the store changed: {error}");
        assert_eq!(std::fs::read_dir(self.path("store/tmp")).unwrap().count(), 0);
        self.host_is_untouched();
        error
    }

    /// Refuses an image of this one layer as malformed.
    pub fn refuses_layer(&self, layer: Layer) -> Error {
        let error = self.refuses(&docker_archive(&[layer.finish()], &["x"]));
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        error
    }

    /// Loads an image of these layers; gives their directories, bottom first.
    pub fn accepts(&self, layers: &[Vec<u8>]) -> Vec<PathBuf> {
        let loaded =
            self.store.load(&docker_archive(layers, &["x"])[..]).map_err(|e| chain(&e)).unwrap();
        self.host_is_untouched();
        let mut layers = self.store.find(&loaded[0].id.to_string()).unwrap().layers;
        layers.reverse();
        layers
    }
}

/// An error with all its causes.
pub fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// A tar stream that nobody checks.
#[derive(Clone, Default)]
pub struct Layer(pub Vec<u8>);

pub fn header(kind: u8, path: &[u8], size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::new(kind));
    header.as_old_mut().name[..path.len()].copy_from_slice(path);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000);
    header.set_size(size);
    header
}

impl Layer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn raw(mut self, mut header: Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn entry(self, kind: u8, path: &str, data: &[u8]) -> Self {
        self.raw(header(kind, path.as_bytes(), data.len() as u64), data)
    }

    pub fn file(self, path: &str, data: &str) -> Self {
        self.entry(b'0', path, data.as_bytes())
    }

    pub fn dir(self, path: &str) -> Self {
        let mut header = header(b'5', path.as_bytes(), 0);
        header.set_mode(0o755);
        self.raw(header, b"")
    }

    pub fn link(self, kind: u8, path: &str, target: &str) -> Self {
        let mut header = header(kind, path.as_bytes(), 0);
        header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        self.raw(header, b"")
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.link(b'2', path, target)
    }

    pub fn hard_link(self, path: &str, target: &str) -> Self {
        self.link(b'1', path, target)
    }

    pub fn device(self, kind: u8, path: &str, major: u32, minor: u32) -> Self {
        let mut header = header(kind, path.as_bytes(), 0);
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
        self.raw(header, b"")
    }

    pub fn pax(self, key: &str, value: &[u8]) -> Self {
        let mut length = key.len() + value.len() + 3;
        while length != key.len() + value.len() + 3 + length.to_string().len() {
            length = key.len() + value.len() + 3 + length.to_string().len();
        }
        let record = [format!("{length} {key}=").as_bytes(), value, b"\n"].concat();
        self.entry(b'x', "pax", &record)
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

pub fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
    json!({
        "architecture": oci_spec::image::Arch::default().to_string(), "os": "linux",
        "created": "2024-05-06T07:08:09Z",
        "config": {"Cmd": ["/bin/sh"], "Env": ["A=b"], "Labels": null, "Healthcheck": {"Test": ["NONE"]}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids}
    })
    .to_string()
    .into_bytes()
}

pub fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut all = Layer::new();
    for (name, data) in members {
        all = all.raw(header(b'0', name.as_bytes(), data.len() as u64), data);
    }
    all.finish()
}

/// What `docker save` writes: layers first, then the configuration, then the manifest.
pub fn docker_archive(layers: &[Vec<u8>], tags: &[&str]) -> Vec<u8> {
    let config = config(layers);
    let mut members: Vec<_> =
        layers.iter().enumerate().map(|(n, l)| (format!("{n}/layer.tar"), l.clone())).collect();
    let paths: Vec<_> = members.iter().map(|(name, _)| name.clone()).collect();
    let config_name = format!("{}.json", Digest::of(&config).hex());
    members.push((config_name.clone(), config));
    let manifest = json!([{"Config": config_name, "RepoTags": tags, "Layers": paths}]);
    members.push(("manifest.json".to_owned(), manifest.to_string().into_bytes()));
    tar(&members)
}

pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// The blobs of an OCI layout.
#[derive(Default)]
pub struct Oci(pub BTreeMap<String, Vec<u8>>);

impl Oci {
    pub fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        self.0.insert(format!("blobs/sha256/{}", digest.hex()), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    }

    /// A manifest of these layers, each written as `pack` does under the type that it says.
    pub fn image(&mut self, layers: &[Vec<u8>], packed: &[(&str, Vec<u8>)]) -> Value {
        let config = self.blob(CONFIG, &config(layers));
        let layers: Vec<_> = packed.iter().map(|(t, bytes)| self.blob(t, bytes)).collect();
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        self.blob(MANIFEST, manifest.to_string().as_bytes())
    }

    pub fn finish(&self, manifests: &[Value]) -> Vec<u8> {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        let mut members: Vec<_> = self.0.clone().into_iter().collect();
        members.insert(0, ("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
        members.push(("index.json".into(), index.to_string().into_bytes()));
        // Digests make names longer than the field, so through the tar crate.
        let mut builder = tar::Builder::new(Vec::new());
        for (name, data) in members {
            let mut header = header(b'0', b"", data.len() as u64);
            builder.append_data(&mut header, name, &data[..]).unwrap();
        }
        builder.into_inner().unwrap()
    }
}

pub fn named(mut descriptor: Value, name: &str) -> Value {
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
    descriptor
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}
