//! Logins to registries, and searches in them.

use std::fs;

use rustix::fs::Mode;
use sandbar_tests::{Answer, Node, Registry, Request, Rootfs, Terminal, tests};
use serde_json::{Value, json};

tests! {
    a_login_is_checked_kept_and_used,
    a_login_that_is_refused_is_not_kept,
    a_password_is_typed_unseen,
    a_logout_forgets_one_or_all,
    registries_are_searched,
}

const REGISTRY: &str = "127.0.0.1:5000";
/// `me:secret`, as Basic has it.
const PROOF: &str = "Basic bWU6c2VjcmV0";

/// A registry that lets in just `me` with `secret`.
fn guarded() -> Registry {
    let registry = Registry::start(REGISTRY);
    registry.put_image("me/app:1", vec![Rootfs::busybox()], &json!({ "Cmd": ["echo", "mine"] }));
    registry.answers(|request: &Request| match request.header("authorization") {
        Some(PROOF) => Answer::Usual,
        _ => Answer::Status(401, vec![("www-authenticate", "Basic realm=\"x\"".to_owned())]),
    });
    registry
}

fn a_login_is_checked_kept_and_used(node: &Node) {
    let _registry = guarded();
    let file = node.path("auth.json");
    let sandbar = |line: &str| node.says(line).env("REGISTRY_AUTH_FILE", &file);
    sandbar(&format!("pull {REGISTRY}/me/app:1")).refused(1, &["me/app:1", "401", "sandbar login"]);
    let login = sandbar(&format!("login -u me --password-stdin {REGISTRY}")).input("secret\n");
    let said = login.ok();
    assert!(said.starts_with("Login Succeeded!") && said.contains("auth.json"), "{said}");
    let kept = fs::read_to_string(&file).expect("the file");
    assert!(kept.contains(REGISTRY) && !kept.contains("secret"), "{kept}");
    let mode = rustix::fs::stat(&file).expect("the file").st_mode;
    assert_eq!(Mode::from_raw_mode(mode) & Mode::from_raw_mode(0o077), Mode::empty());
    assert_eq!(sandbar(&format!("login --get-login {REGISTRY}")).ok(), "me\n");
    sandbar(&format!("pull --authfile /nothing {REGISTRY}/me/app:1")).refused(1, &["/nothing"]);
    // What is kept does still.
    let said = sandbar(&format!("login {REGISTRY}")).ok();
    assert!(said.contains("still as me"), "{said}");
    sandbar(&format!("pull {REGISTRY}/me/app:1")).ok();
    assert_eq!(sandbar(&format!("run --rm --net none {REGISTRY}/me/app:1")).ok(), "mine\n");
    // A password in the command line does, with a warning.
    let other = node.path("other.json").display().to_string();
    let words = ["login", "-u", "me", "-p", "secret", "--authfile", &other, REGISTRY];
    let said = node.sandbar(words).code(0);
    assert!(said.stderr().contains("--password-stdin"), "{said}");
    sandbar(&format!("login --get-login --authfile {other} {REGISTRY}")).ok();
}

fn a_login_that_is_refused_is_not_kept(node: &Node) {
    let registry = guarded();
    let file = node.path("auth.json");
    let login = |words: &str| {
        let line = format!("login --authfile {} {words} {REGISTRY}", file.display());
        node.says(&line)
    };
    login("-u me --password-stdin").input("wrong").refused(1, &[REGISTRY, "401", "check the name"]);
    login("-u me --password-stdin").input("\n").refused(1, &["no password"]);
    login("-u a:b --password-stdin").input("secret").refused(1, &["colon"]);
    login("").refused(1, &["no terminal", "--password-stdin"]);
    login("--password-stdin").input("secret").refused(2, &["--username"]);
    login("-u me -p secret --password-stdin").refused(2, &["--password"]);
    login("--get-login").refused(1, &["nobody is logged in", REGISTRY]);
    registry.answers(|_| Answer::Status(403, Vec::new()));
    login("-u me --password-stdin").input("secret").refused(1, &[REGISTRY, "403"]);
    node.says("login -u me -p x UPPER_CASE!").code(1);
    assert!(!file.exists(), "something was kept");
}

fn a_password_is_typed_unseen(node: &Node) {
    let _registry = guarded();
    let file = node.path("auth.json");
    let command = node.says(&format!("login --authfile {} {REGISTRY}", file.display()));
    let mut terminal = node.terminal(&command);
    terminal.shows("User name at 127.0.0.1:5000: ");
    terminal.type_in("me\n");
    terminal.shows("Password: ");
    // What was mistyped is taken back.
    terminal.type_in("wrong\x15secrex\x7ft\r");
    assert_eq!(terminal.wait(), 0, "{}", terminal.shown());
    assert!(!terminal.shown().contains("secr"), "{}", terminal.shown());
    assert!(terminal.shown().contains("Login Succeeded!"), "{}", terminal.shown());

    fs::remove_file(&file).expect("the file");
    let mut terminal: Terminal = node.terminal(&command);
    terminal.shows("User name");
    terminal.type_in("me\n");
    terminal.shows("Password: ");
    terminal.type_in("se\x03");
    assert_eq!(terminal.wait(), 130);
    assert!(!file.exists() && terminal.echoes(), "{}", terminal.shown());
}

fn a_logout_forgets_one_or_all(node: &Node) {
    let registry = guarded();
    registry.answers(|_| Answer::Usual);
    let file = node.path("auth.json");
    let sandbar = |line: &str| node.says(line).env("REGISTRY_AUTH_FILE", &file);
    for name in [REGISTRY, "127.0.0.1:5000/me", "localhost:5000"] {
        sandbar(&format!("login -u me --password-stdin {name}")).input("secret").ok();
    }
    sandbar("logout 127.0.0.1:5000/me").ok();
    sandbar("logout 127.0.0.1:5000/me").refused(1, &["127.0.0.1:5000/me", "nobody is logged in"]);
    assert_eq!(sandbar("login --get-login localhost:5000").ok(), "me\n");
    let said = sandbar("logout --all").ok();
    assert!(said.contains("Removed 2 "), "{said}");
    sandbar("login --get-login localhost:5000").code(1);
    sandbar("logout --all x").code(2);
}

fn registries_are_searched(node: &Node) {
    let registry = Registry::start(REGISTRY);
    for name in ["web/nginx:1", "web/nginx:2", "nginx-tools:1", "other:1"] {
        registry.put_image(name, vec![Rootfs::new().file("x", 0o644, b"x")], &json!({}));
    }
    let found = node.says(&format!("search {REGISTRY}/nginx")).ok();
    let names: Vec<_> = found.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["NAME", "127.0.0.1:5000/nginx-tools", "127.0.0.1:5000/web/nginx"]);
    let json = node.says(&format!("search --format json --limit 1 {REGISTRY}/nginx")).ok();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(1));
    assert_eq!((&json[0]["Index"], &json[0]["Stars"]), (&json!(REGISTRY), &Value::Null));
    let tags = node.says(&format!("search --list-tags {REGISTRY}/web/nginx")).ok();
    let tags: Vec<_> = tags.lines().map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(tags, [Some("TAG"), Some("1"), Some("2")]);
    let json = node.says(&format!("search --list-tags --format json {REGISTRY}/web/nginx")).ok();
    assert!(json.contains(r#""Tags""#), "{json}");
    node.says(&format!("search --list-tags {REGISTRY}/nothing")).refused(1, &["nothing", "404"]);
    node.says(&format!("search --list-tags {REGISTRY}/other:1")).refused(1, &["other:1", "alone"]);
    registry.answers(|_| Answer::Status(403, Vec::new()));
    node.says(&format!("search {REGISTRY}/nginx")).refused(1, &[REGISTRY, "403"]);
}
