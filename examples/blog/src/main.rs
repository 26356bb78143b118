//! A small web application: a blog of a few posts, told over HTTP/1.1 on an address that only its own pod reaches.
//!
//! It stands where a real application would stand in a pod: behind a proxy, in the same network namespace,
//! listening on 127.0.0.1 alone. It ends as the default action of a signal ends it.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program's log is its output")]

mod http;
mod page;

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;
use std::{env, io, thread};

use http::{Request, Response};

/// Where it listens unless its argument says otherwise.
const ADDRESS: &str = "127.0.0.1:2368";

/// How long a client may keep a connection waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many bytes of a client are read that nobody wants.
const UNREAD: u64 = 64 << 10;

fn main() -> ExitCode {
    let address = env::args().nth(1).unwrap_or_else(|| ADDRESS.to_owned());
    match serve(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("blog: can't listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    println!("blog: listening on {}", listener.local_addr()?);
    loop {
        match listener.accept() {
            Ok((stream, _)) => drop(thread::Builder::new().spawn(move || talk(&stream))?),
            Err(error) => {
                // A client that went away, or for a moment no descriptor is free: the next may fare better.
                eprintln!("blog: can't accept a connection: {error}");
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Answers one request and closes. What a client does wrong is the client's concern.
fn talk(stream: &TcpStream) {
    let answered = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| Request::read(stream))
        .and_then(|request| {
            let response = request.as_ref().map_or_else(Response::bad_request, answer);
            response.write(stream)
        })
        .and_then(|()| close(stream));
    if let Err(error) = answered {
        eprintln!("blog: a connection failed: {error}");
    }
}

/// Closes, and lets the client say what it still had to: with that unread, the kernel would reset the connection
/// and the answer could be lost.
fn close(stream: &TcpStream) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    // Whether it goes first or is given up on is all the same.
    let _gone = io::copy(&mut stream.take(UNREAD), &mut io::sink());
    Ok(())
}

fn answer(request: &Request) -> Response {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Response::method_not_allowed();
    }
    let response = match request.path() {
        "/" => Response::html(page::front()),
        _ => Response::not_found(),
    };
    if request.method == "HEAD" { response.without_body() } else { response }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// What is answered to `request`, from a real connection.
    fn told(request: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = thread::spawn(move || talk(&listener.accept().unwrap().0));
        client.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        drop(client);
        server.join().unwrap();
        text
    }

    #[test]
    fn the_front_page_lists_the_posts() {
        let text = told("GET / HTTP/1.1\r\nHost: blog\r\n\r\n");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert_eq!(body.matches("<article>").count(), page::POSTS.len());
    }

    #[test]
    fn head_tells_the_length_and_sends_no_body() {
        let text = told("HEAD /?page=1 HTTP/1.0\r\n\r\n");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", page::front().len())), "{head}");
        assert_eq!(body, "");
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert!(told("GET /admin HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 Not Found\r\n"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(told("POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        assert!(told("nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9000));
        assert!(told(&long).starts_with("HTTP/1.1 400 "));
    }
}
