//! A machine for one test: this process, in namespaces and a cgroup of its own.

use std::ffi::{CStr, OsStr};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use sandbar_sys::Namespaces;
use serde_json::Value;

use crate::cgroups::NodeCgroups;
use crate::{Command, Process, Rootfs, SOON, Terminal, until};

/// A machine on which nothing runs but the test, and nothing is there but what the test brings.
#[derive(Debug)]
pub struct Node {
    sandbar: PathBuf,
    directory: PathBuf,
}

impl Node {
    /// An address of the node that is neither loopback's nor the bridge's.
    pub const ADDRESS: &str = "192.0.2.1";

    /// Makes this process the node. It must have one thread.
    pub(crate) fn enter(cgroup: &str) -> Self {
        let sandbar = sandbar();
        let new = Namespaces::NEWNS | Namespaces::NEWNET | Namespaces::NEWUTS | Namespaces::NEWIPC;
        sandbar_sys::unshare(new).expect("unshare");
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).expect("private mounts");
        for directory in ["/run", "/var/lib"] {
            mount("tmpfs", directory, "tmpfs", MountFlags::empty(), c"mode=755").expect(directory);
        }
        NodeCgroups::enter(cgroup).expect("the node's cgroups");
        rustix::system::sethostname(b"node").expect("sethostname");
        busybox(&["ip", "link", "set", "lo", "up"]);
        busybox(&["ip", "address", "add", &format!("{}/32", Self::ADDRESS), "dev", "lo"]);
        let directory = PathBuf::from("/run/test");
        fs::create_dir(&directory).expect("the test's directory");
        Self { sandbar, directory }
    }

    /// `sandbar` with these arguments.
    pub fn sandbar(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        Command::new(&self.sandbar, arguments)
    }

    /// `sandbar` with the words of this line.
    #[must_use]
    pub fn says(&self, line: &str) -> Command {
        self.sandbar(line.split_whitespace())
    }

    /// Any other program of the machine, by name or path.
    pub fn run(
        &self,
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        Command::new(program, arguments)
    }

    /// Gives a command on a terminal of its own.
    #[must_use]
    pub fn terminal(&self, command: &Command) -> Terminal {
        Terminal::start(command)
    }

    /// The program under test.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.sandbar
    }

    /// The program `sandbar-oci`, which is beside `sandbar`.
    #[must_use]
    pub fn oci_program(&self) -> PathBuf {
        self.sandbar.with_file_name("sandbar-oci")
    }

    /// A path in a directory of the test's own.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a file into the test's directory.
    ///
    /// # Panics
    /// If it can't.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file in the test's directory");
        path
    }

    /// Writes a file of the machine's configuration, by its path below `/etc`, which is the node's own from then on.
    ///
    /// # Panics
    /// If it can't.
    pub fn configure(&self, path: &str, content: &str) {
        let (upper, work) = (self.path("etc"), self.path("etc.work"));
        if !upper.exists() {
            fs::create_dir(&upper).and_then(|()| fs::create_dir(&work)).expect("directories");
            let (upper, work) = (upper.display(), work.display());
            let options = format!("lowerdir=/etc,upperdir={upper},workdir={work}\0");
            let options = CStr::from_bytes_until_nul(options.as_bytes()).expect("one NUL");
            mount("overlay", "/etc", "overlay", MountFlags::empty(), options).expect("overlay");
        }
        let path = Path::new("/etc").join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, content).expect("a file of configuration");
    }

    /// Brings an image in, with instructions as in a Dockerfile.
    pub fn import(&self, name: &str, rootfs: Rootfs, changes: &[&str]) {
        let archive = self.file("import.tar", rootfs.into_archive());
        let mut arguments = vec!["import".to_owned()];
        for change in changes {
            arguments.extend(["--change".to_owned(), (*change).to_owned()]);
        }
        arguments.extend([archive.display().to_string(), name.to_owned()]);
        self.sandbar(arguments).ok();
    }

    /// Brings the image `busybox` in: a shell, the usual tools, some users.
    pub fn has_busybox(&self) {
        self.import("busybox", Rootfs::busybox(), &[r#"CMD ["sh"]"#]);
    }

    /// Brings the image `nginx` in.
    pub fn has_nginx(&self) {
        self.import("nginx", Rootfs::nginx(), &[r#"CMD ["nginx", "-g", "daemon off;"]"#]);
    }

    /// Brings the image `blog` in: the small web application, and busybox's tools.
    ///
    /// # Panics
    /// If it was not built.
    pub fn has_blog(&self) {
        let program = fs::read(beside_sandbar("blog")).expect("blog, beside sandbar");
        let rootfs = Rootfs::busybox().file("blog", 0o755, &program);
        self.import("blog", rootfs, &[r#"CMD ["/blog"]"#]);
    }

    /// What `inspect` says of a container, a pod or an image.
    ///
    /// # Panics
    /// If it is not one object in a list.
    #[track_caller]
    #[must_use]
    pub fn inspect(&self, name: &str) -> Value {
        one(&self.sandbar(["inspect", name]).ok())
    }

    /// What `pod inspect` says of a pod.
    ///
    /// # Panics
    /// If it is not one object in a list.
    #[track_caller]
    #[must_use]
    pub fn inspect_pod(&self, name: &str) -> Value {
        one(&self.sandbar(["pod", "inspect", name]).ok())
    }

    /// A container's first process.
    ///
    /// # Panics
    /// If it has none.
    #[track_caller]
    #[must_use]
    pub fn process(&self, container: &str) -> Process {
        let found = self.inspect(container);
        let pid = found["State"]["Pid"].as_i64().filter(|pid| *pid > 0);
        Process::of(pid.unwrap_or_else(|| panic!("{container} has no process: {found}")))
    }

    /// A container's state, in one word.
    #[track_caller]
    #[must_use]
    pub fn state(&self, container: &str) -> String {
        self.inspect(container)["State"]["Status"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a container is in a state.
    #[track_caller]
    pub fn becomes(&self, container: &str, state: &str) {
        let look = || (self.state(container) == state).then_some(());
        until(&format!("that {container} is {state}"), SOON, look);
    }

    /// Waits until a container has printed this.
    #[track_caller]
    pub fn prints(&self, container: &str, text: &str) {
        let look = || self.sandbar(["logs", container]).ok().contains(text).then_some(());
        until(&format!("that {container} prints {text:?}"), SOON, look);
    }

    /// The address of a container.
    #[track_caller]
    #[must_use]
    pub fn address(&self, container: &str) -> String {
        let found = self.inspect(container);
        found["NetworkSettings"]["IPAddress"].as_str().unwrap_or_default().to_owned()
    }

    /// The directories of all pods.
    #[must_use]
    pub fn pods(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir("/run/sandbar/pods").into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).collect()
    }

    /// The supervisor of a container's pod, or of a pod.
    ///
    /// # Panics
    /// If there is none.
    #[track_caller]
    #[must_use]
    pub fn supervisor(&self, name: &str) -> Process {
        let found = self.inspect(name);
        let of = |pod: &Path| {
            let id = found["Id"].as_str().unwrap_or_default();
            pod.ends_with(id) || pod.join("containers").join(id).exists()
        };
        let pod = self.pods().into_iter().find(|pod| of(pod)).expect("the pod's directory");
        let status = fs::read_to_string(pod.join("status.json")).expect("the pod's status");
        let status: Value = serde_json::from_str(&status).expect("JSON");
        Process::of(status["supervisor"].as_i64().expect("a supervisor"))
    }

    /// Shows what is there, for who reads why a test failed.
    pub(crate) fn tell(&self) {
        for line in ["ps -a --pod", "pod ps -a"] {
            println!("{}", self.says(line).run());
        }
    }
}

fn one(json: &str) -> Value {
    match serde_json::from_str(json) {
        Ok(Value::Array(list)) if list.len() == 1 => list[0].clone(),
        _ => panic!("not one object in a JSON array:\n{json}"),
    }
}

/// The program under test.
fn sandbar() -> PathBuf {
    let found = match std::env::var_os("SANDBAR_BIN") {
        Some(path) => PathBuf::from(path),
        None => beside_sandbar("sandbar"),
    };
    let missing = "is not there: cargo build -p sandbar first, or name it in SANDBAR_BIN";
    assert!(found.is_file(), "{} {missing}", found.display());
    found.canonicalize().expect("the program's path")
}

/// A program of the workspace, which is built into the folder above that of the tests.
pub(crate) fn beside_sandbar(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("this program's path");
    own.ancestors().nth(2).expect("the target folder").join(name)
}

fn busybox(arguments: &[&str]) {
    let mut command = std::process::Command::new("/bin/busybox");
    let status = command.args(arguments).stdin(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "busybox {}", arguments.join(" "));
}
