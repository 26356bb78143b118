//! What can't be done: a message of one or two lines, an exit code, and nothing left behind.

use std::fs;

use sandbar_tests::{Node, Rootfs, tests};

tests! {
    what_is_not_there_is_named,
    what_makes_no_sense_is_explained,
    who_is_not_root_is_told,
    without_a_firewall_there_is_a_clear_error_and_other_networks_work,
    without_cgroups_it_runs_and_a_limit_is_an_error_or_told,
    contradictions_are_refused,
    an_image_without_a_command_needs_one,
    a_message_is_never_forged,
    help_and_version,
    row_31_a_path_of_70_kib_is_a_clean_error,
}

fn what_is_not_there_is_named(node: &Node) {
    node.has_busybox();
    for (line, code) in [
        ("run --rm nothing true", 125),
        ("create nothing", 125),
        ("start nothing", 125),
        ("exec nothing true", 125),
        ("stop nothing", 1),
        ("kill nothing", 1),
        ("rm nothing", 1),
        ("wait nothing", 1),
        ("logs nothing", 1),
        ("pod start nothing", 1),
        ("pod stop nothing", 1),
        ("pod rm nothing", 1),
        ("rmi nothing", 1),
        ("tag nothing else", 1),
        ("run --rm --pod nothing busybox true", 125),
        ("run --rm --net=container:nothing busybox true", 125),
        ("run --rm --ipc=container:nothing busybox true", 125),
        ("run --rm --pid=container:nothing busybox true", 125),
        ("run --rm --uts=pod:nothing busybox true", 125),
        ("run --rm --net=nothing busybox true", 125),
        ("run --rm --rootfs /nothing true", 125),
        ("run --rm -v /nothing:/data busybox true", 125),
        ("run --rm --env-file /nothing busybox true", 125),
    ] {
        let output = node.says(line).refused(code, &["nothing"]);
        assert!(output.stderr().contains("cannot "), "what was asked: {output}");
    }
    for line in ["inspect nothing", "pod inspect nothing"] {
        let output = node.says(line).code(1);
        assert_eq!(output.stdout(), "[]\n", "still JSON");
        assert!(output.stderr().contains("nothing"), "{output}");
    }
    // Each name is tried; the first failure counts.
    node.says("create --name a busybox true").ok();
    let output = node.says("rm nothing a").code(1);
    assert_eq!(output.stdout(), "a\n");
}

fn what_makes_no_sense_is_explained(node: &Node) {
    node.says("run --no-such-flag x").refused(125, &["--no-such-flag", "sandbar run --help"]);
    node.says("ps --no-such-flag").refused(2, &["--no-such-flag", "sandbar ps --help"]);
    node.says("pod create --no-such-flag")
        .refused(2, &["--no-such-flag", "sandbar pod create --help"]);
    node.says("stopp x").refused(2, &["stopp", "'stop'"]);
    node.says("pod strat x").refused(2, &["strat", "start"]);
    node.says("run").refused(125, &["--help"]);
    node.says("pod").refused(2, &["--help"]);
    node.says("stop").refused(2, &["--help"]);
    node.sandbar([""; 0]).refused(2, &["--help"]);
    node.sandbar(["run", "--net", "no where", "x"]).refused(125, &["no where", "network"]);
    node.says("run -e =x x").refused(125, &["name"]);
    node.says("run -w relative pause").refused(125, &["relative", "absolute"]);
    node.says("run --cap-add CAP_EVERYTHING pause").refused(125, &["CAP_EVERYTHING"]);
    node.says("run --security-opt seccomp=unconfined pause").refused(125, &["seccomp=unconfined"]);
    node.says("ps --format yaml").refused(2, &["yaml"]);
    node.says("stop -t soon x").refused(2, &["soon"]);
}

fn who_is_not_root_is_told(node: &Node) {
    let program = node.path("sandbar");
    fs::copy(node.program(), &program).expect("a copy");
    let busybox = |line: &str| {
        let words = ["setuidgid", "nobody", "/run/test/sandbar"];
        let own = ["nobody"; 0];
        node.run("/bin/busybox", words).with(own).with(line.split(' '))
    };
    if node.run("/bin/busybox", ["setuidgid", "nobody", "true"]).run().exit_code() != 0 {
        // The applet may be left out of this busybox: util-linux has another.
        let line = ["--reuid=65534", "--regid=65534", "--clear-groups", "/run/test/sandbar", "ps"];
        node.run("setpriv", line).refused(1, &["root"]);
        let line = [
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "/run/test/sandbar",
            "run",
            "pause",
        ];
        node.run("setpriv", line).refused(125, &["root"]);
        return;
    }
    busybox("ps").refused(1, &["root"]);
    busybox("run pause").refused(125, &["root"]);
    assert_eq!(busybox("version").code(0).stderr(), "");
}

fn without_a_firewall_there_is_a_clear_error_and_other_networks_work(node: &Node) {
    node.has_busybox();
    // The capability to speak to the firewall is taken away, as in many containers.
    let without = ["--inh-caps=-net_admin", "--bounding-set=-net_admin"];
    let run = |line: &str| {
        let program = node.program().as_os_str().to_owned();
        node.run("setpriv", without).with([program]).with(line.split(' '))
    };
    run("run --rm -p 8080:80 busybox true").refused(125, &["--net=none"]);
    // To bring loopback up takes the capability too: it is told, or does not matter.
    let none = run("run --rm --net none busybox echo fine").run();
    assert!(none.stdout() == "fine\n" || none.stderr().contains("lo"), "{none}");
    assert_eq!(run("run --rm --net host busybox echo fine").ok(), "fine\n");
    assert_eq!(node.says("ps -aq").ok(), "");
    assert_eq!(node.says("pod ps -aq").ok(), "", "half a pod was left");
}

fn without_cgroups_it_runs_and_a_limit_is_an_error_or_told(node: &Node) {
    node.has_busybox();
    let line = |line: &str| {
        let hide = "mount -t tmpfs tmpfs /sys/fs/cgroup && exec \"$@\"";
        let words = ["--mount", "/bin/sh", "-c", hide, "sh"];
        node.run("unshare", words).with([node.program()]).with(line.split(' '))
    };
    let plain = line("run --rm --net none busybox echo fine").run();
    assert_eq!(plain.stdout(), "fine\n", "{plain}");
    let limited = line("run --rm --net none --memory 64m busybox echo fine").run();
    let told = limited.stderr().contains("memory") || limited.stderr().contains("cgroup");
    assert!(told && matches!(limited.exit_code(), 0 | 125), "{limited}");
}

fn contradictions_are_refused(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p").ok();
    node.says("run --rm --pod p -p 8080:80 busybox true").refused(125, &["-p", "pod create"]);
    node.says("run --rm --pod p --hostname x busybox true")
        .refused(125, &["--hostname", "pod create"]);
    node.says("run --rm --pod p --net bridge busybox true").refused(125, &["--network"]);
    node.says("run --rm --uts host --hostname x busybox true").refused(125, &["--hostname"]);
    node.says("run --rm --restart always busybox true").refused(125, &["--rm"]);
    node.says("pod create --net container:x").refused(1, &["--network"]);
    node.says("pod create --net none -p 80:80").refused(1, &["--network"]);
    node.says("pod rm p").ok();
}

fn an_image_without_a_command_needs_one(node: &Node) {
    node.import("silent", Rootfs::busybox(), &[]);
    node.says("run --rm silent").refused(125, &["nothing to run"]);
    node.sandbar(["run", "--rm", "--net=none", "--entrypoint", "", "silent", "echo", "said"]).ok();
    let empty = node.sandbar(["run", "--rm", "--net=none", "silent", ""]).run();
    assert!(matches!(empty.exit_code(), 125 | 127), "{empty}");
    assert_eq!(node.says("ps -aq").ok(), "");
}

fn a_message_is_never_forged(node: &Node) {
    node.has_busybox();
    let evil = "x\nsandbar: all is well\n\u{1b}[2J";
    for arguments in
        [vec!["inspect", evil], vec!["run", "--rm", evil], vec!["run", "--rm", "busybox", evil]]
    {
        let output = node.sandbar(&arguments).run();
        assert_ne!(output.exit_code(), 0);
        assert!(output.stderr().lines().count() <= 2, "{output}");
        assert!(!output.stderr().contains('\u{1b}'), "{output}");
    }
    node.sandbar(["create", "--name", "a", "busybox", "echo", evil]).ok();
    let listed = node.says("ps -a --no-trunc").ok();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(!listed.contains('\u{1b}'), "{listed}");
    node.says("rm a").ok();
}

fn help_and_version(node: &Node) {
    for line in ["--help", "run --help", "pod --help", "pod create --help", "exec -h"] {
        let output = node.says(line).code(0);
        assert!(output.stdout().contains("Usage:"), "{output}");
        assert!(output.stdout().lines().all(|line| line.chars().count() <= 80), "{output}");
    }
    assert!(node.says("--version").ok().starts_with("sandbar "));
    assert!(node.says("version").ok().contains(env!("CARGO_PKG_VERSION")));
    assert_ne!(node.says("info").ok(), "");
}

fn row_31_a_path_of_70_kib_is_a_clean_error(node: &Node) {
    node.has_busybox();
    let long = "/a".repeat(35 * 1024);
    let volume = format!("{long}:/data");
    let target = format!("/etc:{long}");
    for arguments in [
        vec!["run", "--rm", "--net=none", "busybox", long.as_str()],
        vec!["run", "--rm", "--net=none", "-w", long.as_str(), "busybox", "true"],
        vec!["run", "--rm", "--net=none", "-v", volume.as_str(), "busybox", "true"],
        vec!["run", "--rm", "--net=none", "-v", target.as_str(), "busybox", "true"],
        vec!["run", "--rm", "--net=none", "--rootfs", long.as_str(), "true"],
        vec!["run", "--rm", "--net=none", "--tmpfs", long.as_str(), "busybox", "true"],
    ] {
        let output = node.sandbar(&arguments).run();
        assert!((125..=127).contains(&output.exit_code()), "{output}");
        assert!(output.stderr().lines().count() <= 2, "{output}");
    }
    node.says("run -d --name a --net none busybox sleep 1000").ok();
    assert_ne!(node.sandbar(["exec", "a", &long]).run().exit_code(), 0);
    assert_ne!(node.sandbar(["exec", "-w", &long, "a", "true"]).run().exit_code(), 0);
    // What is long and right passes whole.
    let argument = "x".repeat(100 * 1024);
    assert_eq!(node.sandbar(["exec", "a", "echo", &argument]).ok().len(), argument.len() + 1);
    assert_eq!(
        node.sandbar(["run", "--rm", "--net=none", "busybox", "echo", &argument]).ok().len(),
        argument.len() + 1
    );
    node.says("rm -f a").ok();
}
