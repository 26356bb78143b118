//! A registry in the test's own process, which has what the test puts there and misbehaves as the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Rootfs;
use crate::archive::{digest, image_config};

/// How much is sent at a time, and after how much a [`Answer::Slow`] one rests.
const PIECE: usize = 16 << 10;
/// How long it rests.
const REST: Duration = Duration::from_millis(2);

/// What was asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, as a rule.
    pub method: String,
    /// The path with its query.
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// A header's value; the name is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// Whether a blob is asked for.
    #[must_use]
    pub fn is_for_blob(&self) -> bool {
        self.path.contains("/blobs/")
    }

    /// From which byte on, by the header `Range`.
    #[must_use]
    pub fn from(&self) -> usize {
        let range = self.header("range").and_then(|it| it.strip_prefix("bytes="));
        range.and_then(|it| it.strip_suffix('-')?.parse().ok()).unwrap_or(0)
    }
}

/// How it is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// As it should be.
    Usual,
    /// As it should be, with rests.
    Slow,
    /// As it should be up to this byte of the body; then the connection ends.
    Cut(usize),
    /// The same; then nothing comes any more, for as long as the client waits.
    Stall(usize),
    /// With this body in place of the right one.
    Other(Vec<u8>),
    /// With this status and these headers, and no body.
    Status(u16, Vec<(&'static str, String)>),
}

type Script = dyn Fn(&Request) -> Answer + Send;

struct Content {
    blobs: BTreeMap<String, Vec<u8>>,
    /// By repository and tag: the manifest's type and bytes.
    tags: BTreeMap<(String, String), (String, Vec<u8>)>,
    script: Box<Script>,
    requests: Vec<Request>,
}

/// The registry. It serves until the test ends.
#[derive(Clone)]
pub struct Registry {
    address: String,
    content: Arc<Mutex<Content>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Registry").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The type of image manifests.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The type of indexes.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl Registry {
    /// One with nothing in it, at `address` (with its port).
    ///
    /// # Panics
    /// If the address is taken.
    #[must_use]
    pub fn start(address: &str) -> Self {
        let listener = TcpListener::bind(address).expect(address);
        let content = Content {
            blobs: BTreeMap::new(),
            tags: BTreeMap::new(),
            script: Box::new(|_| Answer::Usual),
            requests: Vec::new(),
        };
        let registry = Self { address: address.to_owned(), content: Arc::new(Mutex::new(content)) };
        let serving = registry.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let serving = serving.clone();
                // A client that goes away in the middle is no matter.
                thread::spawn(move || _ = serving.serve(client));
            }
        });
        registry
    }

    /// An image's name here.
    #[must_use]
    pub fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.address)
    }

    /// Keeps a blob; gives its digest.
    pub fn put_blob(&self, blob: Vec<u8>) -> String {
        let name = format!("sha256:{}", digest(&blob));
        self.lock().blobs.insert(name.clone(), blob);
        name
    }

    /// Keeps a manifest or an index under a tag, and under its digest, which it gives.
    pub fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        kind: &str,
        manifest: &Value,
    ) -> String {
        let bytes = manifest.to_string().into_bytes();
        let name = format!("sha256:{}", digest(&bytes));
        for version in [tag, &name] {
            let entry = (kind.to_owned(), bytes.clone());
            self.lock().tags.insert((repository.to_owned(), version.to_owned()), entry);
        }
        name
    }

    /// Keeps an image of these layers, each over the one before, as `repository:tag`; gives its manifest.
    pub fn put_image(&self, name: &str, layers: Vec<Rootfs>, config: &Value) -> Value {
        let layers = layers.into_iter().map(Rootfs::into_archive);
        let plain: Vec<_> = layers.map(|tar| (tar.clone(), tar)).collect();
        self.put_layers(name, plain, "application/vnd.oci.image.layer.v1.tar", config)
    }

    /// As [`Registry::put_image`], of layers with their blobs, which are of the type `kind`.
    ///
    /// # Panics
    /// If the name has no tag.
    pub fn put_layers(
        &self,
        name: &str,
        layers: Vec<(Vec<u8>, Vec<u8>)>,
        kind: &str,
        config: &Value,
    ) -> Value {
        let (repository, tag) = name.split_once(':').expect("a tag");
        let (plain, blobs): (Vec<_>, Vec<_>) = layers.into_iter().unzip();
        let config = image_config(&plain, config);
        let describe = |kind: &str, blob: Vec<u8>| {
            let size = blob.len();
            json!({ "mediaType": kind, "size": size, "digest": self.put_blob(blob) })
        };
        let blobs: Vec<_> = blobs.into_iter().map(|blob| describe(kind, blob)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": describe("application/vnd.oci.image.config.v1+json", config),
            "layers": blobs,
        });
        self.put_manifest(repository, tag, MANIFEST, &manifest);
        manifest
    }

    /// An image's manifest with another configuration: `change` says which.
    ///
    /// # Panics
    /// If the manifest's configuration is not here.
    pub fn put_config(&self, manifest: &Value, change: impl FnOnce(&mut Value)) -> Value {
        let name = manifest["config"]["digest"].as_str().expect("a digest");
        let config = self.lock().blobs.get(name).cloned().expect("a configuration");
        let mut config: Value = serde_json::from_slice(&config).expect("JSON");
        change(&mut config);
        let config = config.to_string().into_bytes();
        let mut manifest = manifest.clone();
        manifest["config"]["size"] = config.len().into();
        manifest["config"]["digest"] = self.put_blob(config).into();
        manifest
    }

    /// Answers as `script` says from now on.
    pub fn answers(&self, script: impl Fn(&Request) -> Answer + Send + 'static) {
        self.lock().script = Box::new(script);
    }

    /// What was asked since this was asked last.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.lock().requests)
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: TcpStream) -> std::io::Result<()> {
        let Some(request) = read(&client)? else { return Ok(()) };
        let answer = {
            let mut content = self.lock();
            content.requests.push(request.clone());
            (content.script)(&request)
        };
        if let Answer::Status(status, headers) = &answer {
            let headers: Vec<_> = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
            let headers = headers.concat();
            return write!(client, "HTTP/1.1 {status} x\r\n{headers}{NO_BODY}");
        }
        let Some((kind, body)) = self.find(&request.path) else {
            return write!(client, "HTTP/1.1 404 Not Found\r\n{NO_BODY}");
        };
        let body = if let Answer::Other(other) = &answer { other.clone() } else { body };
        let (from, size) = (request.from().min(body.len()), body.len());
        let range = match request.from() {
            0 => "200 OK\r\n".to_owned(),
            _ => format!("206 x\r\ncontent-range: bytes {from}-{}/{size}\r\n", size.max(1) - 1),
        };
        write!(
            client,
            "HTTP/1.1 {range}content-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            size - from
        )?;
        let end = match answer {
            Answer::Cut(at) | Answer::Stall(at) => at.clamp(from, size),
            _ => size,
        };
        for piece in body[from..end].chunks(PIECE) {
            client.write_all(piece)?;
            if matches!(answer, Answer::Slow) {
                thread::sleep(REST);
            }
        }
        if matches!(answer, Answer::Stall(_)) {
            // Until the client has had enough.
            let mut nothing = Vec::new();
            BufReader::new(&client).read_until(0, &mut nothing)?;
        }
        client.shutdown(Shutdown::Both)
    }

    /// What is at a path, and its type.
    fn find(&self, path: &str) -> Option<(String, Vec<u8>)> {
        let content = self.lock();
        let (path, _query) = path.split_once('?').unwrap_or((path, ""));
        let json = |value: Value| Some(("application/json".to_owned(), value.to_string().into()));
        let rest = path.strip_prefix("/v2/")?;
        if rest.is_empty() {
            return json(json!({}));
        }
        if rest == "_catalog" {
            let all: BTreeSet<_> = content.tags.keys().map(|(repository, _)| repository).collect();
            return json(json!({ "repositories": all }));
        }
        if let Some(repository) = rest.strip_suffix("/tags/list") {
            let of = content.tags.keys().filter(|(it, tag)| it == repository && !tag.contains(':'));
            let tags: Vec<_> = of.map(|(_, tag)| tag).collect();
            return if tags.is_empty() { None } else { json(json!({ "tags": tags })) };
        }
        if let Some((_, digest)) = rest.split_once("/blobs/") {
            let blob = content.blobs.get(digest)?;
            return Some(("application/octet-stream".to_owned(), blob.clone()));
        }
        let (repository, version) = rest.split_once("/manifests/")?;
        content.tags.get(&(repository.to_owned(), version.to_owned())).cloned()
    }
}

const NO_BODY: &str = "content-length: 0\r\nconnection: close\r\n\r\n";

/// Reads a request's head; `None` if it is no HTTP, such as TLS.
fn read(client: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut input = BufReader::new(client);
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    let line = String::from_utf8_lossy(&line).into_owned();
    let mut words = line.split_whitespace();
    let (Some(method), Some(path), Some("HTTP/1.1")) = (words.next(), words.next(), words.next())
    else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    Ok(Some(Request { method: method.to_owned(), path: path.to_owned(), headers }))
}

/// Bytes that no compression makes shorter, always the same for a number.
#[must_use]
pub fn noise(number: u64, size: usize) -> Vec<u8> {
    let mut noise = Vec::with_capacity(size + 32);
    let mut count = 0_u64;
    while noise.len() < size {
        let seed = [number.to_le_bytes(), count.to_le_bytes()].concat();
        noise.extend_from_slice(&Sha256::digest(seed));
        count += 1;
    }
    noise.truncate(size);
    noise
}
