//! What is pulled from a registry that fails, lies or stops.

#![allow(
    clippy::unwrap_used,
    reason = "a test panics when it fails, and its helpers are no tests to clippy"
)]

mod server;

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};

use sandbar_registry::{Client, Configuration, Digest, Error, ErrorKind, Location, Proxies};
use server::{MANIFEST, Reply, Server, access, client, manifest};

fn image(server: &Server) -> Location {
    format!("{}/team/app:1", server.name()).parse().unwrap()
}

fn served() -> Reply {
    Reply::ok(manifest()).header("content-type", MANIFEST)
}

/// Reads a blob of `content` whole.
fn read(client: &Client, location: &Location, content: &[u8]) -> Result<Vec<u8>, ErrorKind> {
    let (digest, size) = (Digest::of(content), content.len() as u64);
    let mut blob = client.blob(location, digest, size, 0).map_err(|e| e.kind())?;
    let mut bytes = Vec::new();
    match blob.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(e) => Err(Error::of(&e).unwrap().kind()),
    }
}

/// The number in `bytes=N-`, or 0.
fn wanted_from(request: &server::Request) -> usize {
    let range = request.header("range").map(|range| range.trim_start_matches("bytes="));
    range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap())
}

fn partial(content: &[u8], from: usize) -> Reply {
    let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
    Reply::new(206, &content[from..]).header("content-range", range)
}

#[test]
fn a_manifest_and_a_blob_come_as_they_are_served() {
    let server = Server::new(|request| match request.path.as_str() {
        "/v2/team/app/manifests/1" => served(),
        path if path.starts_with("/v2/team/app/blobs/sha256:") => Reply::ok("layer"),
        _ => Reply::new(404, ""),
    });
    let client = client();
    let found = client.manifest(&image(&server)).unwrap();
    assert_eq!((found.bytes.clone(), found.media_type.as_str()), (manifest(), MANIFEST));
    assert_eq!(
        client.manifest(&image(&server).at(found.digest)).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(read(&client, &image(&server), b"layer").unwrap(), b"layer"));
        }
    });
}

#[test]
fn refusals_tell_what_they_are() {
    for (status, kind, requests) in [
        (401, ErrorKind::Unauthorized, 1),
        (403, ErrorKind::Forbidden, 1),
        (404, ErrorKind::NotFound, 1),
        (418, ErrorKind::Protocol, 1),
        (500, ErrorKind::Server, 3),
        (503, ErrorKind::Server, 3),
        (429, ErrorKind::TooManyRequests, 3),
    ] {
        let body = r#"{"errors":[{"code":"X","message":"no\u001b[2J way"}]}"#;
        let server = Server::new(move |_| Reply::new(status, body));
        let error = client().manifest(&image(&server)).unwrap_err();
        assert_eq!(error.kind(), kind);
        let message = error.to_string();
        assert!(message.contains(&image(&server).to_string()), "{message}");
        assert!(message.contains("way") && !message.contains('\u{1b}'), "{message}");
        assert_eq!(server.requests().len(), requests, "{status}");
    }
}

#[test]
fn what_passes_is_waited_for() {
    for status in [429, 500, 502, 503, 504] {
        let asked = AtomicUsize::new(0);
        let server = Server::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::new(status, "").header("retry-after", "0"),
            1 => served().cut_after(3),
            _ => served(),
        });
        client().manifest(&image(&server)).unwrap();
        assert_eq!(server.requests().len(), 3);
    }
}

#[test]
fn a_date_to_wait_for_counts_from_the_registrys_own() {
    // However wrong the clock of either is.
    let reply = |after: &str| {
        Reply::new(429, "")
            .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
            .header("retry-after", after)
    };
    for (after, asked) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 3),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 3),
        ("Sun, 06 Nov 1994 18:00:00 GMT", 1),
    ] {
        let count = AtomicUsize::new(0);
        let after = after.to_owned();
        let server = Server::new(move |_| match count.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => reply(&after),
            _ => served(),
        });
        let done = client().manifest(&image(&server));
        assert_eq!((server.requests().len(), done.is_ok()), (asked, asked == 3), "{asked}");
    }
}

#[test]
fn nobody_waits_as_long_as_a_registry_likes() {
    let server = Server::new(|_| Reply::new(429, "").header("retry-after", "86400"));
    let error = client().manifest(&image(&server)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooManyRequests);
    assert!(error.to_string().contains("wait 86400 s"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_registry_that_stops_is_an_error() {
    let server = Server::new(|_| served().hangs_after(4));
    assert_eq!(client().manifest(&image(&server)).unwrap_err().kind(), ErrorKind::Stalled);
    let server = Server::new(|_| Reply::ok("layer").hangs_after(0));
    assert_eq!(read(&client(), &image(&server), b"layer"), Err(ErrorKind::Stalled));
}

#[test]
fn nobody_there_is_an_error() {
    let server = Server::new(|_| served());
    let location = image(&server);
    drop(server);
    assert_eq!(client().manifest(&location).unwrap_err().kind(), ErrorKind::Refused);
    let nowhere = "no-such-host.invalid/app".parse().unwrap();
    assert_eq!(client().manifest(&nowhere).unwrap_err().kind(), ErrorKind::UnknownHost);
}

#[test]
fn a_blob_that_breaks_off_is_gone_on_with() {
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let all = content.clone();
    // Each answer gives a little more: more often than anything is tried without progress.
    let server = Server::new(move |request| match wanted_from(request) {
        0 => Reply::ok(all.as_slice()).cut_after(60_000),
        from => partial(&all, from).cut_after((all.len() - from).min(60_000)),
    });
    assert_eq!(read(&client(), &image(&server), &content).unwrap(), content);
    assert!(server.requests().len() > 3);
}

#[test]
fn a_blob_that_stalls_is_gone_on_with() {
    let server = Server::new(|request| match wanted_from(request) {
        0 => Reply::ok("a layer").hangs_after(3),
        from => partial(b"a layer", from),
    });
    assert_eq!(read(&client(), &image(&server), b"a layer").unwrap(), b"a layer");
}

#[test]
fn a_registry_without_ranges_sends_all_again() {
    let asked = AtomicUsize::new(0);
    let server = Server::new(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::ok("a layer").cut_after(3),
        _ => Reply::ok("a layer"),
    });
    assert_eq!(read(&client(), &image(&server), b"a layer").unwrap(), b"a layer");
}

#[test]
fn a_blob_is_read_from_where_the_caller_is_or_says_so() {
    for (ranges, begins_at, expected) in [(true, 2, "layer"), (false, 0, "a layer")] {
        let server = Server::new(move |request| match wanted_from(request) {
            from if ranges => partial(b"a layer", from),
            _ => Reply::ok("a layer"),
        });
        let client = client();
        let mut blob = client.blob(&image(&server), Digest::of(b"a layer"), 7, 2).unwrap();
        assert_eq!(blob.begins_at(), begins_at);
        let mut text = String::new();
        blob.read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
    }
}

#[test]
fn a_registry_that_sends_another_part_is_refused() {
    let server = Server::new(|_| partial(b"a layer", 3));
    let error = client().blob(&image(&server), Digest::of(b"a layer"), 7, 2).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[test]
fn what_always_ends_too_early_is_truncated() {
    let server = Server::new(|_| Reply::ok("layer").cut_after(0));
    assert_eq!(read(&client(), &image(&server), b"layer"), Err(ErrorKind::Truncated));
}

#[test]
fn content_that_is_another_is_refused() {
    for (body, kind) in [
        ("other", ErrorKind::DigestMismatch),
        ("layer and more", ErrorKind::TooLarge),
        ("lay", ErrorKind::Protocol),
    ] {
        let server = Server::new(move |_| Reply::ok(body));
        assert_eq!(read(&client(), &image(&server), b"layer"), Err(kind), "{body}");
    }
    let chunks = "e\r\nlayer and more\r\n0\r\n\r\n";
    let server = Server::new(move |_| Reply::ok(chunks).header("transfer-encoding", "chunked"));
    assert_eq!(read(&client(), &image(&server), b"layer"), Err(ErrorKind::TooLarge));
}

#[test]
fn a_manifest_is_what_its_digest_promises() {
    let server = Server::new(|_| served());
    let other = image(&server).at(Digest::of(b"another"));
    assert_eq!(client().manifest(&other).unwrap_err().kind(), ErrorKind::DigestMismatch);
    let promised = Digest::of(b"another").to_string();
    let server = Server::new(move |_| served().header("docker-content-digest", promised.as_str()));
    let error = client().manifest(&image(&server)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    let server = Server::new(|_| served().header("docker-content-digest", "sha256:../../x"));
    assert_eq!(client().manifest(&image(&server)).unwrap_err().kind(), ErrorKind::Protocol);
}

#[test]
fn a_manifest_of_two_kinds_is_refused() {
    let index = "application/vnd.oci.image.index.v1+json";
    for (body, said, fits) in [
        (manifest(), MANIFEST, true),
        (manifest(), "application/json", true),
        (b"{}".to_vec(), index, true),
        (manifest(), index, false),
        (b"{}".to_vec(), "text/html", false),
        (b"<html>".to_vec(), MANIFEST, false),
    ] {
        let server = Server::new(move |_| Reply::ok(body.as_slice()).header("content-type", said));
        assert_eq!(client().manifest(&image(&server)).is_ok(), fits, "{said}");
    }
    let old = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let server = Server::new(move |_| Reply::ok("{}").header("content-type", old));
    let error = client().manifest(&image(&server)).unwrap_err();
    assert!(error.to_string().contains(old), "{error}");
}

#[test]
fn a_huge_manifest_is_refused_whether_or_not_it_says_so() {
    let huge = vec![b' '; 4 * 1024 * 1024 + 1];
    let chunked = [format!("{:x}\r\n", huge.len()).as_bytes(), &huge, b"\r\n0\r\n\r\n"].concat();
    let server = Server::new(move |_| Reply::ok(huge.as_slice()));
    assert_eq!(client().manifest(&image(&server)).unwrap_err().kind(), ErrorKind::TooLarge);
    let server =
        Server::new(move |_| Reply::ok(chunked.as_slice()).header("transfer-encoding", "chunked"));
    assert_eq!(client().manifest(&image(&server)).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn mirrors_are_asked_first_and_the_registry_in_the_end() {
    let home = Server::new(|_| served());
    let good = Server::new(|_| served());
    let lying = Server::new(|_| Reply::ok("{}").header("content-type", MANIFEST));
    let absent = Server::new(|_| served()).name();
    let configured = |mirrors: &[&str]| {
        let mirrors: String = mirrors
            .iter()
            .map(|mirror| format!("[[registry.mirror]]\nlocation = \"{mirror}\"\n"))
            .collect();
        let text = format!("[[registry]]\nlocation = \"{}\"\n{mirrors}", home.name());
        Client::new(&Configuration::parse(&text).unwrap(), access(None))
    };
    let pinned = image(&home).at(Digest::of(&manifest()));
    configured(&[&absent, &good.name()]).manifest(&pinned).unwrap();
    assert_eq!((good.requests().len(), home.requests().len()), (1, 0));
    configured(&[&lying.name()]).manifest(&pinned).unwrap();
    assert_eq!((lying.requests().len(), home.requests().len()), (1, 1));
}

#[test]
fn a_registry_behind_a_proxy_is_reached_through_it() {
    let proxy = Server::new(|_| served());
    let mut access = access(None);
    access.tls_verify = Some(false);
    let url = proxy.url("");
    let variable =
        |name: &str| (name == "http_proxy" || name == "HTTPS_PROXY").then(|| url.clone());
    access.proxies = Proxies::from_variables(variable).unwrap();
    let client = Client::new(&Configuration::default(), access);
    client.manifest(&"registry.invalid/app:1".parse().unwrap()).unwrap();
    let asked: Vec<_> =
        proxy.requests().iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    let expected =
        ["CONNECT registry.invalid:443", "CONNECT registry.invalid:80", "GET /v2/app/manifests/1"];
    assert_eq!(asked, expected);
}
