//! SIGKILL to the command line at any moment: what is left can be seen and cleared.

use std::time::Duration;

use sandbar_tests::{Node, tests};

tests! {
    run_killed_at_any_moment_leaves_what_rm_clears,
    pod_create_killed_at_any_moment_leaves_what_rm_clears,
    removal_killed_at_any_moment_can_be_done_again,
    an_attached_run_that_is_killed_leaves_its_container_running,
}

/// Half a millisecond apart, beyond the time that the whole takes.
fn delays() -> impl Iterator<Item = Duration> {
    (0..60).map(|half| Duration::from_micros(half * 500))
}

/// Removes all there is, by what the lists say.
fn clear(node: &Node) {
    for id in node.says("pod ps -aq --no-trunc").ok().lines() {
        node.sandbar(["pod", "rm", "-f", id]).ok();
    }
    for id in node.says("ps -aq --no-trunc").ok().lines() {
        node.sandbar(["rm", "-f", id]).ok();
    }
    // What is so young that no list shows it still has its directory.
    for directory in node.pods() {
        let id = directory.file_name().unwrap_or_default();
        node.sandbar(["pod".as_ref(), "rm".as_ref(), "-f".as_ref(), id]).ok();
    }
    assert_eq!(node.says("ps -aq").ok(), "");
    assert_eq!(node.pods().len(), 0);
}

fn run_killed_at_any_moment_leaves_what_rm_clears(node: &Node) {
    node.has_busybox();
    let mut whole = 0;
    for delay in delays() {
        let run = node.says("run -d --name a -p 8080:80 busybox sleep 1000").begin();
        std::thread::sleep(delay);
        run.kill();
        whole += node.says("ps -q").ok().lines().count();
        clear(node);
    }
    assert!(whole > 0, "every delay was too short to prove anything");
    // The name, the port and the address are free.
    node.says("run -d --name a -p 8080:80 busybox sleep 1000").ok();
    node.says("rm -f a").ok();
}

fn pod_create_killed_at_any_moment_leaves_what_rm_clears(node: &Node) {
    node.has_busybox();
    for delay in delays().step_by(2) {
        let create = node.says("pod create --name p -p 8080:80 --share net,pid").begin();
        std::thread::sleep(delay);
        create.kill();
        let start = node.says("pod start p").begin();
        std::thread::sleep(delay);
        start.kill();
        clear(node);
    }
    node.says("pod create --name p -p 8080:80").ok();
    node.says("pod rm p").ok();
}

fn removal_killed_at_any_moment_can_be_done_again(node: &Node) {
    node.has_busybox();
    for delay in delays().step_by(3) {
        node.says("run -d --name a -p 8080:80 busybox sleep 1000").ok();
        let remove = node.says("rm -f a").begin();
        std::thread::sleep(delay);
        remove.kill();
        clear(node);
    }
    node.says("run -d --name a -p 8080:80 busybox sleep 1000").ok();
    node.says("rm -f a").ok();
}

fn an_attached_run_that_is_killed_leaves_its_container_running(node: &Node) {
    node.has_busybox();
    let script = "echo began; while :; do echo on; sleep 0.02; done";
    let run = node.says("run --name a --net none busybox sh -c").with([script]).begin();
    run.prints("began\n");
    run.kill();
    node.becomes("a", "running");
    let before = node.says("logs a").ok().len();
    sandbar_tests::until("that it goes on printing", sandbar_tests::SOON, || {
        (node.says("logs a").ok().len() > before).then_some(())
    });
    node.says("rm -f a").ok();
}
