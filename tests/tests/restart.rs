//! Restart policies.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use sandbar_tests::{Node, SOON, tests, until};

tests! {
    no_is_the_default,
    on_failure_ends_with_success_or_when_tries_are_over,
    always_comes_back_whatever_the_code_and_counts,
    what_was_stopped_stays_stopped,
    tries_come_at_growing_distances,
    a_container_that_waits_for_its_next_try_can_be_stopped_and_removed,
    policies_that_can_not_be_are_refused,
}

fn no_is_the_default(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --net none busybox false").ok();
    assert_eq!(node.says("wait a").ok(), "1\n");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        (node.state("a").as_str(), &node.inspect("a")["RestartCount"]),
        ("exited", &0.into())
    );
    node.says("rm a").ok();
}

fn on_failure_ends_with_success_or_when_tries_are_over(node: &Node) {
    node.has_busybox();
    node.says("run -d --name fails --net none --restart on-failure:2 busybox sh -c")
        .with(["echo try; exit 7"])
        .ok();
    assert_eq!(node.says("wait fails").ok(), "7\n", "wait is for the last end");
    assert_eq!(node.says("logs fails").ok(), "try\ntry\ntry\n");
    let found = node.inspect("fails");
    assert_eq!((&found["RestartCount"], &found["State"]["Status"]), (&2.into(), &"exited".into()));

    let script = "echo try; n=$(cat /n 2>/dev/null || echo 0); echo $((n+1)) >/n; [ $n -ge 2 ]";
    node.says("run -d --name succeeds --net none --restart on-failure busybox sh -c")
        .with([script])
        .ok();
    assert_eq!(node.says("wait succeeds").ok(), "0\n");
    assert_eq!(node.says("logs succeeds").ok(), "try\ntry\ntry\n");
    node.says("rm fails succeeds").ok();
}

fn always_comes_back_whatever_the_code_and_counts(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --net none --restart always busybox sh -c")
        .with(["echo began; exec sleep 1000"])
        .ok();
    for count in 1..=2 {
        let process = node.process("a");
        process.signal(Signal::KILL);
        until("another process", SOON, || {
            let found = node.inspect("a");
            let pid = found["State"]["Pid"].as_i64()?;
            (pid > 0 && pid != i64::from(process.number())).then_some(())
        });
        assert_eq!(node.inspect("a")["RestartCount"], count);
    }
    until("its output", SOON, || {
        (node.says("logs a").ok() == "began\nbegan\nbegan\n").then_some(())
    });
    node.says("run -d --name b --net none --restart always busybox true").ok();
    until("some restarts", SOON, || {
        (node.inspect("b")["RestartCount"].as_u64()? >= 3).then_some(())
    });
    node.says("rm -f a b").ok();
}

fn what_was_stopped_stays_stopped(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --net none --restart always busybox sleep 1000").ok();
    node.says("stop -t 0 a").ok();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(node.state("a"), "exited");
    node.says("start a").ok();
    node.says("kill a").ok();
    node.says("wait a").ok();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(node.state("a"), "exited", "kill is a request to end, too");
    node.says("rm a").ok();
}

fn tries_come_at_growing_distances(node: &Node) {
    node.has_busybox();
    let since = Instant::now();
    node.says("run -d --name a --net none --restart on-failure:5 busybox sh -c")
        .with(["echo try; exit 1"])
        .ok();
    node.says("wait a").ok();
    let took = since.elapsed();
    // 0.1, 0.2, 0.4, 0.8 and 1.6 seconds as in Docker would be 3.1; at least it is no busy loop.
    assert!(took > Duration::from_millis(500), "{took:?}");
    assert_eq!(node.says("logs a").ok().lines().count(), 6);
    let times: Vec<String> =
        node.says("logs -t a").ok().lines().map(|line| line[..23].to_owned()).collect();
    println!("measured: six tries at {times:?}");
    node.says("rm a").ok();
}

fn a_container_that_waits_for_its_next_try_can_be_stopped_and_removed(node: &Node) {
    node.has_busybox();
    let start = |name: &str| {
        let run = node.sandbar([
            "run",
            "-d",
            "--name",
            name,
            "--net=none",
            "--restart=always",
            "busybox",
            "false",
        ]);
        run.ok();
        let waits = || (node.inspect(name)["RestartCount"].as_u64()? >= 4).then_some(());
        until("some restarts", SOON, waits);
        node.becomes(name, "restarting");
    };
    start("a");
    assert!(node.says("ps").ok().contains("Restarting (1)"));
    node.says("stop a").ok();
    assert_eq!(node.state("a"), "exited");
    assert_eq!(node.inspect("a")["State"]["ExitCode"], 1);
    node.says("rm a").ok();
    start("b");
    node.says("rm b").refused(1, &["b", "-f"]);
    node.says("rm -f b").ok();
}

fn policies_that_can_not_be_are_refused(node: &Node) {
    node.has_busybox();
    for policy in ["sometimes", "on-failure:0", "on-failure:many", "always:3"] {
        node.sandbar(["run", "--rm", "--restart", policy, "busybox", "true"])
            .refused(125, &["--restart", policy]);
    }
    node.says("run --rm --restart always busybox true").refused(125, &["--rm", "--restart"]);
}
