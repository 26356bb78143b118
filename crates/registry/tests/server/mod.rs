//! A registry of a test's own, on loopback, that does whatever the test tells it to.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sandbar_registry::{Access, Client, Configuration, Credentials, Keyring, Patience, Proxies};

/// What a client asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }
}

/// What the server says.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// How much of the body is sent before the connection ends, or hangs.
    sent: usize,
    hangs: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status, headers: Vec::new(), sent: body.len(), body, hangs: false }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn cut_after(mut self, sent: usize) -> Self {
        self.sent = sent;
        self
    }

    pub(crate) fn hangs_after(mut self, sent: usize) -> Self {
        self.hangs = true;
        self.cut_after(sent)
    }

    fn write(&self, mut to: &TcpStream, head: bool) -> std::io::Result<()> {
        let mut text = format!("HTTP/1.1 {} x\r\nconnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let has_length = self
            .headers
            .iter()
            .any(|(name, _)| name == "content-length" || name == "transfer-encoding");
        if !has_length {
            text += &format!("content-length: {}\r\n", self.body.len());
        }
        to.write_all(text.as_bytes())?;
        to.write_all(b"\r\n")?;
        to.write_all(if head { b"" } else { &self.body[..self.sent] })?;
        if self.hangs {
            // Until the client has had enough.
            let _ = to.read(&mut [0]);
        }
        Ok(())
    }
}

type Answers = dyn Fn(&Request) -> Reply + Send + Sync;

/// The server; it ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    pub(crate) fn new(answers: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, ended) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let answers: Arc<Answers> = Arc::new(answers);
        let (record, end) = (Arc::clone(&requests), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let (answers, record) = (Arc::clone(&answers), Arc::clone(&record));
                thread::spawn(move || serve(&stream.unwrap(), &answers, &record));
            }
        });
        Self { address, requests, ended, thread: Some(thread) }
    }

    /// `HOST:PORT`.
    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All that was asked, but for whether there is TLS.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(stream: &TcpStream, answers: &Arc<Answers>, record: &Mutex<Vec<Request>>) {
    let mut first = [0];
    // The first byte of TLS: there is none here.
    if !stream.peek(&mut first).is_ok_and(|read| read == 1) || first[0] == 0x16 {
        return;
    }
    let Some(request) = read(stream) else { return };
    record.lock().unwrap().push(request.clone());
    if request.method == "CONNECT" {
        // As a proxy, it leads to itself.
        let mut to = stream;
        let connected = to.write_all(b"HTTP/1.1 200 x\r\n\r\n");
        return connected.map_or((), |()| serve(stream, answers, record));
    }
    let _ = answers(&request).write(stream, request.method == "HEAD");
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let mut request = Request { method, path, headers, body: Vec::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// How a test asks: with little patience, and with nothing of this machine's.
pub(crate) fn access(credentials: Option<Credentials>) -> Access {
    Access {
        credentials,
        keyring: Keyring::default(),
        tls_verify: None,
        certificates: Vec::new(),
        proxies: Proxies::default(),
        patience: Patience {
            connect: Duration::from_secs(10),
            stall: Duration::from_millis(400),
            attempts: 3,
            pause: Duration::from_millis(1),
            longest_pause: Duration::from_secs(2),
        },
    }
}

pub(crate) fn client() -> Client {
    Client::new(&Configuration::default(), access(None))
}

pub(crate) fn client_of(user: &str, password: &str) -> Client {
    let credentials = Credentials::password(user, password).unwrap();
    Client::new(&Configuration::default(), access(Some(credentials)))
}

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A manifest's bytes, whatever they are a manifest of.
pub(crate) fn manifest() -> Vec<u8> {
    format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","layers":[]}}"#).into_bytes()
}
