//! What is pushed to a registry, and what is found there.

#![allow(
    clippy::unwrap_used,
    reason = "a test panics when it fails, and its helpers are no tests to clippy"
)]

mod server;

use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sandbar_registry::{Content, Digest, ErrorKind, Location, Pushed};
use server::{MANIFEST, Reply, Server, client, client_of, manifest};

fn image(server: &Server) -> Location {
    format!("{}/team/app:1", server.name()).parse().unwrap()
}

fn push(server: &Server, also_in: Option<&str>) -> Result<Pushed, ErrorKind> {
    let content = Content {
        digest: Digest::of(b"layer"),
        size: 5,
        also_in,
        open: &|| Ok(Box::new(&b"layer"[..]) as Box<dyn Read>),
    };
    client_of("me", "secret").push_blob(&image(server), &content).map_err(|e| e.kind())
}

fn asked(server: &Server) -> Vec<String> {
    server.requests().iter().map(|r| format!("{} {}", r.method, r.path)).collect()
}

#[test]
fn a_blob_is_sent_where_the_registry_says() {
    let server = Server::new(|request| match request.method.as_str() {
        "HEAD" => Reply::new(404, ""),
        "POST" => Reply::new(202, "").header("location", "/up/1?state=x"),
        _ => Reply::new(201, ""),
    });
    assert_eq!(push(&server, None), Ok(Pushed::Sent));
    let digest = Digest::of(b"layer").to_string();
    let escaped = digest.replace(':', "%3A");
    let expected = [
        format!("HEAD /v2/team/app/blobs/{digest}"),
        "POST /v2/team/app/blobs/uploads/".to_owned(),
        format!("PUT /up/1?state=x&digest={escaped}"),
    ];
    assert_eq!(asked(&server), expected);
    assert_eq!(server.requests()[2].body, b"layer");
}

#[test]
fn a_blob_that_is_there_or_can_be_mounted_is_not_sent() {
    let there = Server::new(|_| Reply::ok(""));
    assert_eq!(push(&there, None), Ok(Pushed::Present));
    let mounts = Server::new(|request| match request.method.as_str() {
        "HEAD" => Reply::new(404, ""),
        _ => Reply::new(201, ""),
    });
    assert_eq!(push(&mounts, Some("base/os")), Ok(Pushed::Mounted));
    let post = asked(&mounts).pop().unwrap();
    assert!(post.contains("?mount=sha256%3A") && post.ends_with("&from=base%2Fos"), "{post}");
}

#[test]
fn a_blob_is_looked_for_in_other_repositories_and_nothing_is_left_begun() {
    let server = Server::new(|request| match (request.method.as_str(), request.path.as_str()) {
        ("HEAD", _) => Reply::new(404, ""),
        ("POST", path) if path.ends_with("from=no%2Faccess") => Reply::new(403, ""),
        ("POST", path) if path.ends_with("from=base%2Fos") => Reply::new(201, ""),
        ("POST", _) => Reply::new(202, "").header("location", "/up/1"),
        _ => Reply::new(204, ""),
    });
    let client = client_of("me", "secret");
    let has = |others: &[&str]| {
        client.has_blob(&image(&server), Digest::of(b"layer"), others).map_err(|e| e.kind())
    };
    assert_eq!(has(&["team/app", "no/access", "not/there"]), Ok(None));
    let methods: Vec<_> = server.requests().iter().map(|r| r.method.clone()).collect();
    assert_eq!(methods, ["HEAD", "POST", "POST", "DELETE"]);
    assert_eq!(has(&["not/there", "base/os"]), Ok(Some(Pushed::Mounted)));
    let there = Server::new(|_| Reply::ok(""));
    let found = client.has_blob(&image(&there), Digest::of(b"layer"), &["base/os"]);
    assert_eq!(found.map_err(|e| e.kind()), Ok(Some(Pushed::Present)));
    let shut = Server::new(|_| Reply::new(403, ""));
    let refused = client.has_blob(&image(&shut), Digest::of(b"layer"), &["base/os"]);
    assert_eq!(refused.map_err(|e| e.kind()), Err(ErrorKind::Forbidden));
}

#[test]
fn what_can_not_be_opened_is_not_tried_again() {
    let server = Server::new(|request| match request.method.as_str() {
        "HEAD" => Reply::new(404, ""),
        _ => Reply::new(202, "").header("location", "/up"),
    });
    let opened = AtomicUsize::new(0);
    let content = Content {
        digest: Digest::of(b"layer"),
        size: 5,
        also_in: None,
        open: &|| {
            opened.fetch_add(1, Ordering::SeqCst);
            Err(std::io::Error::other("it is gone"))
        },
    };
    let error = client_of("me", "secret").push_blob(&image(&server), &content).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreadable);
    assert_eq!(opened.into_inner(), 1);
}

#[test]
fn an_upload_that_fails_is_made_again_from_the_beginning() {
    let puts = AtomicUsize::new(0);
    let server = Server::new(move |request| match request.method.as_str() {
        "HEAD" => Reply::new(404, ""),
        "POST" => Reply::new(202, "").header("location", "/up"),
        _ if puts.fetch_add(1, Ordering::SeqCst) == 0 => Reply::new(502, ""),
        _ => Reply::new(201, ""),
    });
    assert_eq!(push(&server, None), Ok(Pushed::Sent));
    assert_eq!(server.requests().last().unwrap().body, b"layer");
}

#[test]
fn row_17_an_upload_elsewhere_takes_no_proof_along() {
    let store = Server::new(|_| Reply::new(201, ""));
    let elsewhere = store.url("/bucket");
    let server = Server::new(move |request| match (request.authorization(), &*request.method) {
        (None, _) => Reply::new(401, "").header("www-authenticate", "Basic realm=x"),
        (_, "HEAD") => Reply::new(404, ""),
        _ => Reply::new(202, "").header("location", elsewhere.as_str()),
    });
    assert_eq!(push(&server, None), Ok(Pushed::Sent));
    let requests = store.requests();
    assert_eq!((requests.len(), requests[0].authorization()), (1, None));
}

#[test]
fn an_upload_to_where_nobody_should_go_is_refused() {
    for location in ["http://192.0.2.1/up", "", "file:///x"] {
        let server = Server::new(move |request| match request.method.as_str() {
            "HEAD" => Reply::new(404, ""),
            _ => Reply::new(202, "").header("location", location),
        });
        assert_eq!(push(&server, None), Err(ErrorKind::Protocol), "{location}");
    }
}

#[test]
fn a_manifest_is_pushed_under_its_tag_and_taken_as_it_is() {
    let server = Server::new(|request| {
        Reply::new(201, "").header("docker-content-digest", Digest::of(&request.body).to_string())
    });
    let pushed = client().push_manifest(&image(&server), &manifest(), MANIFEST).unwrap();
    assert_eq!(pushed, Digest::of(&manifest()));
    let requests = server.requests();
    assert_eq!(asked(&server), ["PUT /v2/team/app/manifests/1"]);
    assert_eq!(
        (requests[0].header("content-type"), &requests[0].body),
        (Some(MANIFEST), &manifest())
    );
    let other = image(&server).at(Digest::of(b"another"));
    let error = client().push_manifest(&other, &manifest(), MANIFEST).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    let another = Digest::of(b"another").to_string();
    let lying =
        Server::new(move |_| Reply::new(201, "").header("docker-content-digest", another.as_str()));
    let error = client().push_manifest(&image(&lying), &manifest(), MANIFEST).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

#[test]
fn a_search_is_the_registrys_own_or_through_all_names() {
    let first = Server::new(|request| match request.path.as_str() {
        "/v1/search?q=a%20b&n=2" => Reply::ok(
            r#"{"results": [{"name": "x", "description": "a\nb", "star_count": 3, "is_official": true},
                {"name": "y", "description": null}, {"name": "z"}]}"#,
        ),
        _ => Reply::new(404, ""),
    });
    let found = client().search(&first.name(), "a b", 2).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].name, format!("{}/x", first.name()));
    assert_eq!((found[0].stars, found[0].official, found[1].stars), (Some(3), true, None));
    assert!(!found[0].description.contains('\n'));

    let second = Server::new(|request| match request.path.as_str() {
        "/v2/_catalog?n=1000" => Reply::ok(r#"{"repositories": ["base/app", "other"]}"#)
            .header("link", "</v2/_catalog?n=1000&last=other>; rel=\"next\""),
        "/v2/_catalog?n=1000&last=other" => Reply::ok(r#"{"repositories": ["app2", "apps"]}"#),
        "/v2/team/app/tags/list?n=1000" => Reply::ok(r#"{"name": "team/app", "tags": ["1", "2"]}"#),
        _ => Reply::new(404, ""),
    });
    let found = client().search(&second.name(), "app", 2).unwrap();
    let names: Vec<_> = found.iter().map(|found| found.name.rsplit_once('/').unwrap().1).collect();
    assert_eq!(names, ["app", "app2"]);
    assert_eq!(client().tags(&image(&second)).unwrap(), ["1", "2"]);
}

#[test]
fn a_list_that_never_ends_is_ended() {
    let pages = Mutex::new(0);
    let server = Server::new(move |request| {
        *pages.lock().unwrap() += 1;
        let next = format!("</v2/_catalog?last={}>; rel=next", pages.lock().unwrap());
        match request.path.starts_with("/v2/_catalog") {
            true => Reply::ok(r#"{"repositories": []}"#).header("link", next),
            false => Reply::new(404, ""),
        }
    });
    let error = client().search(&server.name(), "x", 5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
