//! Rows of the list of vulnerabilities in which somebody wins a race: a neighbour who may write to a root filesystem
//! or a volume exchanges a directory for a link to the host's, or for another directory, while containers are
//! started, thousands of times. The containers are started by the runtime itself, without a command line.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oci_spec::runtime::Spec;
use rustix::process::{WaitId, WaitIdOptions};
use sandbar_runtime::{
    Checked, Container, Event, PidNamespace, Placement, Process, Rootfs, Starting, Stdio, start,
    start_in,
};
use sandbar_tests::{Bundle, Node, Untouched, alone, race, tests};
use serde_json::json;

tests! {
    row_3_the_directory_of_the_null_device_is_swapped,
    row_3_the_null_device_of_an_image_is_swapped,
    row_4_the_place_of_the_terminal_is_swapped,
    row_4_the_place_of_the_terminal_is_swapped_at_exec,
    row_5_proc_is_swapped_for_a_link,
    row_5_proc_is_swapped_for_a_directory,
    row_6_dev_is_swapped_for_a_link,
    row_7_a_target_is_swapped_for_a_link,
    row_7_a_target_in_a_volume_is_swapped_for_a_link,
    row_8_the_working_directory_is_swapped_for_a_link,
    row_8_etc_is_swapped_for_a_link,
    row_9_the_account_file_is_swapped_for_a_fifo,
}

/// How often each race is run at least.
const TURNS: usize = 600;

/// Containers of one bundle, and the host that they must not reach.
struct Ground {
    bundle: Bundle,
    spec: Spec,
    place: PathBuf,
    host: Untouched,
}

/// The host's directory, as every link in these tests names it.
const HOST: &str = "/run/test/host";

impl Ground {
    /// Prepares the race of `script` in a container; `change` is made to its specification.
    fn new(node: &Node, script: &str, change: impl FnOnce(Bundle) -> Bundle) -> Self {
        let host = node.path("host");
        fs::create_dir_all(host.join("sub")).expect("a directory");
        fs::set_permissions(&host, fs::Permissions::from_mode(0o751)).expect("chmod");
        for name in ["secret", "console", "null", "hosts", "passwd"] {
            fs::write(host.join(name), "of the host").expect("a file");
        }
        let host = Untouched::new(&host);
        let bundle = Bundle::new(node, "b").program(&["sh", "-c", script]);
        let bundle = change(bundle);
        let place = node.path("mounted");
        fs::create_dir(&place).expect("a directory");
        let text = fs::read(bundle.path().join("config.json")).expect("config.json");
        let spec = serde_json::from_slice(&text).expect("a specification");
        alone();
        Self { bundle, spec, place, host }
    }

    /// Exchanges `one` and `other` of the root filesystem while containers are started. `outcome` tells what a
    /// container's exit code means; one that is refused is "refused".
    fn raced(
        &self,
        (one, other): (&str, &str),
        outcomes: &[&'static str],
        outcome: fn(i32) -> &'static str,
    ) {
        let paths = (self.bundle.in_root(one), self.bundle.in_root(other));
        race((&paths.0, &paths.1), TURNS, outcomes, || match self.turn() {
            Ok(code) => outcome(code),
            Err(_why) => "refused",
        });
        self.host.is_as_before();
    }

    /// One container, from its start to its end: its exit code, or why there was none.
    fn turn(&self) -> Result<i32, String> {
        let mut starting = self.start(streams())?;
        follow(&mut starting)?;
        Ok(wait(&starting))
    }

    fn start(&self, stdio: Stdio) -> Result<Starting, String> {
        let placement = Placement {
            pid_namespace: PidNamespace::New,
            into_cgroup: None,
            cgroup_tasks: Vec::new(),
        };
        let container = || {
            Ok(Container {
                spec: Checked::new(self.spec.clone())?,
                rootfs: Rootfs::Directory(self.bundle.path().join("rootfs")),
                mount_point: self.place.clone(),
                stdio,
                seccomp: false,
                state: None,
                pivot: true,
                gate: None,
                preserved_descriptors: 0,
                new_keyring: true,
            })
        };
        start(&placement, container).map_err(|error| error.to_string())
    }
}

/// Streams from and to nowhere.
fn streams() -> Stdio {
    let null = || File::options().read(true).write(true).open("/dev/null").expect("/dev/null");
    Stdio::Descriptors([null().into(), null().into(), null().into()])
}

/// Follows a start until its program runs: its terminal, if it has one, or why it does not.
fn follow(starting: &mut Starting) -> Result<Option<OwnedFd>, String> {
    let mut terminal = None;
    loop {
        match starting.next_event().expect("an event") {
            Event::Told(_) => {}
            Event::Terminal(other) => terminal = Some(other),
            Event::Running => return Ok(terminal),
            Event::Failed(error) => {
                wait(starting);
                return Err(error.to_string());
            }
            Event::Prepared | Event::Created => unreachable!("there is no gate"),
        }
    }
}

/// The exit code of a process.
fn wait(starting: &Starting) -> i32 {
    let process = WaitId::PidFd(starting.pidfd.as_fd());
    let status = rustix::process::waitid(process, WaitIdOptions::EXITED).expect("a child");
    status.and_then(|status| status.exit_status()).unwrap_or(-1)
}

/// Ends a process.
fn kill(starting: &Starting) {
    rustix::process::pidfd_send_signal(&starting.pidfd, rustix::process::Signal::KILL)
        .expect("a living process");
    wait(starting);
}

/// Whether a terminal is one: what else was opened in its place?
fn is_devpts(terminal: &OwnedFd) -> bool {
    rustix::fs::fstatfs(terminal).is_ok_and(|it| it.f_type == 0x1cd1)
}

fn made(path: &Path) {
    fs::create_dir_all(path).expect("a directory");
}

fn linked(target: &str, path: &Path) {
    symlink(target, path).expect("a link");
}

/// What is masked or read-only must be so wherever the container may look for it. Each is asked in one call, for what
/// it is asked of may be swapped before the next.
const LOOK: &str = "\
for d in /proc /other; do \
for f in timer_list keys kcore; do [ -f $d/$f ] && exit 66; done; \
{ true >>$d/sys/kernel/core_pattern; } 2>/dev/null && exit 67; done; \
{ [ -f /other/version ] || [ -d /other/empty ]; } && exit 1; exit 0";

fn seen(code: i32) -> &'static str {
    match code {
        0 => "started",
        1 => "started at another place",
        66 => panic!("what is masked or the host's was seen"),
        67 => panic!("what is read-only can be written"),
        _ => panic!("{code}"),
    }
}

fn row_3_the_directory_of_the_null_device_is_swapped(node: &Node) {
    let before = fs::read("/proc/sys/kernel/core_pattern").expect("core_pattern");
    let ground = Ground::new(node, LOOK, |bundle| {
        made(&bundle.in_root("dev/empty"));
        made(&bundle.in_root("other"));
        linked("/proc/sys/kernel/core_pattern", &bundle.in_root("other/null"));
        bundle
    });
    ground.raced(("dev", "other"), &["started", "started at another place"], seen);
    assert_eq!(fs::read("/proc/sys/kernel/core_pattern").expect("core_pattern"), before);
}

fn row_3_the_null_device_of_an_image_is_swapped(node: &Node) {
    let before = fs::read("/proc/sys/kernel/core_pattern").expect("core_pattern");
    let ground = Ground::new(node, LOOK, |bundle| {
        made(&bundle.in_root("dev"));
        fs::write(bundle.in_root("dev/null"), "").expect("a file");
        linked("/proc/sys/kernel/core_pattern", &bundle.in_root("dev/evil"));
        // No /dev of the container's own: the host's nodes are bound onto the image's files.
        bundle
            .with("/mounts", json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]))
    });
    ground.raced(("dev/null", "dev/evil"), &["started", "refused"], seen);
    assert_eq!(fs::read("/proc/sys/kernel/core_pattern").expect("core_pattern"), before);
}

/// A directory that looks like /dev, in which all leads to the host.
fn false_dev(bundle: &Bundle) {
    made(&bundle.in_root("dev"));
    made(&bundle.in_root("evil/pts"));
    linked(&format!("{HOST}/console"), &bundle.in_root("evil/console"));
    linked(&format!("{HOST}/null"), &bundle.in_root("evil/null"));
    linked("/proc/self/mem", &bundle.in_root("evil/pts/0"));
    fs::write(bundle.in_root("evil/pts/ptmx"), "").expect("a file");
}

fn row_4_the_place_of_the_terminal_is_swapped(node: &Node) {
    let ground = Ground::new(node, "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] || exit 66", |bundle| {
        false_dev(&bundle);
        bundle.with("/process/terminal", json!(true))
    });
    let paths = (ground.bundle.in_root("dev"), ground.bundle.in_root("evil"));
    race((&paths.0, &paths.1), TURNS, &["started", "refused"], || {
        let mut starting = ground.start(Stdio::Terminal).expect("a child");
        let Ok(terminal) = follow(&mut starting) else { return "refused" };
        let terminal = terminal.expect("a terminal");
        assert!(is_devpts(&terminal), "the terminal is none");
        seen(wait(&starting))
    });
    ground.host.is_as_before();
}

fn row_4_the_place_of_the_terminal_is_swapped_at_exec(node: &Node) {
    let ground = Ground::new(node, "sleep 1000", |bundle| {
        made(&bundle.in_root("dev"));
        false_dev(&bundle);
        bundle.with("/root/readonly", json!(false))
    });
    let mut container = ground.start(streams()).expect("a child");
    follow(&mut container).expect("a container");
    let mut spec = ground.spec.process().clone().expect("a process");
    let script = "[ -t 0 ] && [ -t 1 ] && [ -t 2 ] || exit 66";
    spec.set_args(Some(["sh", "-c", script].map(str::to_owned).into()));
    let paths = (ground.bundle.in_root("dev"), ground.bundle.in_root("evil"));
    race((&paths.0, &paths.1), TURNS, &["started", "refused"], || {
        let process = || {
            Ok(Process {
                spec: spec.clone(),
                stdio: Stdio::Terminal,
                seccomp: false,
                profile: None,
                state: None,
                preserved_descriptors: 0,
                new_keyring: true,
            })
        };
        let mut starting =
            start_in(container.pidfd.as_fd(), None, Vec::new(), process).expect("a child");
        let Ok(terminal) = follow(&mut starting) else { return "refused" };
        let terminal = terminal.expect("a terminal");
        assert!(is_devpts(&terminal), "the terminal is none");
        seen(wait(&starting))
    });
    kill(&container);
    ground.host.is_as_before();
}

/// A parameter of the container's own network, which is written to a procfs or nowhere.
fn with_sysctl(bundle: Bundle) -> Bundle {
    bundle.with("/linux/sysctl", json!({ "net.ipv4.ip_default_ttl": "77" }))
}

fn row_5_proc_is_swapped_for_a_link(node: &Node) {
    let ground = Ground::new(node, LOOK, |bundle| {
        made(&bundle.in_root("proc"));
        linked("../../../../../run/test/host", &bundle.in_root("other"));
        with_sysctl(bundle)
    });
    ground.raced(("proc", "other"), &["started", "refused"], seen);
}

fn row_5_proc_is_swapped_for_a_directory(node: &Node) {
    let ground = Ground::new(node, LOOK, |bundle| {
        made(&bundle.in_root("proc"));
        made(&bundle.in_root("other/sys/net/ipv4"));
        let target = format!("{HOST}/secret");
        linked(&target, &bundle.in_root("other/sys/net/ipv4/ip_default_ttl"));
        with_sysctl(bundle)
    });
    ground.raced(("proc", "other"), &["started", "started at another place"], seen);
}

fn row_6_dev_is_swapped_for_a_link(node: &Node) {
    let ground = Ground::new(node, LOOK, |bundle| {
        made(&bundle.in_root("dev"));
        linked(HOST, &bundle.in_root("other"));
        bundle
    });
    ground.raced(("dev", "other"), &["started", "refused"], seen);
}

/// Where the volume is: at its place, or where the link leads inside the root; the host's is nowhere.
const FIND: &str = "\
for d in /data /other /run/test/host; do \
[ -e $d/secret ] && exit 66; [ -e $d/sub/secret ] && exit 66; done; \
[ -e /run/test/host/sub/mine ] && exit 1; exit 0";

fn volume(node: &Node, destination: &str) -> serde_json::Value {
    let source = node.path("source");
    made(&source);
    fs::write(source.join("mine"), "").expect("a file");
    json!({ "destination": destination, "type": "bind", "source": source, "options": ["rbind"] })
}

fn row_7_a_target_is_swapped_for_a_link(node: &Node) {
    let ground = Ground::new(node, FIND, |bundle| {
        made(&bundle.in_root("data"));
        linked("../../../../../run/test/host", &bundle.in_root("other"));
        bundle.adding("/mounts", volume(node, "/data/sub"))
    });
    ground.raced(("data", "other"), &["started", "started at another place"], seen);
}

fn row_7_a_target_in_a_volume_is_swapped_for_a_link(node: &Node) {
    // As in CVE-2021-30465: the volume is shared, and its neighbour swaps what the next volume is mounted on.
    let shared = node.path("shared");
    made(&shared.join("data/sub"));
    linked(HOST, &shared.join("other"));
    let script = FIND.replace("/data", "/shared/data").replace("/other", "/shared/other");
    let ground = Ground::new(node, &script, |bundle| {
        let first = json!({ "destination": "/shared", "type": "bind", "source": shared, "options": ["rbind"] });
        let bundle = bundle.adding("/mounts", first);
        bundle.adding("/mounts", volume(node, "/shared/data/sub"))
    });
    let paths = (shared.join("data"), shared.join("other"));
    race((&paths.0, &paths.1), TURNS, &["started", "started at another place"], || {
        match ground.turn() {
            Ok(code) => seen(code),
            Err(_why) => "refused",
        }
    });
    ground.host.is_as_before();
}

fn row_8_the_working_directory_is_swapped_for_a_link(node: &Node) {
    // The name may have changed since it was entered.
    let script =
        "case $(pwd) in /work/new|/other/new) exit 0;; /run/test/host/new) exit 1;; esac; exit 66";
    let ground = Ground::new(node, script, |bundle| {
        made(&bundle.in_root("work"));
        linked(HOST, &bundle.in_root("other"));
        bundle.with("/process/cwd", json!("/work/new"))
    });
    ground.raced(("work", "other"), &["started", "started at another place"], seen);
}

fn row_8_etc_is_swapped_for_a_link(node: &Node) {
    let script = "for d in /etc /other /run/test/host; do [ -e $d/secret ] && exit 66; done; \
                  [ -s /run/test/host/hosts ] && exit 1; exit 0";
    let ground = Ground::new(node, script, |bundle| {
        linked("../../../../../run/test/host", &bundle.in_root("other"));
        let hosts = node.file("hosts", "mounted");
        let mount = json!({ "destination": "/etc/hosts", "type": "bind", "source": hosts, "options": ["bind"] });
        bundle.adding("/mounts", mount)
    });
    ground.raced(("etc", "other"), &["started", "started at another place"], seen);
}

fn row_9_the_account_file_is_swapped_for_a_fifo(node: &Node) {
    // Not by a program that would read the account file itself.
    let ground = Ground::new(node, "[ -O /mine ] || exit 66", |bundle| {
        fs::write(bundle.in_root("mine"), "").expect("a file");
        std::os::unix::fs::chown(bundle.in_root("mine"), Some(1000), None).expect("chown");
        let fifo = bundle.in_root("etc/fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o666.into(), 0)
            .expect("a FIFO");
        bundle
    });
    let mut spec = ground.spec.clone();
    spec.process_mut().as_mut().expect("a process").user_mut().set_username(Some("alice".into()));
    let ground = Ground { spec, ..ground };
    let paths = (ground.bundle.in_root("etc/passwd"), ground.bundle.in_root("etc/fifo"));
    let mut longest = Duration::ZERO;
    race((&paths.0, &paths.1), TURNS, &["started", "refused"], || {
        let since = Instant::now();
        let outcome = match ground.turn() {
            Ok(code) => seen(code),
            Err(why) => {
                assert!(why.contains("/etc/passwd"), "{why}");
                "refused"
            }
        };
        longest = longest.max(since.elapsed());
        outcome
    });
    assert!(longest < Duration::from_secs(2), "somebody waited: {longest:?}");
    ground.host.is_as_before();
}
