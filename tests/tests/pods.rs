//! Pods that are asked for as pods.

use sandbar_tests::{Node, SOON, get, tests, until};
use serde_json::Value;

tests! {
    a_pod_is_made_filled_stopped_started_and_removed [Nginx, Blog],
    a_pod_that_never_started_can_be_removed,
    the_image_of_pause_is_left_as_it_is,
    a_pod_shares_what_it_says,
    what_runs_is_removed_by_force_alone,
    a_pod_has_one_host_name_and_its_hosts,
    stopping_gives_time_and_starting_brings_all_back,
}

const NGINX_CONF: &str = "\
events {}
http { server { listen 80; location / { proxy_pass http://127.0.0.1:2368; } } }
";

fn a_pod_is_made_filled_stopped_started_and_removed(node: &Node) {
    node.has_nginx();
    node.has_blog();
    let conf = node.file("nginx.conf", NGINX_CONF);
    let volume = format!("{}:/etc/nginx/nginx.conf:ro", conf.display());

    let id = node.says("pod create --name web -p 8081:80 --share net,ipc,uts,pid").ok();
    assert_eq!(id.trim_end().len(), 64, "an id: {id}");
    node.sandbar(["run", "-d", "--pod", "web", "--name", "proxy", "-v", &volume, "nginx"]).ok();
    node.says("run -d --pod web --name app localhost/blog").ok();
    let answers = || get("127.0.0.1:8081", "/").filter(|answer| answer.status == 200);
    let first = until("200 through the pod", SOON, answers);

    let listed = node.says("pod ps").ok();
    let line = listed.lines().nth(1).unwrap_or_default();
    assert!(
        line.contains("web") && line.contains("Running") && line.contains(&id[..12]),
        "{listed}"
    );
    assert!(line.trim_end().ends_with('3'), "pause and two containers: {listed}");

    let before = node.inspect_pod("web");
    assert_eq!(before["Id"], id.trim_end());
    assert_eq!(before["Name"], "web");
    let address = node.address("app");
    assert!(address.starts_with("10."), "{address}");

    let processes = node.says("exec app ps -o pid,args").ok();
    assert!(processes.lines().nth(1).is_some_and(|line| line.trim() == "1 /pause"), "{processes}");
    assert!(processes.contains("nginx: master process"), "{processes}");

    node.says("pod stop -t 2 web").ok();
    assert_eq!(get("127.0.0.1:8081", "/"), None, "a stopped pod answers");
    assert_eq!(node.state("app"), "exited");
    assert!(node.says("pod ps").ok().contains("Exited"));

    node.says("pod start web").ok();
    let again = until("200 after another start", SOON, answers);
    assert_eq!(first.body, again.body);
    assert_eq!(node.address("app"), address, "it kept its address");

    node.says("pod rm web").refused(1, &["web", "running", "-f"]);
    assert_eq!(node.says("pod rm -f web").ok(), "web\n");
    assert_eq!(node.says("pod ps -q").ok(), "");
    assert_eq!(node.says("ps -aq").ok(), "");
    node.says("pod inspect web").code(1);
}

fn a_pod_that_never_started_can_be_removed(node: &Node) {
    let id = node.says("pod create").ok();
    assert!(node.says("pod ps").ok().contains("Created"));
    node.sandbar(["pod", "rm", &id[..12]]).ok();
    node.says("pod create named").ok();
    node.says("pod rm -f named named-no-more").ok();
}

fn the_image_of_pause_is_left_as_it_is(node: &Node) {
    node.says("pod create --name p --share net,ipc,uts,pid").ok();
    node.says("pod start p").ok();
    let layer = "/var/lib/sandbar/images/layers";
    let layer = std::fs::read_dir(layer).unwrap().next().unwrap().unwrap().path().join("diff");
    let names: Vec<_> =
        std::fs::read_dir(layer).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["pause"]);
    node.says("pod rm -f p").ok();
}

fn a_pod_shares_what_it_says(node: &Node) {
    node.has_busybox();
    for (share, shared, own) in [
        ("net,ipc,uts", vec!["net", "ipc", "uts"], vec!["pid", "mnt"]),
        ("net,ipc,uts,pid", vec!["net", "ipc", "uts", "pid"], vec!["mnt"]),
        ("ipc", vec!["ipc"], vec!["net", "uts", "pid", "mnt"]),
        ("none", vec![], vec!["net", "ipc", "uts", "pid", "mnt"]),
    ] {
        node.says(&format!("pod create --name p --share {share}")).ok();
        node.says("run -d --pod p --name a busybox sleep 1000").ok();
        node.says("run -d --pod p --name b busybox sleep 1000").ok();
        let (a, b) = (node.process("a"), node.process("b"));
        for name in shared {
            assert_eq!(a.namespace(name), b.namespace(name), "--share {share}: {name}");
        }
        for name in own {
            assert_ne!(a.namespace(name), b.namespace(name), "--share {share}: {name}");
        }
        node.says("pod rm -f p").ok();
    }
    node.says("pod create --name p --share net,everything").refused(2, &["everything"]);
}

fn what_runs_is_removed_by_force_alone(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p").ok();
    node.says("create --pod p --name a busybox sleep 1000").ok();
    assert_eq!(node.state("a"), "created");
    node.says("pod start p").ok();
    assert_eq!(node.state("a"), "running");
    node.says("rm a").refused(1, &["a", "running", "-f"]);
    node.says("rm -f a").ok();
    assert_eq!(node.inspect_pod("p")["State"], "Running", "the pod goes on without it");
    node.says("pod rm -f p").ok();
}

fn a_pod_has_one_host_name_and_its_hosts(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p --hostname inside --add-host db:10.9.9.9").ok();
    node.says("run -d --pod p --name a busybox sleep 1000").ok();
    node.says("run -d --pod p --name b busybox sleep 1000").ok();
    for name in ["a", "b"] {
        assert_eq!(node.sandbar(["exec", name, "hostname"]).ok(), "inside\n");
        assert_eq!(node.sandbar(["exec", name, "cat", "/etc/hostname"]).ok(), "inside\n");
        let hosts = node.sandbar(["exec", name, "cat", "/etc/hosts"]).ok();
        let address = node.address(name);
        let has = |address: &str, name: &str| {
            hosts.lines().any(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some(address) && words.any(|word| word == name)
            })
        };
        assert!(
            has("127.0.0.1", "localhost") && has("10.9.9.9", "db") && has(&address, "inside"),
            "{hosts}"
        );
        assert!(
            node.sandbar(["exec", name, "cat", "/etc/resolv.conf"]).ok().contains("nameserver")
        );
    }
    node.says("pod rm -f p").ok();
}

fn stopping_gives_time_and_starting_brings_all_back(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p").ok();
    let script = "trap 'echo asked; exit 7' TERM; echo began; while :; do sleep 0.1; done";
    node.says("run -d --pod p --name a busybox sh -c").with([script]).ok();
    node.prints("a", "began");
    node.says("pod stop p").ok();
    assert_eq!(node.says("logs a").ok(), "began\nasked\n");
    assert_eq!(node.inspect("a")["State"]["ExitCode"], 7);
    let nothing = || sandbar_tests::living().is_empty().then_some(());
    until("that a stopped pod runs nothing", SOON, nothing);

    node.says("pod start p").ok();
    until("its second beginning", SOON, || {
        (node.says("logs a").ok() == "began\nasked\nbegan\n").then_some(())
    });
    let containers: Value = node.inspect_pod("p")["Containers"].clone();
    assert_eq!(containers.as_array().map(Vec::len), Some(2), "{containers}");
    node.says("pod stop -t 1 p").ok();
    node.says("pod rm p").ok();
}
