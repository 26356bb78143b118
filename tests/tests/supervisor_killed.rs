//! SIGKILL to the supervisor: containers go on, and nothing is made up about them.

use std::fs;

use rustix::process::Signal;
use sandbar_tests::{Node, SOON, get, living, tests, until};

tests! {
    containers_go_on_serving_and_printing,
    an_exit_code_that_nobody_saw_is_unknown,
    what_is_left_is_removed_by_force,
    everything_of_a_pod_killed_at_once_is_cleared,
    killed_at_any_moment_of_a_start_it_leaves_the_truth,
    a_terminal_container_ends_with_its_supervisor_or_goes_on,
}

fn containers_go_on_serving_and_printing(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p -p 8080:80 --share net,ipc,uts,pid").ok();
    let serve = "mkdir -p /srv; echo here >/srv/index.html; exec httpd -f -p 80 -h /srv";
    node.says("run -d --pod p --name web busybox sh -c").with([serve]).ok();
    let count = "i=0; while :; do echo line $i; echo error $i >&2; i=$((i+1)); sleep 0.02; done";
    node.says("run -d --pod p --name counter busybox sh -c").with([count]).ok();
    node.prints("counter", "line 5\n");
    let (web, counter) = (node.process("web"), node.process("counter"));
    let address = node.address("web");

    let supervisor = node.supervisor("p");
    supervisor.signal(Signal::KILL);
    until("the supervisor's end", SOON, || (!supervisor.lives()).then_some(()));

    // The truth, with nobody to ask.
    for name in ["web", "counter"] {
        assert_eq!(node.state(name), "running");
    }
    assert_eq!(node.says("ps").ok().matches("Up ").count(), 2);
    assert!(node.says("pod ps").ok().contains("Running"));
    assert_eq!(get("127.0.0.1:8080", "/").expect("an answer").body, "here\n");
    // Long enough for a writer without a reader to be ended by SIGPIPE.
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(web.lives() && counter.lives());

    // Whoever comes next brings a supervisor with them.
    assert_eq!(node.says("exec web cat /srv/index.html").ok(), "here\n");
    let last = || -> u64 {
        let logs = node.says("logs counter").ok();
        let number = logs.lines().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).max();
        number.unwrap_or(0)
    };
    let seen = last();
    until("that it goes on printing", SOON, || (last() > seen + 20).then_some(()));
    let logs = node.says("logs counter").ok();
    let numbers: Vec<u64> =
        logs.lines().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
    let whole = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
    assert!(whole, "lines were lost or doubled: {numbers:?}");
    assert_eq!((node.process("web"), node.process("counter")), (web, counter));
    assert_ne!(node.supervisor("p"), supervisor);
    assert_eq!(node.address("web"), address);

    node.says("pod rm -f p").ok();
    assert_eq!(get("127.0.0.1:8080", "/"), None);
}

fn an_exit_code_that_nobody_saw_is_unknown(node: &Node) {
    node.has_busybox();
    let script = "while [ ! -e /go ]; do sleep 0.02; done; exit 3";
    for asked_meanwhile in [false, true] {
        node.says("run -d --name a busybox sh -c").with([script]).ok();
        let process = node.process("a");
        node.supervisor("a").signal(Signal::KILL);
        if asked_meanwhile {
            node.says("exec a touch /go").ok();
        } else {
            fs::write(process.proc("root/go"), "").expect("the container's file system");
        }
        until("its end", SOON, || (!process.lives()).then_some(()));
        node.becomes("a", "exited");
        let state = node.inspect("a")["State"].clone();
        let code = &state["ExitCode"];
        assert!(code.is_null() || *code == 3, "made up: {state}");
        if code.is_null() {
            assert!(node.says("ps -a").ok().contains("Exited (unknown)"));
            assert_eq!(node.says("wait a").ok(), "unknown\n");
        }
        node.says("start a").ok();
        node.becomes("a", "exited");
        assert_eq!(node.says("wait a").ok(), "3\n", "its next end is seen");
        node.says("rm a").ok();
    }
}

fn what_is_left_is_removed_by_force(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a -p 8080:80 busybox sleep 1000").ok();
    node.supervisor("a").signal(Signal::KILL);
    node.says("rm a").refused(1, &["a", "running", "-f"]);
    node.says("rm -f a").ok();

    node.says("run -d --name b -p 8080:80 busybox sleep 1000").ok();
    node.supervisor("b").signal(Signal::KILL);
    node.says("stop -t 1 b").ok();
    assert_eq!(node.state("b"), "exited");
    node.says("start b").ok();
    assert_eq!(node.state("b"), "running");
    node.says("rm -f b").ok();
}

/// Kills all that lives. What ends with another, as all of a PID namespace does with its pause, may be gone by then.
fn kill_all() {
    for process in living() {
        let number = rustix::process::Pid::from_raw(process.number()).expect("a number");
        let _killed_or_gone = rustix::process::kill_process(number, Signal::KILL);
    }
}

fn everything_of_a_pod_killed_at_once_is_cleared(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p -p 8080:80 --share net,ipc,uts,pid").ok();
    node.says("run -d --pod p --name a --restart always busybox sleep 1000").ok();
    node.says("run -d --name b -p 8081:80 busybox sleep 1000").ok();
    kill_all();
    until("the end of all", SOON, || living().iter().all(|it| !it.lives()).then_some(()));
    for name in ["a", "b"] {
        let state = node.inspect(name)["State"].clone();
        assert_eq!(state["Status"], "exited", "{state}");
        assert!(state["ExitCode"].is_null(), "made up: {state}");
        assert_eq!(state["Pid"], 0, "{state}");
    }
    assert_eq!(node.says("ps -q").ok(), "");

    // Its port is not blocked by the dead.
    node.says("run -d --name c -p 8081:80 busybox sleep 1000").ok();
    node.says("pod start p").ok();
    assert_eq!(node.state("a"), "running");
    node.says("rm -f b c").ok();
    kill_all();
    node.says("pod rm -f p").ok();
}

fn killed_at_any_moment_of_a_start_it_leaves_the_truth(node: &Node) {
    node.has_busybox();
    let mut killed = 0;
    for round in 0_u64..40 {
        node.says("pod create --name p -p 8080:80 --share net,ipc,uts,pid").ok();
        node.says("create --pod p --name a busybox sleep 1000").ok();
        let start = node.says("pod start p").begin();
        // From the supervisor's first moment on, a quarter of a millisecond later each time.
        let is_one =
            |process: &sandbar_tests::Process| process.command().starts_with("sandbar-supervisor");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
        let mut found = None;
        while found.is_none() && std::time::Instant::now() < deadline {
            found = living().into_iter().find(is_one);
        }
        std::thread::sleep(std::time::Duration::from_micros(round * 250));
        if let Some(supervisor) = found {
            killed += u32::from(rustix::process::kill_process(supervisor.0, Signal::KILL).is_ok());
        }
        // It may have failed or been done by another supervisor: but it ends, and what is told is so.
        let output = start.wait();
        let state = node.inspect("a")["State"].clone();
        let lives = state["Pid"].as_i64().is_some_and(|pid| pid > 0);
        assert_eq!(lives, state["Status"] == "running", "round {round}: {state}: {output}");
        if round % 2 == 0 {
            // Whatever it was, another start completes it.
            node.says("pod start p").ok();
            assert_eq!(node.state("a"), "running", "round {round}");
        }
        node.says("pod rm -f p").ok();
        let left = sandbar_tests::left_behind();
        until(&format!("that nothing is left in round {round}: {left:?}"), SOON, || {
            sandbar_tests::left_behind().is_empty().then_some(())
        });
    }
    assert!(killed > 20, "{killed} were killed");
}

fn a_terminal_container_ends_with_its_supervisor_or_goes_on(node: &Node) {
    node.has_busybox();
    node.says("run -d -t --name a busybox sleep 1000").ok();
    let (process, supervisor) = (node.process("a"), node.supervisor("a"));
    supervisor.signal(Signal::KILL);
    until("the supervisor's end", SOON, || (!supervisor.lives()).then_some(()));
    // The terminal hung up with its master: SIGHUP is the kernel's rule.
    std::thread::sleep(std::time::Duration::from_millis(100));
    let state = node.state("a");
    assert_eq!(state, if process.lives() { "running" } else { "exited" });
    node.says("rm -f a").ok();
}
