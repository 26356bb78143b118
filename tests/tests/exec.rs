//! Further processes in a running container.

use std::time::Duration;

use rustix::process::Signal;
use sandbar_tests::{Node, SOON, tests, until};

tests! {
    it_is_in_all_of_the_containers_namespaces_and_its_cgroup,
    its_input_and_output_are_the_callers_own,
    it_has_an_environment_a_directory_and_a_user,
    a_caller_that_goes_away_leaves_no_mess,
    a_hundred_at_once,
    it_needs_a_running_container,
    signals_reach_it,
}

fn it_is_in_all_of_the_containers_namespaces_and_its_cgroup(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a busybox sleep 1000").ok();
    let running = node.says("exec a sleep 999").begin();
    let inside = || sandbar_tests::living().into_iter().find(|it| it.command() == "sleep 999");
    let (first, further) = (node.process("a"), until("its process", SOON, inside));
    for name in ["net", "ipc", "uts", "pid", "mnt", "cgroup"] {
        assert_eq!(first.namespace(name), further.namespace(name), "{name}");
    }
    let cgroup = |process: sandbar_tests::Process| {
        std::fs::read_to_string(process.proc("cgroup")).expect("cgroup")
    };
    assert_eq!(cgroup(first), cgroup(further));
    for line in ["CapEff", "CapBnd", "CapInh", "Seccomp", "NoNewPrivs"] {
        assert_eq!(first.status(line), further.status(line), "{line}");
    }
    // It ends with its container.
    node.says("rm -f a").ok();
    assert_eq!(running.wait().exit_code(), 137);
}

fn its_input_and_output_are_the_callers_own(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a busybox sleep 1000").ok();
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let output = node.says("exec -i a cat").input(bytes.clone()).code(0);
    assert!(output.stdout == bytes, "{} bytes came back of {}", output.stdout.len(), bytes.len());
    let output = node.says("exec a sh -c").with(["echo out; echo error >&2"]).code(0);
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("out\n", "error\n"));
    assert_eq!(
        node.says("exec a cat").input("not passed on").ok(),
        "",
        "without -i there is no input"
    );
    // It is the very descriptor: a file stays a file.
    let file = node.path("out");
    let line =
        format!("{} exec a sh -c 'echo hello' >{}", node.program().display(), file.display());
    node.run("/bin/sh", ["-c", &line]).ok();
    assert_eq!(std::fs::read_to_string(file).expect("the file"), "hello\n");
    assert_eq!(node.says("logs a").ok(), "", "what exec prints is not the container's");
    node.says("rm -f a").ok();
}

fn it_has_an_environment_a_directory_and_a_user(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a -e A=1 -e B=2 -w /etc --user alice busybox sleep 1000").ok();
    let script = "echo $A $B $C $(pwd) $(id -un) $HOME";
    assert_eq!(node.says("exec a sh -c").with([script]).ok(), "1 2 /etc alice /home/alice\n");
    let exec = node.says("exec -e B=3 -e C=4 -w /tmp -u root a sh -c").with([script]);
    assert_eq!(exec.ok(), "1 3 4 /tmp root /root\n");
    assert_eq!(
        node.says("exec -e FROM a sh -c").with(["echo $FROM"]).env("FROM", "the caller").ok(),
        "the caller\n"
    );
    let file = node.file("env", "# a comment\nX=from a file\n\n");
    let exec = node.sandbar(["exec", "--env-file", &file.display().to_string(), "a", "env"]).ok();
    assert!(exec.lines().any(|line| line == "X=from a file"), "{exec}");
    let environment = node.says("exec a env").env("SECRET", "of the host").ok();
    assert!(!environment.contains("SECRET"), "{environment}");
    node.says("exec -w /no/such a true").refused(125, &["/no/such"]);
    node.says("exec -u nobody-here a true").refused(125, &["nobody-here"]);
    node.says("rm -f a").ok();
}

fn a_caller_that_goes_away_leaves_no_mess(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a busybox sleep 1000").ok();
    let exec = node.says("exec a sleep 5000").begin();
    until("its process", SOON, || node.says("exec a ps").ok().contains("sleep 5000").then_some(()));
    exec.kill();
    assert_eq!(node.says("exec a true").code(0).stdout(), "");
    node.says("rm -f a").ok();
}

fn a_hundred_at_once(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a busybox sleep 1000").ok();
    let supervisor = node.supervisor("a");
    let descriptors = || std::fs::read_dir(supervisor.proc("fd")).expect("the supervisor").count();
    let before = descriptors();
    std::thread::scope(|scope| {
        for thread in 0..20 {
            scope.spawn(move || {
                for number in 0..5 {
                    let script = format!("echo {thread} {number}; exit {number}");
                    let output = node.says("exec a sh -c").with([&script]).code(number);
                    assert_eq!(output.stdout(), format!("{thread} {number}\n"));
                }
            });
        }
    });
    until("that the supervisor has closed all", SOON, || (descriptors() <= before).then_some(()));
    assert_eq!(node.says("exec a ps -o args").ok().matches("sh -c").count(), 0);
    node.says("rm -f a").ok();
}

fn it_needs_a_running_container(node: &Node) {
    node.has_busybox();
    node.says("create --name a busybox sleep 1000").ok();
    node.says("exec a true").refused(125, &["a", "not running", "start"]);
    node.says("start a").ok();
    node.says("exec a").refused(125, &["a"]);
    node.says("stop -t 0 a").ok();
    node.says("exec a true").refused(125, &["a", "not running"]);
    node.says("rm a").ok();
}

fn signals_reach_it(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a busybox sleep 1000").ok();
    let script = "trap 'echo caught; exit 6' TERM; echo ready; while :; do sleep 0.05; done";
    let exec = node.says("exec a sh -c").with([script]).within(Duration::from_secs(10)).begin();
    exec.prints("ready\n");
    exec.signal(Signal::TERM);
    let output = exec.wait();
    assert_eq!((output.exit_code(), output.stdout().as_str()), (6, "ready\ncaught\n"));
    node.says("rm -f a").ok();
}
