//! Who gets to know what proves who asks: the registry, the token service that it names, and nobody else.

#![allow(
    clippy::unwrap_used,
    reason = "a test panics when it fails, and its helpers are no tests to clippy"
)]

mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sandbar_registry::{Client, Configuration, Credentials, Digest, ErrorKind, Keyring, Location};
use server::{MANIFEST, Reply, Request, Server, access, client, client_of, manifest};

/// `me:secret`, as the Basic scheme has it.
const BASIC: &str = "Basic bWU6c2VjcmV0";

fn image(server: &Server) -> Location {
    format!("{}/team/app:1", server.name()).parse().unwrap()
}

fn served() -> Reply {
    Reply::ok(manifest()).header("content-type", MANIFEST)
}

fn wants(challenge: impl Into<String>) -> Reply {
    Reply::new(401, "").header("www-authenticate", challenge)
}

/// A registry that wants a token, which it gives out itself: `t0`, `t1` and so on.
fn with_tokens(fits: impl Fn(&Request, &str) -> bool + Send + Sync + 'static) -> Server {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Server::new(move |request| {
        if request.path.starts_with("/token") {
            let token = format!("t{}", count.fetch_add(1, Ordering::SeqCst));
            return Reply::ok(format!(r#"{{"token": "{token}"}}"#));
        }
        match request.authorization().and_then(|value| value.strip_prefix("Bearer ")) {
            Some(token) if fits(request, token) => served(),
            _ => {
                let host = request.header("host").unwrap();
                wants(format!(r#"Bearer realm="http://{host}/token",service="s v""#))
            }
        }
    })
}

#[test]
fn a_password_goes_to_the_registry_that_asks() {
    let server = Server::new(|request| match request.authorization() {
        Some(BASIC) => served(),
        _ => wants("Basic realm=\"x\""),
    });
    let client = client_of("me", "secret");
    client.manifest(&image(&server)).unwrap();
    client.manifest(&image(&server)).unwrap();
    let proofs: Vec<_> = server.requests().iter().map(|r| r.authorization().is_some()).collect();
    assert_eq!(proofs, [false, true, true], "nothing is proved unasked, or asked for twice");
    let error = client_of("me", "wrong").manifest(&image(&server)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
}

#[test]
fn a_token_is_fetched_once_for_what_it_is_needed() {
    let server = with_tokens(|_, token| token == "t0");
    let client = client_of("me", "secret");
    client.manifest(&image(&server)).unwrap();
    client.manifest(&image(&server)).unwrap();
    let tokens: Vec<_> =
        server.requests().into_iter().filter(|r| r.path.starts_with("/token")).collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(tokens[0].authorization(), Some(BASIC));
    let parameters = "/token?service=s%20v&scope=repository%3Ateam%2Fapp%3Apull&account=me";
    assert_eq!(tokens[0].path, parameters);
}

#[test]
fn a_token_that_ran_out_is_fetched_again() {
    let ran_out = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&ran_out);
    let server =
        with_tokens(move |_, token| token == if now.load(Ordering::SeqCst) { "t1" } else { "t0" });
    let client = client();
    client.manifest(&image(&server)).unwrap();
    ran_out.store(true, Ordering::SeqCst);
    client.manifest(&image(&server)).unwrap();
    assert!(server.requests().iter().all(|r| r.authorization() != Some(BASIC)));
}

#[test]
fn an_identity_token_is_exchanged() {
    let server = with_tokens(|_, _| true);
    let mut access = access(None);
    access.credentials = Some(Credentials::IdentityToken("refresh me&".to_owned()));
    Client::new(&Configuration::default(), access).manifest(&image(&server)).unwrap();
    let request = server.requests().into_iter().find(|r| r.path == "/token").unwrap();
    assert_eq!((request.method.as_str(), request.authorization()), ("POST", None));
    let form = String::from_utf8(request.body).unwrap();
    assert!(form.contains("&refresh_token=refresh%20me%26"), "{form}");
}

#[test]
fn a_token_that_is_none_or_too_large_is_refused() {
    for (body, kind) in [
        ("{}".to_owned(), ErrorKind::Protocol),
        (r#"{"token": "a\r\nb: c"}"#.to_owned(), ErrorKind::Protocol),
        (" ".repeat(1024 * 1024 + 1), ErrorKind::TooLarge),
    ] {
        let server = Server::new(move |request| match request.path.as_str() {
            path if path.starts_with("/token") => Reply::ok(body.as_str()),
            _ => wants(format!("Bearer realm=http://{}/token", request.header("host").unwrap())),
        });
        assert_eq!(client().manifest(&image(&server)).unwrap_err().kind(), kind);
    }
}

#[test]
fn a_token_service_without_tls_is_not_asked() {
    for realm in ["http://192.0.2.1/token", "ftp://127.0.0.1/", "https://u:p@127.0.0.1/", "x"] {
        let server = Server::new(move |_| wants(format!("Bearer realm=\"{realm}\"")));
        let error = client_of("me", "secret").manifest(&image(&server)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{realm}");
    }
}

#[test]
fn row_17_a_redirection_to_another_host_takes_no_proof_along() {
    for status in [301, 302, 303, 307, 308] {
        let store = Server::new(|_| Reply::ok("layer"));
        let elsewhere = store.url("/bucket?signature=x");
        let server = Server::new(move |request| match request.authorization() {
            Some(_) => Reply::new(status, "").header("location", elsewhere.as_str()),
            None => wants("Basic realm=x"),
        });
        let client = client_of("me", "secret");
        client.blob(&image(&server), Digest::of(b"layer"), 5, 0).unwrap();
        let requests = store.requests();
        assert_eq!((requests.len(), requests[0].path.as_str()), (1, "/bucket?signature=x"));
        assert_eq!(requests[0].authorization(), None);
    }
}

#[test]
fn row_17_nobody_elses_401_is_answered() {
    for challenge in ["Basic realm=x", "Bearer realm=http://HOST/token"] {
        let hostile = Server::new(move |request| {
            wants(challenge.replace("HOST", request.header("host").unwrap()))
        });
        let elsewhere = hostile.url("/layer");
        let server = Server::new(move |request| match request.authorization() {
            Some(_) => Reply::new(307, "").header("location", elsewhere.as_str()),
            None => wants("Basic realm=x"),
        });
        let client = client_of("me", "secret");
        let error = client.blob(&image(&server), Digest::of(b"layer"), 5, 0).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        let requests = hostile.requests();
        assert_eq!((requests.len(), requests[0].authorization()), (1, None));
    }
}

#[test]
fn row_17_a_mirror_is_not_told_what_is_for_the_registry() {
    let mirror = Server::new(|_| wants("Basic realm=x"));
    let home = Server::new(|_| served());
    let text = format!(
        "[[registry]]\nlocation = \"{}\"\n[[registry.mirror]]\nlocation = \"{}\"",
        home.name(),
        mirror.name()
    );
    let given = access(Some(Credentials::password("me", "secret").unwrap()));
    let client = Client::new(&Configuration::parse(&text).unwrap(), given);
    client.manifest(&image(&home)).unwrap();
    assert!(mirror.requests().iter().all(|request| request.authorization().is_none()));
}

#[test]
fn redirections_end() {
    let server = Server::new(|_| Reply::new(302, "").header("location", "/again"));
    assert_eq!(client().manifest(&image(&server)).unwrap_err().kind(), ErrorKind::RedirectLoop);
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn a_redirection_to_where_nobody_should_go_is_refused() {
    for location in ["http://192.0.2.1/x", "file:///etc/passwd", "", "https://u:p@127.0.0.1/"] {
        let server = Server::new(move |_| Reply::new(302, "").header("location", location));
        let error = client().manifest(&image(&server)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{location}");
    }
}

#[test]
fn without_tls_a_registry_elsewhere_is_not_spoken_to() {
    let server = Server::new(|_| served());
    let mut access = access(None);
    access.tls_verify = Some(true);
    let client = Client::new(&Configuration::default(), access);
    client.manifest(&image(&server)).unwrap_err();
    assert!(server.requests().is_empty());
}

#[test]
fn a_login_is_kept_if_the_registry_takes_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("auth.json");
    let server = Server::new(|request| match request.authorization() {
        Some(BASIC) => served(),
        _ => wants("Basic realm=x"),
    });
    let client = || {
        let mut access = access(None);
        access.keyring = Keyring::file(&file);
        Client::new(&Configuration::default(), access)
    };
    let login = |password: &str| {
        client()
            .login(&server.name(), &Credentials::password("me", password).unwrap())
            .map(std::path::Path::to_owned)
            .map_err(|e| e.kind())
    };
    assert_eq!(login("wrong"), Err(ErrorKind::Unauthorized));
    assert!(!file.exists());
    assert_eq!(login("secret"), Ok(file.clone()));
    client().manifest(&image(&server)).unwrap();
    assert!(client().logout(&server.name()).unwrap());
    assert_eq!(client().manifest(&image(&server)).unwrap_err().kind(), ErrorKind::Unauthorized);
    assert!(!client().logout(&server.name()).unwrap());
}
