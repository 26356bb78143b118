//! Stopping and killing.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use sandbar_tests::{Node, tests};

tests! {
    stop_asks_first_and_kills_when_the_time_is_over,
    stop_sends_the_signal_that_was_chosen,
    a_stop_of_what_does_not_run_is_well,
    kill_sends_any_signal,
    run_passes_signals_on,
    all_processes_of_a_container_end_with_its_first,
    stop_timeout_is_the_containers_own,
}

const DEAF: &str = "trap '' TERM; echo ready; while :; do sleep 0.05; done";

fn stop_asks_first_and_kills_when_the_time_is_over(node: &Node) {
    node.has_busybox();
    let polite = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    node.says("run -d --name polite --net none busybox sh -c").with([polite]).ok();
    node.says("run -d --name deaf --net none busybox sh -c").with([DEAF]).ok();
    node.prints("polite", "ready\n");
    node.prints("deaf", "ready\n");
    let took = node.says("stop polite").code(0).elapsed;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(node.inspect("polite")["State"]["ExitCode"], 5);
    let took = node.says("stop -t 1 deaf").code(0).elapsed;
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!(node.inspect("deaf")["State"]["ExitCode"], 137);
    node.says("rm polite deaf").ok();
}

fn stop_sends_the_signal_that_was_chosen(node: &Node) {
    node.has_busybox();
    let script = "trap 'echo usr1; exit 8' USR1; trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    node.says("run -d --name a --net none --stop-signal USR1 busybox sh -c").with([script]).ok();
    node.prints("a", "ready\n");
    node.says("stop a").ok();
    assert_eq!(node.says("logs a").ok(), "ready\nusr1\n");
    node.says("rm a").ok();
    node.says("run --rm --stop-signal NONSENSE busybox true").refused(125, &["NONSENSE"]);
}

fn a_stop_of_what_does_not_run_is_well(node: &Node) {
    node.has_busybox();
    node.says("create --name a busybox true").ok();
    node.says("stop a").ok();
    node.says("start a").ok();
    node.says("wait a").ok();
    node.says("stop a a").ok();
    node.says("stop nobody").refused(1, &["nobody"]);
    node.says("rm a").ok();
}

fn kill_sends_any_signal(node: &Node) {
    node.has_busybox();
    let script =
        "trap 'echo hup' HUP; trap 'echo usr2' USR2; echo ready; while :; do sleep 0.05; done";
    node.says("run -d --name a --net none busybox sh -c").with([script]).ok();
    node.prints("a", "ready\n");
    for (signal, said) in [("HUP", "hup\n"), ("SIGUSR2", "usr2\n"), ("12", "usr2\nusr2\n")] {
        node.sandbar(["kill", "-s", signal, "a"]).ok();
        node.prints("a", said);
    }
    node.says("kill a").ok();
    assert_eq!(node.says("wait a").ok(), "137\n");
    node.says("kill a").refused(1, &["a", "not running"]);
    node.says("kill -s NOTHING a").refused(2, &["NOTHING"]);
    node.says("rm a").ok();
}

fn run_passes_signals_on(node: &Node) {
    node.has_busybox();
    let script = "trap 'echo caught; exit 3' INT TERM; echo ready; while :; do sleep 0.05; done";
    for signal in [Signal::INT, Signal::TERM] {
        let run = node.says("run --rm --net none busybox sh -c").with([script]).begin();
        run.prints("ready\n");
        run.signal(signal);
        let output = run.wait();
        assert_eq!((output.exit_code(), output.stdout().as_str()), (3, "ready\ncaught\n"));
    }
}

fn all_processes_of_a_container_end_with_its_first(node: &Node) {
    node.has_busybox();
    // In the host's PID namespace the kernel does not see to it.
    for pid in ["--pid=private", "--pid=host"] {
        let script = "sleep 7777 & (setsid sleep 7777 &) ; sleep 0.1; exit 2";
        node.sandbar(["run", "--name", "a", "--net=none", pid, "busybox", "sh", "-c", script])
            .code(2);
        let left = || sandbar_tests::living().into_iter().any(|it| it.command() == "sleep 7777");
        sandbar_tests::until("the end of all", sandbar_tests::SOON, || (!left()).then_some(()));
        node.says("rm a").ok();
    }
}

fn stop_timeout_is_the_containers_own(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --net none --stop-timeout 1 busybox sh -c").with([DEAF]).ok();
    node.prints("a", "ready\n");
    let since = Instant::now();
    node.says("stop a").ok();
    assert!((1..4).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
    node.says("rm a").ok();
}
