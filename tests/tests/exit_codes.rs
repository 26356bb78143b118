//! Exit codes are the command's own, or say what Sandbar could not do: as in Docker.

use sandbar_tests::{Node, tests};

tests! {
    run_ends_with_the_code_of_its_command,
    what_ends_by_a_signal_has_128_and_its_number,
    what_could_not_begin_has_125_126_or_127,
    exec_ends_with_the_code_of_its_command,
    wait_prints_the_code_before_and_after_the_end,
    inspect_and_ps_keep_the_code,
}

fn run_ends_with_the_code_of_its_command(node: &Node) {
    node.has_busybox();
    node.says("run --rm --net none busybox true").code(0);
    node.says("run --rm --net none busybox false").code(1);
    for code in [3, 42, 125, 126, 127, 128, 200, 255] {
        node.says("run --rm --net=none busybox sh -c").with([&format!("exit {code}")]).code(code);
    }
    node.says("run --rm busybox sh").code(0);
}

fn what_ends_by_a_signal_has_128_and_its_number(node: &Node) {
    node.has_busybox();
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("SEGV", 139), ("USR1", 138)] {
        node.says("run -d --name a --net none busybox sleep 1000").ok();
        // PID 1 of a PID namespace gets from inside no signal that it does not handle: these come from outside.
        node.sandbar(["kill", "-s", signal, "a"]).ok();
        if signal != "KILL" {
            node.says("kill a").run();
        }
        let expected = if signal == "KILL" { "137\n".to_owned() } else { code.to_string() + "\n" };
        let got = node.says("wait a").ok();
        assert!(got == expected || got == "137\n", "{signal}: {got}");
        node.says("rm a").ok();
    }
    let kill = "sleep 1000 & kill -TERM $!; wait $!";
    node.says("run --rm --net=none busybox sh -c").with([kill]).code(143);
    node.says("run -d --name b --net none busybox sleep 1000").ok();
    node.says("kill b").ok();
    assert_eq!(node.says("wait b").ok(), "137\n");
    node.says("rm b").ok();
}

fn what_could_not_begin_has_125_126_or_127(node: &Node) {
    node.has_busybox();
    node.says("run --rm no-such-image true").refused(125, &["no-such-image", "docker.io"]);
    node.says("run --rm --no-such-flag busybox true").refused(125, &["--no-such-flag", "--help"]);
    node.says("run --rm busybox no-such-command").refused(127, &["no-such-command"]);
    node.says("run --rm busybox /no/such/command").refused(127, &["/no/such/command"]);
    node.says("run --rm busybox /etc/passwd").refused(126, &["/etc/passwd"]);
    node.says("run --rm busybox /etc").refused(126, &["/etc"]);
    assert_eq!(node.says("ps -aq").ok(), "", "--rm leaves nothing");

    node.says("run --name again busybox no-such-command").refused(127, &["no-such-command"]);
    assert_eq!(node.says("ps -aq").ok(), "", "a run that never began leaves nothing either");
    node.says("create --name kept busybox no-such-command").ok();
    node.says("start kept").refused(127, &["no-such-command"]);
    assert_eq!(node.state("kept"), "created", "what was made to be kept is kept");
    node.says("rm kept").ok();
}

fn exec_ends_with_the_code_of_its_command(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a busybox sleep 1000").ok();
    node.says("exec a true").code(0);
    for code in [1, 3, 125, 255] {
        node.says("exec a sh -c").with([&format!("exit {code}")]).code(code);
    }
    node.says("exec a sh -c").with(["kill -KILL $$"]).code(137);
    node.says("exec a no-such-command").refused(127, &["no-such-command"]);
    node.says("exec a /etc/passwd").refused(126, &["/etc/passwd"]);
    node.says("exec no-such-container true").refused(125, &["no-such-container"]);
    node.says("rm -f a").ok();
}

fn wait_prints_the_code_before_and_after_the_end(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a busybox sh -c").with(["sleep 0.5; exit 9"]).ok();
    let waiting = node.says("wait a").begin();
    assert_eq!(waiting.wait().stdout(), "9\n");
    assert_eq!(node.says("wait a").ok(), "9\n");
    node.says("create --name b busybox true").ok();
    node.says("wait b").refused(1, &["b", "never started"]);
    node.says("rm a b").ok();
}

fn inspect_and_ps_keep_the_code(node: &Node) {
    node.has_busybox();
    node.says("run --name a --net=none busybox sh -c").with(["exit 5"]).code(5);
    let state = node.inspect("a")["State"].clone();
    assert_eq!(state["Status"], "exited");
    assert_eq!(state["ExitCode"], 5);
    assert_eq!(state["Running"], false);
    assert_eq!(state["Pid"], 0);
    assert_eq!(state["OOMKilled"], false);
    assert!(node.says("ps -a").ok().contains("Exited (5)"));
    assert_eq!(node.says("ps -q").ok(), "");
    node.says("rm a").ok();
}
