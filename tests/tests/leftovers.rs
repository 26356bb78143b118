//! Nothing stays behind, in the long run too; and the harness would see it.

use std::fs;

use sandbar_tests::{Node, Process, SOON, left_behind, tests, until};

tests! {
    the_harness_sees_what_is_left,
    what_is_stopped_keeps_no_more_than_its_record,
    a_supervisor_is_the_same_after_many_starts,
    thirty_pods_at_once_come_and_go,
    one_after_another_leaves_nothing,
}

fn the_harness_sees_what_is_left(node: &Node) {
    node.has_busybox();
    assert_eq!(left_behind(), [""; 0]);
    node.says("run -d --name a -p 8080:80 busybox sleep 1000").ok();
    let left = left_behind();
    for what in [
        "process ",
        "interface ",
        "published: map ",
        "file /run/sandbar/pods/",
        "file /run/sandbar/names/",
        "file /run/sandbar/addresses/",
        "file /var/lib/sandbar/containers/",
        "cgroup /sys/fs/cgroup",
    ] {
        assert!(left.iter().any(|it| it.starts_with(what)), "it does not see '{what}': {left:#?}");
    }
    node.says("rm -f a").ok();
    until("that nothing is left", SOON, || left_behind().is_empty().then_some(()));
}

fn what_is_stopped_keeps_no_more_than_its_record(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a -p 8080:80 busybox sleep 1000").ok();
    node.says("stop -t 0 a").ok();
    let kept = |left: &String| left.starts_with("file ");
    until("the end of all but its files", SOON, || left_behind().iter().all(kept).then_some(()));
    node.says("rm a").ok();
    assert_eq!(left_behind(), [""; 0], "rm has nothing to wait for");
}

fn a_supervisor_is_the_same_after_many_starts(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p -p 8080:80 --share net,ipc,uts,pid").ok();
    node.says("run -d --pod p --name stays busybox sleep 1000").ok();
    let supervisor = node.supervisor("p");
    let descriptors =
        |process: Process| fs::read_dir(process.proc("fd")).expect("it lives").count();
    let mounts =
        || fs::read_to_string(supervisor.proc("mountinfo")).expect("it lives").lines().count();
    let round = |node: &Node| {
        node.says("run -d --pod p --name a busybox sleep 1000").ok();
        node.says("exec a true").ok();
        node.says("stop -t 0 a").ok();
        node.says("start a").ok();
        node.says("logs a").ok();
        node.says("rm -f a").ok();
    };
    round(node);
    let before = (descriptors(supervisor), mounts());
    for _ in 0..20 {
        round(node);
    }
    until("that it has closed all", SOON, || (descriptors(supervisor) <= before.0).then_some(()));
    assert_eq!(mounts(), before.1, "mounts pile up");
    assert_eq!(node.supervisor("p"), supervisor);
    node.says("pod rm -f p").ok();
}

fn thirty_pods_at_once_come_and_go(node: &Node) {
    node.has_busybox();
    std::thread::scope(|scope| {
        for number in 0..30 {
            scope.spawn(move || {
                let (name, port) = (format!("p{number}"), format!("{}:80", 9000 + number));
                let within = std::time::Duration::from_secs(60);
                let command = |arguments: &[&str]| node.sandbar(arguments).within(within).ok();
                command(&["pod", "create", "--name", &name, "-p", &port]);
                command(&["run", "-d", "--pod", &name, "busybox", "sleep", "1000"]);
                command(&["pod", "stop", "-t", "0", &name]);
                command(&["pod", "start", &name]);
                command(&["pod", "rm", "-f", &name]);
            });
        }
    });
    until("that nothing is left", SOON, || left_behind().is_empty().then_some(()));
}

fn one_after_another_leaves_nothing(node: &Node) {
    node.has_busybox();
    for _ in 0..30 {
        node.says("run --rm -p 8080:80 busybox true").ok();
        assert_eq!(node.says("ps -aq").ok(), "");
    }
}
