//! OCI bundles, for the runtime under `sandbar oci`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{Command, Node, Process, Rootfs, SOON, until};

/// A bundle in the test's directory: busybox, with no terminal, doing nothing for long.
#[derive(Debug, Clone)]
pub struct Bundle {
    path: PathBuf,
    spec: Value,
}

impl Bundle {
    /// Makes one called `name`, of the specification that `sandbar oci spec` writes.
    ///
    /// # Panics
    /// If it can't.
    #[must_use]
    pub fn new(node: &Node, name: &str) -> Self {
        let path = node.path(name);
        fs::create_dir(&path).expect("the bundle's directory");
        let archive = Rootfs::busybox().into_archive();
        tar::Archive::new(archive.as_slice()).unpack(path.join("rootfs")).expect("its root");
        node.says("oci spec").directory(&path).ok();
        let text = fs::read(path.join("config.json")).expect("config.json");
        let mut spec: Value = serde_json::from_slice(&text).expect("JSON");
        spec["process"]["terminal"] = json!(false);
        spec["process"]["args"] = json!(["sleep", "1000"]);
        let bundle = Self { path, spec };
        bundle.write();
        bundle
    }

    /// With this program.
    #[must_use]
    pub fn program(self, words: &[&str]) -> Self {
        self.with("/process/args", json!(words))
    }

    /// With `value` at `place`, a JSON pointer of which the parent exists.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn with(mut self, place: &str, value: Value) -> Self {
        let (parent, name) = place.rsplit_once('/').expect("a pointer");
        self.spec.pointer_mut(parent).expect("its parent")[name] = value;
        self.write();
        self
    }

    /// With one more at the end of the list at `place`.
    ///
    /// # Panics
    /// If there is no list.
    #[must_use]
    pub fn adding(mut self, place: &str, value: Value) -> Self {
        let list = self.spec.pointer_mut(place).and_then(Value::as_array_mut).expect("a list");
        list.push(value);
        self.write();
        self
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in its root filesystem.
    #[must_use]
    pub fn in_root(&self, path: &str) -> PathBuf {
        self.path.join("rootfs").join(path)
    }

    /// Runs it as the container `id`.
    #[must_use]
    pub fn run(&self, node: &Node, id: &str) -> Command {
        node.says("oci run --bundle").with([&self.path]).with([id])
    }

    /// Creates the container `id` of it; its first process.
    ///
    /// # Panics
    /// If that fails.
    #[track_caller]
    pub fn create(&self, node: &Node, id: &str) -> Process {
        let file = node.path("pid");
        let command = node.says("oci create --pid-file").with([&file]).with(["--bundle"]);
        // Nobody reads what a container that stays prints.
        let output = command.with([&self.path]).with([id]).detached().run();
        let said = || fs::read_to_string("/run/test/said").unwrap_or_default();
        assert_eq!(output.exit_code(), 0, "{output}{}", said());
        let number = fs::read_to_string(file).expect("a pid file");
        Process::of(number.parse().expect("a number"))
    }

    fn write(&self) {
        fs::write(self.path.join("config.json"), self.spec.to_string()).expect("config.json");
    }
}

impl Node {
    /// What `oci state` says of a container.
    ///
    /// # Panics
    /// If that is not JSON.
    #[track_caller]
    #[must_use]
    pub fn oci_state(&self, id: &str) -> Value {
        serde_json::from_str(&self.says("oci state").with([id]).ok()).expect("JSON")
    }

    /// Waits until a container of `oci` is in a state.
    #[track_caller]
    pub fn oci_becomes(&self, id: &str, status: &str) {
        let look = || (self.oci_state(id)["status"] == status).then_some(());
        until(&format!("that {id} is {status}"), SOON, look);
    }
}
