//! Programs that keep credentials. They are found by `PATH`, so each test runs itself again with a `PATH` of its own.

#![allow(
    clippy::unwrap_used,
    reason = "a test panics when it fails, and its helpers are no tests to clippy"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use sandbar_registry::{Credentials, ErrorKind, Keyring};

/// Where the second run has its files.
const DIRECTORY: &str = "SANDBAR_TEST_DIRECTORY";

/// A helper that keeps what it is given in a file beside itself.
const HELPER: &str = r#"#!/bin/sh
kept=$(dirname "$0")/kept
case $1 in
store) cat > "$kept" ;;
get) cat > /dev/null; if [ -e "$kept" ]; then cat "$kept"; else echo "credentials not found in native keychain"; exit 1; fi ;;
list) if [ -e "$kept" ]; then echo '{"any.io":"me"}'; else echo '{}'; fi ;;
erase) cat > "$kept.erased"; rm "$kept" ;;
esac
"#;

/// Runs `test`, with the directory of its files, in a process in which this helper is found.
fn with_helper(name: &str, helper: &str, test: impl Fn(&Path)) {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        return test(Path::new(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("docker-credential-test");
    fs::write(&program, helper).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", directory.path().display());
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env("PATH", path)
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn a_helper_keeps_what_it_is_given() {
    with_helper("a_helper_keeps_what_it_is_given", HELPER, |directory| {
        let file = directory.join("config.json");
        let text = r#"{"credsStore": "test", "credHelpers": {"own.io": "test"}}"#;
        fs::write(&file, text).unwrap();
        let ring = Keyring::file(&file);
        for key in ["own.io", "docker.io", "any.io:5000"] {
            assert_eq!(ring.find(key, "app").unwrap(), None);
            let me = Credentials::password("me", "secret").unwrap();
            ring.store(key, &me).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text, "the secret is not in the file");
            assert_eq!(ring.find(key, "app").unwrap(), Some(me));
            assert!(ring.erase(key).unwrap());
            assert_eq!(ring.find(key, "app").unwrap(), None);
            let erased = fs::read_to_string(directory.join("kept.erased")).unwrap();
            let hub = key == "docker.io";
            assert_eq!(erased, if hub { "https://index.docker.io/v1/" } else { key });
        }
        let token = Credentials::IdentityToken("t".to_owned());
        ring.store("own.io", &token).unwrap();
        assert_eq!(ring.find("own.io", "app").unwrap(), Some(token));
    });
}

#[test]
fn all_that_helpers_keep_is_erased() {
    with_helper("all_that_helpers_keep_is_erased", HELPER, |directory| {
        for text in [r#"{"credsStore": "test"}"#, r#"{"credHelpers": {"any.io": "test"}}"#] {
            let file = directory.join("config.json");
            fs::write(&file, text).unwrap();
            let ring = Keyring::file(&file);
            ring.store("any.io", &Credentials::password("me", "secret").unwrap()).unwrap();
            assert_eq!(ring.erase_all().unwrap().0, 1);
            assert_eq!(ring.find("any.io", "app").unwrap(), None);
            assert_eq!(ring.erase_all().unwrap().0, 0);
        }
    });
}

#[test]
fn a_helper_that_fails_is_an_error() {
    let helper = "#!/bin/sh\necho the keychain is shut; exit 1\n";
    with_helper("a_helper_that_fails_is_an_error", helper, |directory| {
        let file = directory.join("auth.json");
        fs::write(&file, r#"{"credHelpers": {"own.io": "test"}}"#).unwrap();
        let error = Keyring::file(&file).find("own.io", "app").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials);
        assert!(error.to_string().contains("the keychain is shut"), "{error}");
        assert_eq!(Keyring::file(&file).find("other.io", "app").unwrap(), None);
    });
}
