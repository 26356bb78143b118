//! Names and ids.

use std::thread;

use sandbar_tests::{Node, tests};

tests! {
    everything_is_found_by_name_id_and_the_beginning_of_an_id,
    a_name_that_is_taken_is_refused_and_its_owner_told,
    of_twenty_that_want_one_name_one_gets_it,
    a_name_is_free_again_when_its_owner_is_gone,
    who_gives_no_name_gets_one,
    row_22_names_and_ids_that_can_not_be_are_refused,
    two_roots_never_see_each_other,
}

fn everything_is_found_by_name_id_and_the_beginning_of_an_id(node: &Node) {
    node.has_busybox();
    let id = node.says("create --name a busybox true").ok();
    let id = id.trim_end();
    for name in ["a", id, &id[..12], &id[..6]] {
        assert_eq!(node.inspect(name)["Id"], id, "{name}");
    }
    let pod = node.says("pod create --name p").ok();
    let pod = pod.trim_end();
    for name in ["p", pod, &pod[..12]] {
        assert_eq!(node.inspect_pod(name)["Id"], pod, "{name}");
    }
    // Seventeen containers have two whose ids begin alike.
    let mut ids = vec![id.to_owned()];
    for _ in 0..16 {
        ids.push(node.says("create --pod p busybox true").ok().trim_end().to_owned());
    }
    let digit = |wanted: char| ids.iter().filter(|id| id.starts_with(wanted)).count();
    let shared = "0123456789abcdef".chars().find(|&it| digit(it) > 1).expect("two");
    node.sandbar(["inspect", &shared.to_string()]).code(1);
    node.sandbar(["rm", &shared.to_string()]).refused(1, &["begin with", "digits"]);
    assert_eq!(node.says("ps -aq").ok().lines().count(), 18, "pause and seventeen");
    // A name goes before the beginning of an id.
    let name = id[..4].to_owned();
    node.sandbar(["create", "--name", &name, "--pod", "p", "busybox", "true"]).ok();
    assert_eq!(node.inspect(&name)["Name"], name.as_str());
    node.says("pod rm -f p").ok();
    node.says("rm a").ok();
}

fn a_name_that_is_taken_is_refused_and_its_owner_told(node: &Node) {
    node.has_busybox();
    let id = node.says("create --name a busybox true").ok();
    node.says("create --name a busybox true").refused(125, &["'a'", "taken", &id[..12]]);
    node.says("run --rm --name a busybox true").refused(125, &["'a'", "taken"]);
    let pod = node.says("pod create --name p").ok();
    node.says("pod create --name p").refused(1, &["'p'", "taken", &pod[..12]]);
    assert_eq!(node.says("pod ps -aq").ok().lines().count(), 2);
    node.says("rm a").ok();
    node.says("pod rm p").ok();
}

fn of_twenty_that_want_one_name_one_gets_it(node: &Node) {
    node.has_busybox();
    for round in 0..5 {
        let outcomes: Vec<i32> = thread::scope(|scope| {
            let create =
                || node.says("create --name wanted -p 8080:80 busybox true").run().exit_code();
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(create)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
        });
        let won = outcomes.iter().filter(|&&code| code == 0).count();
        let lost = outcomes.iter().filter(|&&code| code == 125).count();
        assert_eq!((won, lost), (1, 19), "round {round}: {outcomes:?}");
        assert_eq!(node.says("ps -aq").ok().lines().count(), 1);
        assert_eq!(node.says("pod ps -aq").ok().lines().count(), 1);
        node.says("rm wanted").ok();
    }
}

fn a_name_is_free_again_when_its_owner_is_gone(node: &Node) {
    node.has_busybox();
    for _ in 0..3 {
        node.says("run --rm --name a --net none busybox true").ok();
        node.says("run -d --name a --net none busybox sleep 1000").ok();
        node.says("rm -f a").ok();
    }
}

fn who_gives_no_name_gets_one(node: &Node) {
    node.has_busybox();
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(node.says("create busybox true").ok().trim_end().to_owned());
    }
    let mut names: Vec<String> = ids
        .iter()
        .map(|id| node.inspect(id)["Name"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert!(names.iter().all(|name| !name.is_empty()), "{names:?}");
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 10);
    node.sandbar(["rm"]).with(ids).ok();
}

fn row_22_names_and_ids_that_can_not_be_are_refused(node: &Node) {
    node.has_busybox();
    let long = "a".repeat(300);
    for name in ["../a", "a/b", "..", ".", "-a", "", "a b", "a\nb", "ä", &long, "/etc/passwd", "_a"]
    {
        let named = format!("--name={name}");
        let output = node.sandbar(["create", &named, "busybox", "true"]).code(125);
        assert!(output.stderr().lines().count() <= 2, "{name:?}: {output}");
        node.sandbar(["pod", "create", &named]).code(2);
        for command in ["inspect", "rm", "stop"] {
            let output = node.sandbar([command, "--", name]).code(1);
            assert!(output.stderr().lines().count() <= 2, "{name:?}: {output}");
        }
        // Gone already is as it should be.
        node.sandbar(["rm", "-f", "--", name]).ok();
        node.sandbar(["pod", "rm", "-f", "--", name]).ok();
        node.sandbar(["run", "--rm", &format!("--net=container:{name}"), "busybox", "true"])
            .code(125);
    }
    assert_eq!(node.says("ps -aq").ok(), "");
    assert!(std::path::Path::new("/etc/passwd").exists());
}

fn two_roots_never_see_each_other(node: &Node) {
    node.has_busybox();
    let (root, run) = (node.path("root"), node.path("run"));
    let other = |line: &str| {
        let roots = ["--root".as_ref(), root.as_os_str(), "--run-root".as_ref(), run.as_os_str()];
        node.sandbar(roots).with(line.split(' '))
    };
    node.says("create --name a busybox true").ok();
    other("inspect a").code(1);
    other("run --rm busybox true").refused(125, &["busybox"]);
    other("create --name a pause").ok();
    assert_eq!(node.says("ps -aq").ok().lines().count(), 1);
    assert_eq!(other("ps -aq").ok().lines().count(), 1);
    node.says("rm a").ok();
    assert_eq!(other("ps -aq").ok().lines().count(), 1);
    other("start a").ok();
    other("rm -f a").ok();
    let variables =
        node.says("images -q").env("SANDBAR_ROOT", &root).env("SANDBAR_RUN_ROOT", &run).ok();
    assert_eq!(variables.lines().count(), 1, "pause alone: {variables}");
}
