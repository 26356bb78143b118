//! The races of `races.rs` by both ways in: `sandbar run --rootfs` and `sandbar oci run`, on a root filesystem in
//! which a neighbour exchanges names without end.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use sandbar_tests::{Bundle, Command, Node, Untouched, race, tests};
use serde_json::json;

tests! {
    row_3_the_null_device_is_swapped_under_run,
    row_3_the_null_device_is_swapped_under_oci,
    row_5_proc_is_swapped_under_run,
    row_5_proc_is_swapped_under_oci,
    row_6_dev_is_swapped_under_run,
    row_6_dev_is_swapped_under_oci,
    row_7_a_target_is_swapped_under_run,
    row_7_a_target_is_swapped_under_oci,
    row_8_the_working_directory_is_swapped_under_run,
    row_8_the_working_directory_is_swapped_under_oci,
    row_9_the_account_file_is_swapped_under_run,
    row_9_the_account_file_is_swapped_under_oci,
    row_2_the_program_is_swapped_under_run,
    row_2_the_program_is_swapped_under_oci,
}

/// How often each race is run at least.
const TURNS: usize = 100;

/// What a container sees of the host, and where its volume is. Each is asked in one call.
const LOOK: &str = "\
for d in /proc /other; do \
for f in timer_list keys kcore; do [ -f $d/$f ] && echo breach; done; \
{ true >>$d/sys/kernel/core_pattern; } 2>/dev/null && echo breach; done; \
for d in /data /other /work /run/test/host; do \
[ -e $d/secret ] && echo breach; [ -e $d/sub/secret ] && echo breach; done; \
if [ -e /run/test/host/sub/mine ] || [ $(pwd) = /run/test/host/new ] || [ -d /other/empty ]; then echo elsewhere; else echo started; fi";

/// Which way in.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Run,
    Oci,
}

/// What a name is exchanged for.
#[derive(Clone, Copy)]
enum Against {
    /// A link that leads there.
    Link(&'static str),
    /// A directory whose null device leads to what a neighbour would write to.
    FalseDev,
    /// A FIFO.
    Fifo,
}

/// Exchanges `one` and another name under containers that are started in one of the ways.
fn raced(node: &Node, way: Way, one: &str, against: Against, outcomes: &[&'static str]) {
    let host = node.path("host");
    fs::create_dir_all(host.join("sub")).expect("a directory");
    fs::write(host.join("secret"), "of the host").expect("a file");
    let untouched = Untouched::new(&host);
    let source = node.path("source");
    fs::create_dir(&source).expect("a directory");
    fs::write(source.join("mine"), "").expect("a file");
    let bundle = Bundle::new(node, "b").program(&["sh", "-c", LOOK]);
    if !bundle.in_root(one).exists() {
        fs::create_dir(bundle.in_root(one)).expect("a directory");
    }
    let other = bundle.in_root("other");
    match against {
        Against::Link(target) => symlink(target, &other).expect("a link"),
        Against::FalseDev => {
            fs::create_dir(bundle.in_root(one).join("empty")).expect("a directory");
            fs::create_dir(&other).expect("a directory");
            symlink("/proc/sys/kernel/core_pattern", other.join("null")).expect("a link");
        }
        Against::Fifo => {
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, &other, kind, 0o666.into(), 0).expect("a FIFO");
        }
    }
    let work = one == "work";
    let command: Command = match way {
        Way::Run => {
            let volume = format!("{}:/data/sub", source.display());
            let run = node.says("run --rm --net none --security-opt no-new-privileges -v");
            let run = run.with([volume.as_str(), if work { "-w=/work/new" } else { "-w=/" }]);
            run.with(["--rootfs"]).with([bundle.in_root("")]).with(["sh", "-c", LOOK])
        }
        Way::Oci => {
            let mount = json!({ "destination": "/data/sub", "type": "bind", "source": source, "options": ["rbind"] });
            let bundle = bundle.adding("/mounts", mount);
            let cwd = json!(if work { "/work/new" } else { "/" });
            bundle.with("/process/cwd", cwd).run(node, "a")
        }
    };
    let paths = (node.path("b/rootfs").join(one), other);
    race((&paths.0, &paths.1), TURNS, outcomes, || {
        let output = command.run();
        assert!(output.elapsed.as_secs() < 5, "it waited for somebody: {output}");
        match output.stdout().trim() {
            "started" => "started",
            "elsewhere" => "started at another place",
            "" => "refused",
            _ => panic!("{output}"),
        }
    });
    untouched.is_as_before();
}

const UP: &str = "../../../../../../run/test/host";

fn row_3_the_null_device_is_swapped_under_run(node: &Node) {
    raced(node, Way::Run, "dev", Against::FalseDev, &["started", "started at another place"]);
}

fn row_3_the_null_device_is_swapped_under_oci(node: &Node) {
    raced(node, Way::Oci, "dev", Against::FalseDev, &["started", "started at another place"]);
}

fn row_5_proc_is_swapped_under_run(node: &Node) {
    raced(node, Way::Run, "proc", Against::Link(UP), &["started", "refused"]);
}

fn row_5_proc_is_swapped_under_oci(node: &Node) {
    raced(node, Way::Oci, "proc", Against::Link(UP), &["started", "refused"]);
}

fn row_6_dev_is_swapped_under_run(node: &Node) {
    raced(node, Way::Run, "dev", Against::Link("/run/test/host"), &["started", "refused"]);
}

fn row_6_dev_is_swapped_under_oci(node: &Node) {
    raced(node, Way::Oci, "dev", Against::Link("/run/test/host"), &["started", "refused"]);
}

fn row_7_a_target_is_swapped_under_run(node: &Node) {
    raced(node, Way::Run, "data", Against::Link(UP), &["started", "started at another place"]);
}

fn row_7_a_target_is_swapped_under_oci(node: &Node) {
    raced(node, Way::Oci, "data", Against::Link(UP), &["started", "started at another place"]);
}

fn row_8_the_working_directory_is_swapped_under_run(node: &Node) {
    raced(node, Way::Run, "work", Against::Link(UP), &["started", "started at another place"]);
}

fn row_8_the_working_directory_is_swapped_under_oci(node: &Node) {
    raced(node, Way::Oci, "work", Against::Link(UP), &["started", "started at another place"]);
}

fn row_9_the_account_file_is_swapped_under_run(node: &Node) {
    raced(node, Way::Run, "etc/passwd", Against::Fifo, &["started", "refused"]);
}

fn row_9_the_account_file_is_swapped_under_oci(node: &Node) {
    raced(node, Way::Oci, "etc/passwd", Against::Fifo, &["started", "refused"]);
}

/// A neighbour who tries to write to every program that it sees but its own.
const STEAL: &str = "\
while :; do for e in /proc/[0-9]*/exe; do \
case $(readlink $e) in /bin/busybox|'') ;; *) { echo >>$e; } 2>/dev/null && echo written | tee /written;; esac; \
done; done";

/// Exchanges a script for one that names whatever runs it as its interpreter, under `command`.
fn stolen(node: &Node, bundle: &Bundle, command: &Command) {
    let before = fs::read(node.program()).expect("our program");
    let paths = (bundle.in_root("prog"), bundle.in_root("other"));
    for (path, text) in [(&paths.0, "#!/bin/busybox echo\n"), (&paths.1, "#!/proc/self/exe\n")] {
        fs::write(path, text).expect("a script");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    race((&paths.0, &paths.1), TURNS, &["started", "something else"], || {
        if command.run().stdout() == "/prog started\n" { "started" } else { "something else" }
    });
    assert!(fs::read(node.program()).expect("our program") == before, "our program was changed");
}

fn row_2_the_program_is_swapped_under_run(node: &Node) {
    let bundle = Bundle::new(node, "b");
    let root = bundle.in_root("");
    node.says("run -d --name a --net none --rootfs").with([&root]).with(["sh", "-c", STEAL]).ok();
    let run = node.says("run --rm --net none --pid container:a --rootfs").with([&root]);
    stolen(node, &bundle, &run.with(["/prog", "started"]));
    assert_eq!(node.says("logs a").ok(), "");
    node.says("rm -f a").ok();
}

fn row_2_the_program_is_swapped_under_oci(node: &Node) {
    let bundle = Bundle::new(node, "b").with("/root/readonly", json!(false));
    let bundle = bundle.program(&["sh", "-c", STEAL]);
    bundle.create(node, "a");
    node.says("oci start a").ok();
    stolen(node, &bundle, &node.says("oci exec a /prog started"));
    assert!(!bundle.in_root("written").exists(), "something was written to");
    node.says("oci delete --force a").ok();
}
