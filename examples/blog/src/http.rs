//! As much of HTTP/1.1 as the blog speaks: one request a connection, its head read, its answer with a length.

use std::io::{self, BufRead, BufReader, Read, Write};

/// The most bytes that a request's head may have.
const HEAD: u64 = 8192;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    target: String,
}

impl Request {
    /// Reads a request's head; `None` if it is none, or too long.
    pub(crate) fn read(stream: impl Read) -> io::Result<Option<Self>> {
        let mut reader = BufReader::new(stream.take(HEAD));
        let mut first = Vec::new();
        reader.read_until(b'\n', &mut first)?;
        let mut line = Vec::new();
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            match line.as_slice() {
                b"\r\n" | b"\n" => break,
                line if line.ends_with(b"\n") => {}
                _ => return Ok(None),
            }
        }
        let first = String::from_utf8_lossy(&first);
        let mut words = first.split_whitespace();
        Ok(match (words.next(), words.next(), words.next(), words.next()) {
            (Some(method), Some(target), Some(version), None) if version.starts_with("HTTP/1.") => {
                Some(Self { method: method.to_owned(), target: target.to_owned() })
            }
            _ => None,
        })
    }

    /// The target without its query.
    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }
}

/// What is answered.
#[derive(Debug)]
pub(crate) struct Response {
    status: &'static str,
    content_type: &'static str,
    body: String,
    has_body: bool,
}

impl Response {
    /// A page.
    pub(crate) fn html(body: String) -> Self {
        Self { status: "200 OK", content_type: "text/html; charset=utf-8", body, has_body: true }
    }

    /// 404.
    pub(crate) fn not_found() -> Self {
        Self::plain("404 Not Found")
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> Self {
        Self::plain("405 Method Not Allowed")
    }

    /// 400.
    pub(crate) fn bad_request() -> Self {
        Self::plain("400 Bad Request")
    }

    fn plain(status: &'static str) -> Self {
        let body = format!("{status}\n");
        Self { status, content_type: "text/plain; charset=utf-8", body, has_body: true }
    }

    /// The same, as HEAD wants it: the length is told, the body not sent.
    pub(crate) fn without_body(self) -> Self {
        Self { has_body: false, ..self }
    }

    /// Writes it.
    pub(crate) fn write(&self, mut stream: impl Write) -> io::Result<()> {
        let Self { status, content_type, body, has_body } = self;
        let mut allow = "";
        if status.starts_with("405") {
            allow = "Allow: GET, HEAD\r\n";
        }
        let mut text = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}Connection: close\r\n\r\n",
            body.len()
        );
        if *has_body {
            text.push_str(body);
        }
        stream.write_all(text.as_bytes())
    }
}
