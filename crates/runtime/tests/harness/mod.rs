//! Bundles with busybox, and the program that starts them.
#![allow(dead_code, reason = "each test program uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failure here is a failure of the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// What `runc spec` writes.
const CONFIG: &str = include_str!("config.json");

/// Where the program is that starts a bundle.
static STARTER: OnceLock<PathBuf> = OnceLock::new();

/// Builds it: cargo does so by itself only if it builds every target.
fn starter() -> PathBuf {
    let arguments = ["build", "--quiet", "--package", "sandbar-runtime", "--example", "start"];
    let built = Command::new(env!("CARGO")).args(arguments).status();
    assert!(built.unwrap().success(), "the example 'start' is needed");
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples/start")
}

/// A bundle in a directory of its own.
pub(crate) struct Bundle {
    directory: tempfile::TempDir,
    /// Its `config.json`.
    pub(crate) config: Value,
}

/// A value, from JSON text.
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

impl Bundle {
    /// What `runc spec` writes, without a terminal, around a root filesystem with busybox.
    pub(crate) fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests need root");
        let directory = tempfile::tempdir().unwrap();
        let bin = directory.path().join("rootfs/bin");
        fs::create_dir_all(&bin).unwrap();
        // A static one: Debian's busybox-static.
        fs::copy("/usr/bin/busybox", bin.join("busybox")).unwrap();
        let list = Command::new("/usr/bin/busybox").arg("--list").output().unwrap();
        for name in
            String::from_utf8(list.stdout).unwrap().lines().filter(|&name| name != "busybox")
        {
            std::os::unix::fs::symlink("busybox", bin.join(name)).unwrap();
        }
        Self { directory, config: json(CONFIG) }
    }

    /// The same with `value` at `pointer`, as in `/process/cwd`; `-` at its end adds to a list.
    pub(crate) fn with(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = self.config.pointer_mut(parent).unwrap();
        match parent {
            Value::Array(list) if key == "-" => list.push(value),
            Value::Object(object) => {
                object.insert(key.to_owned(), value);
            }
            _ => panic!("{pointer} is nowhere"),
        }
        self
    }

    /// The same with one more mount.
    pub(crate) fn mount(self, mount: &str) -> Self {
        self.with("/mounts/-", json(mount))
    }

    /// The same without the mount at `destination`.
    pub(crate) fn without_mount(mut self, destination: &str) -> Self {
        let mounts = self.config["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] != destination);
        self
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A path in its root filesystem.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        self.directory.path().join("rootfs").join(path.trim_start_matches('/'))
    }

    /// Runs `script` in its container; `before` runs outside first, in the same mount namespace.
    pub(crate) fn run_after(&self, before: &str, script: &str) -> Output {
        self.run_with(before, script, &[])
    }

    /// The same, and `further` as a second process in it, at whose end it ends.
    pub(crate) fn run_with(&self, before: &str, script: &str, further: &[&str]) -> Output {
        let mut config = self.config.clone();
        config["process"]["args"] = Value::from(vec!["sh", "-c", script]);
        fs::write(self.path().join("config.json"), config.to_string()).unwrap();
        let start = STARTER.get_or_init(starter);
        Command::new("unshare")
            .args(["--mount", "--propagation=private", "sh", "-ec"])
            .arg(format!("{before}\nexec \"$0\" \"$@\""))
            .arg(start)
            .arg(self.path())
            .args(further)
            .output()
            .unwrap()
    }
}

/// What `script` prints in the container of `bundle`, which must succeed.
pub(crate) fn says(bundle: &Bundle, script: &str) -> String {
    says_after(bundle, "", script)
}

/// The same after `before` has run outside.
pub(crate) fn says_after(bundle: &Bundle, before: &str, script: &str) -> String {
    let output = bundle.run_after(before, script);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Why the container of `bundle` does not start.
pub(crate) fn fails(bundle: &Bundle) -> String {
    let output = bundle.run_after("", "echo started");
    assert_eq!(output.status.code(), Some(125), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}
