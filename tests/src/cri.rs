//! A small client of the Container Runtime Interface (Kubernetes' `cri-api`, version 1), over curl's HTTP/2.
//!
//! A message is protocol buffers' fields one after the other: a key, a length, and bytes or further fields.

use std::fs;
use std::path::Path;

use crate::{Command, Node};

/// A field with text, bytes or a message in it.
#[must_use]
pub fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length > 0x7f {
        bytes.push((length & 0x7f | 0x80).to_le_bytes()[0]);
        length >>= 7;
    }
    bytes.push(length.to_le_bytes()[0]);
    bytes.extend_from_slice(content);
    bytes
}

/// Asks a runtime service at `socket`, and returns the message that it answers.
///
/// # Panics
/// If it is refused, with what was said.
#[must_use]
pub fn ask(node: &Node, socket: &Path, method: &str, message: &[u8]) -> Vec<u8> {
    // Each is preceded by whether it is compressed, and its length.
    let length = u32::try_from(message.len()).expect("a short message");
    let framed = [&[0], length.to_be_bytes().as_slice(), message].concat();
    let (request, answer) = (node.file("request", framed), node.path("answer"));
    let headers = node.path("headers");
    let url = format!("http://localhost/runtime.v1.RuntimeService/{method}");
    let curl: Command = node
        .run("curl", ["--silent", "--show-error", "--http2-prior-knowledge", "--unix-socket"])
        .with([socket])
        .with(["-H", "Content-Type: application/grpc", "-H", "TE: trailers", "--data-binary"])
        .with([format!("@{}", request.display())])
        .with(["--output".as_ref(), answer.as_path(), "--dump-header".as_ref(), &headers])
        .with([url]);
    curl.ok();
    let said = fs::read_to_string(&headers).expect("headers");
    assert!(said.contains("grpc-status: 0"), "{method}: {said}");
    fs::read(&answer).expect("an answer").split_off(5)
}
