//! A pod whose containers share their processes: pause is PID 1, and all depends on it.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use sandbar_tests::{Node, Process, SOON, get, living, tests, until};

tests! {
    twenty_thousand_orphans_leave_no_zombie_and_let_pause_sleep,
    a_killed_pause_takes_all_with_it_and_comes_back,
    a_killed_pause_that_is_not_shared_is_replaced_and_nobody_notices,
    pause_ends_as_the_kubernetes_pause_does,
}

fn pause_of(node: &Node, pod: &str) -> Process {
    let pause = node.inspect_pod(pod)["InfraContainerID"].as_str().unwrap_or_default().to_owned();
    node.process(&pause)
}

fn twenty_thousand_orphans_leave_no_zombie_and_let_pause_sleep(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p --share net,ipc,uts,pid").ok();
    node.says("run -d --pod p --name a busybox sleep 1000").ok();
    let pause = pause_of(node, "p");
    assert_eq!(pause.command(), "/pause");
    let switches = || -> u64 {
        let number = |name| pause.status(name).parse::<u64>().expect("a number");
        number("voluntary_ctxt_switches") + number("nonvoluntary_ctxt_switches")
    };
    let before = switches();
    // Each subshell ends at once and leaves its child to PID 1.
    let script = "i=0; while [ $i -lt 20000 ]; do (: &); i=$((i+1)); done";
    node.says("exec a sh -c").with([script]).within(Duration::from_secs(180)).ok();
    let woken = switches() - before;
    println!("measured: 20,000 orphans woke pause {woken} times");
    assert!(woken <= 5, "pause was woken {woken} times");

    let inside = pause.namespace("pid");
    let zombies = || {
        fs::read_dir("/proc").expect("/proc").flatten().filter(|entry| {
            let namespace = fs::read_link(entry.path().join("ns/pid"));
            let is_inside = namespace.is_ok_and(|it| it.to_string_lossy() == inside);
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            is_inside && status.contains("State:\tZ")
        })
    };
    until("that no zombie is left", SOON, || (zombies().count() == 0).then_some(()));
    let listed = node.says("exec a ps -o pid,stat,args").ok();
    assert!(!listed.contains(" Z"), "{listed}");
    assert_eq!(listed.lines().count(), 4, "a heading, pause, the container and ps: {listed}");
    node.says("pod rm -f p").ok();
}

fn a_killed_pause_takes_all_with_it_and_comes_back(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p -p 8080:80 --share net,ipc,uts,pid").ok();
    let serve = "mkdir -p /srv; echo here >/srv/index.html; exec httpd -f -p 80 -h /srv";
    node.says("run -d --pod p --name always --restart always busybox sh -c").with([serve]).ok();
    node.says("run -d --pod p --name failed --restart on-failure busybox sleep 1000").ok();
    node.says("run -d --pod p --name once busybox sleep 1000").ok();
    let answers = || get("127.0.0.1:8080", "/").filter(|answer| answer.body == "here\n");
    until("an answer", SOON, answers);
    // Pause that ends in its first second is not brought back at once.
    std::thread::sleep(Duration::from_millis(1100));

    let (pause, address) = (pause_of(node, "p"), node.address("always"));
    let of_pod: Vec<Process> =
        ["always", "failed", "once"].iter().map(|name| node.process(name)).collect();
    pause.signal(Signal::KILL);
    for process in of_pod {
        until("the end of every process", SOON, || (!process.lives()).then_some(()));
    }

    node.becomes("once", "exited");
    assert_eq!(node.inspect("once")["State"]["ExitCode"], 137);
    until("an answer at the same port", SOON, answers);
    node.becomes("failed", "running");
    assert_eq!(node.address("always"), address, "the pod kept its address");
    let again = pause_of(node, "p");
    assert_ne!(again, pause);
    assert_eq!(again.namespace("pid"), node.process("always").namespace("pid"));

    let told = node.inspect_pod("p")["Supervisor"].clone();
    assert_eq!(told["PauseRestarts"], 1, "{told}");
    let event = told["LastEvent"].as_str().unwrap_or_default();
    assert!(event.contains("pause") && event.contains("137"), "{told}");
    assert!(node.inspect("always")["RestartCount"].as_u64() >= Some(1));
    node.says("pod rm -f p").ok();
}

fn a_killed_pause_that_is_not_shared_is_replaced_and_nobody_notices(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p -p 8080:80").ok();
    let serve = "mkdir -p /srv; echo here >/srv/index.html; exec httpd -f -p 80 -h /srv";
    node.says("run -d --pod p --name a busybox sh -c").with([serve]).ok();
    let answers = || get("127.0.0.1:8080", "/").filter(|answer| answer.body == "here\n");
    until("an answer", SOON, answers);
    let (pause, process) = (pause_of(node, "p"), node.process("a"));
    for _ in 0..2 {
        let pause = pause_of(node, "p");
        pause.signal(Signal::KILL);
        until("another pause", SOON, || {
            let infra = node.inspect_pod("p")["InfraContainerID"].as_str()?.to_owned();
            let pid = node.inspect(&infra)["State"]["Pid"].as_i64()?;
            (pid > 0 && pid != i64::from(pause.number())).then_some(())
        });
        assert!(answers().is_some(), "it answers all the while");
    }
    assert!(!pause.lives());
    assert_eq!(node.process("a"), process, "the same process");
    assert_eq!(node.inspect("a")["RestartCount"], 0);
    assert_eq!(node.inspect_pod("p")["Supervisor"]["PauseRestarts"], 2);
    assert_eq!(pause_of(node, "p").namespace("net"), process.namespace("net"));
    node.says("pod rm -f p").ok();
}

fn pause_ends_as_the_kubernetes_pause_does(node: &Node) {
    node.says("run -d --name pause pause").ok();
    node.says("kill -s TERM pause").ok();
    assert_eq!(node.says("wait pause").ok(), "0\n");
    let logs = node.says("logs pause").run();
    assert!(logs.stderr().contains("got signal: Terminated"), "{logs}");
    node.says("rm pause").ok();
    let version = node.says("run --rm --net none pause -v").ok();
    assert!(version.contains("pause"), "{version}");
    until("the end of all", SOON, || living().is_empty().then_some(()));
}
