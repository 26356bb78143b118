//! Terminals: of run, of exec, of somebody who resizes the window and types.

use std::time::Duration;

use sandbar_tests::{Node, tests};

tests! {
    a_shell_at_a_terminal [Setsid],
    exec_at_a_terminal [Setsid],
    control_c_goes_to_the_container [Setsid],
    a_window_that_changes_its_size [Setsid],
    the_callers_terminal_is_as_it_was [Setsid],
    a_terminal_without_somebody_at_it,
    start_attaches_again [Setsid],
    row_4_the_terminal_is_a_devpts_of_the_containers_own,
}

fn a_shell_at_a_terminal(node: &Node) {
    node.has_busybox();
    let mut terminal =
        node.terminal(&node.says("run --rm -it --name a --net none -e PS1=>_ busybox sh"));
    terminal.shows(">_");
    terminal.type_in("tty; echo two words\r");
    terminal.shows("/dev/pts/0\r\n");
    terminal.shows("two words\r\n");
    assert!(!terminal.echoes(), "the caller's terminal is raw");
    terminal.type_in("exit 7\r");
    assert_eq!(terminal.wait(), 7);
    assert!(terminal.echoes(), "it is given back as it was");
}

fn exec_at_a_terminal(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --net none busybox sleep 1000").ok();
    let mut terminal = node.terminal(&node.says("exec -it -e PS1=>_ a sh"));
    terminal.shows(">_");
    terminal.type_in("tty; stty size; ps -o args\r");
    terminal.shows("/dev/pts/0\r\n");
    terminal.shows("24 80\r\n");
    terminal.shows("sleep 1000\r\n");
    // The end of input, as somebody types it.
    terminal.type_in("(exit 3)\r");
    terminal.type_in("\u{4}");
    assert_eq!(terminal.wait(), 3);
    assert!(terminal.echoes());
    node.says("rm -f a").ok();
}

fn control_c_goes_to_the_container(node: &Node) {
    node.has_busybox();
    let script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let run = node.says("run --rm -it --net none busybox sh -c").with([script]);
    let mut terminal = node.terminal(&run);
    terminal.shows("ready\r\n");
    terminal.type_in("\u{3}");
    terminal.shows("caught\r\n");
    assert_eq!(terminal.wait(), 9);
}

fn a_window_that_changes_its_size(node: &Node) {
    node.has_busybox();
    for line in ["run --rm -it --net none busybox", "exec -it a"] {
        if line.starts_with("exec") {
            node.says("run -d --name a --net none busybox sleep 1000").ok();
        }
        let script = "trap 'stty size' WINCH; stty size; echo ready; while :; do sleep 0.05; done";
        let terminal = node.terminal(&node.says(line).with(["sh", "-c", script]));
        terminal.shows("24 80\r\nready\r\n");
        terminal.resize(40, 132);
        terminal.shows("40 132\r\n");
        drop(terminal);
    }
    for id in node.says("ps -q").ok().lines() {
        node.sandbar(["rm", "-f", id]).ok();
    }
}

fn the_callers_terminal_is_as_it_was(node: &Node) {
    node.has_busybox();
    // Whatever goes wrong.
    for (line, code) in [
        ("run --rm -it --net none busybox no-such-command", 127),
        ("run --rm -it --net none no-such-image sh", 125),
        ("run --rm -it --net none busybox sh -c true", 0),
        ("exec -it nobody sh", 125),
    ] {
        let mut terminal = node.terminal(&node.says(line));
        assert_eq!(terminal.wait(), code, "{line}: {}", terminal.shown());
        assert!(terminal.echoes(), "{line}");
    }
}

fn a_terminal_without_somebody_at_it(node: &Node) {
    node.has_busybox();
    let run = node.says("run --rm -t --net none busybox sh -c").with(["tty; echo error >&2"]);
    let output = run.within(Duration::from_secs(5)).code(0);
    assert_eq!(output.stdout(), "/dev/pts/0\r\nerror\r\n");
    assert_eq!(output.stderr(), "");
    node.says("run -dit --name a --net none busybox sh").ok();
    assert_eq!(
        node.says("exec a sh -c").with(["ls -l /proc/1/fd/0"]).ok().matches("/dev/pts/0").count(),
        1
    );
    assert_eq!(node.state("a"), "running", "with -i its input stays open");
    assert_eq!(node.inspect("a")["Config"]["Tty"], true);
    node.says("rm -f a").ok();
    // Without a terminal, and with input.
    let run = node.says("run --rm -i --net none busybox cat").input("passed on\n");
    assert_eq!(run.ok(), "passed on\n");
    let run = node.says("run --rm --net none busybox cat").input("not passed on\n");
    assert_eq!(run.ok(), "");
}

fn start_attaches_again(node: &Node) {
    node.has_busybox();
    node.says("create -it --name a --net none -e PS1=>_ busybox sh").ok();
    for round in 0..2 {
        let mut terminal = node.terminal(&node.says("start -ai a"));
        terminal.shows(">_");
        terminal.type_in(&format!("echo round {round}; exit {round}\r"));
        terminal.shows(&format!("round {round}\r\n"));
        assert_eq!(terminal.wait(), round);
    }
    node.says("rm a").ok();
}

fn row_4_the_terminal_is_a_devpts_of_the_containers_own(node: &Node) {
    node.has_busybox();
    node.says("run -dit --name a --net none busybox sh").ok();
    let script = "stat -f -c %T /dev/pts; stat -c %t:%T /dev/console; test -c /dev/console";
    let said = node.says("exec a sh -c").with([script]).run();
    assert!(said.stdout().starts_with("devpts\n"), "{said}");
    assert_eq!(said.exit_code(), 0, "{said}");
    let listed = node.says("exec a ls /dev/pts").ok();
    assert_eq!(listed, "0\nptmx\n");
    node.says("rm -f a").ok();
}
