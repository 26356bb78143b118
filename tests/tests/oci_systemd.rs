//! `sandbar oci --systemd-cgroup`: cgroups that a systemd makes, which runs in namespaces of its own.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use sandbar_tests::{Bundle, Command, Node, Process, Running, SOON, tests, until};
use serde_json::json;

tests! {
    a_scope_has_the_limits_and_goes_with_the_container [Systemd],
    without_a_bus_nothing_is_made [Systemd],
    a_unit_that_is_somebody_elses_is_left_alone [Systemd],
    a_container_has_its_cgroup_for_its_own [Systemd],
}

/// systemd with as little as it can be run with: no unit but these, and none of the machine's.
const START: &str = r#"
mkdir -p /sys/fs/cgroup/machine /run/units /run/dbus
cat >/run/units/dbus.socket <<END
[Unit]
DefaultDependencies=no
[Socket]
ListenStream=/run/dbus/system_bus_socket
END
cat >/run/units/dbus.service <<END
[Unit]
DefaultDependencies=no
[Service]
Type=notify
NotifyAccess=main
ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only
END
printf '[Unit]\nDefaultDependencies=no\n' >/run/units/test.target
[ "$1" = bus ] && printf 'Requires=dbus.socket\nAfter=dbus.socket\n' >>/run/units/test.target
echo 0 >/sys/fs/cgroup/machine/cgroup.procs
exec unshare --mount --cgroup sh -c '
    mount -t proc proc /proc
    umount /sys/fs/cgroup
    mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
    mount -t tmpfs tmpfs /usr/lib/systemd/system-generators
    export container=test SYSTEMD_LOG_TARGET=console
    export SYSTEMD_UNIT_PATH=/run/systemd/system.control:/run/systemd/transient:/run/units
    exec systemd --system --unit=test.target --show-status=no
'
"#;

/// A systemd, which ends with what it has started.
struct Systemd<'a> {
    node: &'a Node,
    init: Process,
    unshare: Running,
}

impl<'a> Systemd<'a> {
    fn start(node: &'a Node, bus: &str) -> Self {
        let script = node.file("start", START);
        let unshare = node.run("unshare", ["--pid", "--fork", "--kill-child=KILL", "sh"]);
        let unshare = unshare.with([script]).with([bus]).begin();
        let number = unshare.pid().as_raw_nonzero();
        let children = format!("/proc/{number}/task/{number}/children");
        let init = until("that systemd begins", SOON, || {
            fs::read_to_string(&children).ok()?.trim().parse().ok()
        });
        let systemd = Self { node, init: Process::of(init), unshare };
        let socket =
            if bus == "bus" { "/run/dbus/system_bus_socket" } else { "/run/systemd/private" };
        until("that systemd listens", SOON, || Path::new(socket).exists().then_some(()));
        systemd
    }

    /// A command among its processes: nobody else is to move one from elsewhere.
    fn run(&self, program: &Path, line: &str) -> Command {
        let enter =
            "echo 0 >/sys/fs/cgroup/machine/init.scope/cgroup.procs; exec /usr/bin/nsenter \"$@\"";
        let number = self.init.number().to_string();
        let command =
            self.node.run("/bin/sh", ["-c", enter, "sh", "--all", "--target", &number, "--"]);
        command.with([program]).with(line.split_whitespace())
    }

    fn systemctl(&self, line: &str) -> String {
        self.run(Path::new("systemctl"), line).ok()
    }

    fn sandbar(&self, line: &str) -> Command {
        self.run(self.node.program(), line)
    }

    /// Creates a container of the bundle.
    fn create(&self, bundle: &Bundle, id: &str) -> Command {
        let command = self.sandbar("oci --systemd-cgroup create --bundle");
        command.with([bundle.path()]).with([id])
    }

    fn end(self) {
        self.init.signal(Signal::KILL);
        self.unshare.wait();
    }
}

/// What a file of a unit's cgroup says.
fn file(unit: &str, name: &str) -> String {
    let path = format!("/sys/fs/cgroup/machine/{unit}/{name}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().to_owned()
}

fn limited(node: &Node, path: &str) -> Bundle {
    let limits = json!({
        "memory": { "limit": 64 << 20 }, "pids": { "limit": 1 },
        "cpu": { "shares": 512, "quota": 50_000, "period": 100_000 },
    });
    let bundle = Bundle::new(node, "b").with("/linux/cgroupsPath", json!(path));
    bundle.with("/linux/resources", limits)
}

fn a_scope_has_the_limits_and_goes_with_the_container(node: &Node) {
    let systemd = Systemd::start(node, "bus");
    let bundle = limited(node, "a-b.slice:sandbar:x");
    let bundle =
        bundle.with("/annotations", json!({ "org.systemd.property.TimeoutStopSec": "uint64 7" }));
    systemd.create(&bundle, "x").detached().ok();
    let unit = "a.slice/a-b.slice/sandbar-x.scope";
    let holds = |limits: [(&str, &str); 4]| {
        limits.iter().for_each(|(name, value)| assert_eq!(&file(unit, name), value, "{name}"));
    };
    let asked = [
        ("memory.max", "67108864"),
        ("cpu.max", "50000 100000"),
        ("cpu.weight", "59"),
        ("pids.max", "1"),
    ];
    holds(asked);
    assert_eq!(file(unit, "cgroup.procs").lines().count(), 1, "none but the container's");
    let shown = systemd.systemctl("show sandbar-x.scope");
    for line in ["Delegate=yes", "Slice=a-b.slice", "TimeoutStopUSec=7s", "TasksMax=1"] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    systemd.systemctl("daemon-reload");
    holds(asked);
    systemd.sandbar("oci start x").ok();
    systemd.sandbar("oci update --memory 128m --pids-limit 9 --cpu-quota 20000 x").ok();
    let updated = [
        ("memory.max", "134217728"),
        ("cpu.max", "20000 100000"),
        ("cpu.weight", "59"),
        ("pids.max", "9"),
    ];
    holds(updated);
    systemd.systemctl("daemon-reload");
    holds(updated);
    assert_eq!(systemd.sandbar("oci exec x cat /proc/self/cgroup").ok(), "0::/\n");
    systemd.sandbar("oci kill x KILL").ok();
    until("that the scope ends", SOON, || {
        systemd.systemctl("list-units --all --no-legend sandbar*").is_empty().then_some(())
    });
    systemd.sandbar("oci delete x").ok();
    // One that never ran is stopped by its deletion.
    systemd.create(&bundle, "x").detached().ok();
    systemd.sandbar("oci delete x").ok();
    assert_eq!(systemd.systemctl("list-units --all --no-legend sandbar*"), "");
    systemd.end();
}

fn without_a_bus_nothing_is_made(node: &Node) {
    let systemd = Systemd::start(node, "none");
    let bundle = limited(node, "");
    systemd.create(&bundle, "x").refused(1, &["reach systemd"]);
    assert!(!Path::new("/sys/fs/cgroup/machine/system.slice/sandbar-x.scope").exists());
    systemd.sandbar("oci state x").refused(1, &["does not exist"]);
    systemd.end();
}

fn a_unit_that_is_somebody_elses_is_left_alone(node: &Node) {
    let systemd = Systemd::start(node, "bus");
    let first = limited(node, "a.slice:sandbar:x");
    systemd.create(&first, "x").detached().ok();
    systemd.create(&first, "y").refused(1, &["has processes in it"]);
    let elsewhere = first.with("/linux/cgroupsPath", json!("b.slice:sandbar:x"));
    systemd.create(&elsewhere, "y").refused(1, &["sandbar-x.scope", "already"]);
    let wrong = elsewhere.with("/linux/cgroupsPath", json!("b.slice:sandbar:z"));
    let wrong = wrong.with("/annotations", json!({ "org.systemd.property.Nonsense": "true" }));
    systemd.create(&wrong, "z").refused(1, &["Nonsense"]);
    systemd.sandbar("oci state y").refused(1, &["does not exist"]);
    assert_eq!(systemd.systemctl("is-active sandbar-x.scope"), "active\n");
    systemd.sandbar("oci delete x").ok();
    systemd.end();
}

fn a_container_has_its_cgroup_for_its_own(node: &Node) {
    let systemd = Systemd::start(node, "bus");
    let program = "cd /sys/fs/cgroup && mkdir a && echo 0 >a/cgroup.procs && \
        echo +memory +pids >cgroup.subtree_control && mkdir b && echo 9 >b/pids.max && cat b/pids.max";
    let mounted = json!({
        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev"],
    });
    let bundle = Bundle::new(node, "b").program(&["sh", "-c", program]);
    let bundle = bundle.adding("/mounts", mounted);
    let run = systemd.sandbar("oci --systemd-cgroup run --bundle").with([bundle.path()]);
    assert_eq!(run.with(["x"]).ok(), "9\n");
    assert!(!Path::new("/sys/fs/cgroup/machine/system.slice/sandbar-x.scope").exists());
    systemd.end();
}
