//! A page, fetched over HTTP/1.1 as far as the demonstration needs it.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};

/// How long the other side may keep us waiting.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most of an answer that is read.
const MOST: u64 = 1 << 20;

/// An answer: its head and its body, as text.
#[derive(Debug)]
pub(crate) struct Page {
    head: String,
    body: String,
}

impl Page {
    /// Splits what was answered.
    fn new(answer: &str) -> Result<Self> {
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer is cut off")?;
        Ok(Self { head: head.replace("\r\n", "\n"), body: body.to_owned() })
    }

    /// Whether its status is 200.
    pub(crate) fn is_ok(&self) -> bool {
        self.head.split(' ').nth(1) == Some("200")
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", self.head, self.body.trim_end())
    }
}

/// Fetches a page.
pub(crate) fn get(host: &str, port: u16, path: &str) -> Result<Page> {
    let mut stream = TcpStream::connect((host, port))
        .with_context(|| format!("can't connect to {host}:{port}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).context("the answer can't be read")?;
    Page::new(&String::from_utf8_lossy(&answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_head_and_a_body() {
        let page = Page::new("HTTP/1.1 200 OK\r\nA: b\r\n\r\n<p>\r\n\r\nx\n").unwrap();
        assert!(page.is_ok());
        assert_eq!(page.to_string(), "HTTP/1.1 200 OK\nA: b\n\n<p>\r\n\r\nx");
        assert!(!Page::new("HTTP/1.1 502 Bad Gateway\r\n\r\n").unwrap().is_ok());
        assert!(Page::new("HTTP/1.1 200 OK\r\n").is_err());
    }
}
