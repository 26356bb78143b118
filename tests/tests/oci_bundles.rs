//! `sandbar oci`: what bundles ask for, get and are refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sandbar_tests::{Bundle, Node, SOON, left_behind, tests, until};
use serde_json::{Value, json};

tests! {
    hooks_are_run_in_their_order_and_places,
    a_hook_that_fails_or_hangs_undoes_the_container,
    what_is_wrong_is_refused_before_anything_is_made,
    row_22_ids_are_of_one_grammar,
    row_2_the_program_is_run_from_a_read_only_copy,
    row_32_no_container_sees_anothers_environment,
    row_28_an_empty_device_list_denies,
    row_23_no_sysctl_of_the_callers_own_namespaces,
    row_3_the_hosts_device_nodes_keep_their_modes,
    limits_are_set_shown_and_changed [MemoryController, PidsController],
    a_container_starts_in_half_a_mebibyte [MemoryController],
    a_root_that_covers_the_hosts,
    features_are_told,
}

fn hooks_are_run_in_their_order_and_places(node: &Node) {
    let log = node.path("log");
    let line = |point: &str| {
        // What the hook is given, and whether it sees the host's files or the container's.
        let script = format!(
            "read state; echo \"{point} $HOOK $(hostname) $state\" >> {}",
            if point == "startContainer" { "/log".into() } else { log.display().to_string() }
        );
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin", "HOOK=yes"], "timeout": 5 }])
    };
    let points =
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    let hooks: serde_json::Map<_, _> =
        points.iter().map(|point| ((*point).to_owned(), line(point))).collect();
    let bundle = Bundle::new(node, "b").with("/root/readonly", json!(false));
    let bundle =
        bundle.with("/hooks", Value::Object(hooks)).with("/annotations", json!({"k": "v"}));
    let process = bundle.create(node, "a");
    let seen = || fs::read_to_string(&log).unwrap_or_default();
    let order = |text: &str| {
        let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        text.lines().map(first).collect::<Vec<_>>()
    };
    assert_eq!(order(&seen()), ["prestart", "createRuntime", "createContainer"]);
    for (line, host, status) in
        [(0, "node", "creating"), (1, "node", "creating"), (2, "sandbar", "creating")]
    {
        let seen = seen();
        let line = seen.lines().nth(line).expect("a line");
        let mut words = line.splitn(4, ' ').skip(1);
        assert_eq!((words.next(), words.next()), (Some("yes"), Some(host)), "{line}");
        let state: Value = serde_json::from_str(words.next().unwrap_or_default()).expect(line);
        assert_eq!(state["status"], status);
        assert_eq!(state["pid"], process.number());
        assert_eq!(state["annotations"]["k"], "v");
    }
    node.says("oci start a").ok();
    let inside = || fs::read_to_string(bundle.in_root("log")).unwrap_or_default();
    until("startContainer", SOON, || inside().contains("\"status\":\"created\"").then_some(()));
    assert!(seen().contains("poststart yes node "), "{}", seen());
    node.says("oci delete --force a").ok();
    assert!(seen().contains("poststop yes node ") && seen().contains("\"status\":\"stopped\""));
    assert_eq!(left_behind(), [""; 0]);
}

fn a_hook_that_fails_or_hangs_undoes_the_container(node: &Node) {
    let bundle = Bundle::new(node, "b");
    let with = |bundle: Bundle, point: &str, script: &str| {
        bundle.with(
            "/hooks",
            json!({ point: [{ "path": "/bin/sh", "args": ["sh", "-c", script], "timeout": 1 }] }),
        )
    };
    let mut bundle = bundle;
    for point in ["prestart", "createRuntime", "createContainer"] {
        for (script, said) in [("exit 3", "exit status: 3"), ("sleep 1000", "not over after 1 s")] {
            bundle = with(bundle, point, script);
            let create = node.says("oci create a --bundle").with([bundle.path()]);
            create.refused(1, &[point, said]);
            until("that nothing is left", SOON, || left_behind().is_empty().then_some(()));
        }
    }
    let bundle = with(bundle, "poststart", "exit 3");
    bundle.create(node, "a");
    node.says("oci start a").refused(1, &["poststart"]);
    node.oci_becomes("a", "stopped");
    // What those before made, those after remove.
    let both = json!({
        "prestart": [{ "path": "/bin/sh", "args": ["sh", "-c", "exit 3"] }],
        "poststop": [{ "path": "/bin/sh", "args": ["sh", "-c", "echo > /run/test/after"] }],
    });
    let bundle = bundle.with("/hooks", both);
    node.says("oci delete a").ok();
    bundle.run(node, "a").refused(1, &["prestart"]);
    assert!(node.path("after").exists(), "poststop was not run");
    bundle.with("/hooks", json!({})).create(node, "a");
    let bundle = with(Bundle::new(node, "p"), "poststop", "exit 3");
    node.says("oci delete a").ok();
    bundle.create(node, "a");
    assert!(node.says("oci delete a").code(0).stderr().contains("poststop"));
    for (hook, said) in [
        (json!({ "path": "bin/sh" }), "absolute"),
        (json!({ "path": "/bin/sh", "timeout": 0 }), "timeout"),
    ] {
        let bundle = Bundle::new(node, said).with("/hooks", json!({ "prestart": [hook] }));
        node.says("oci create a --bundle")
            .with([bundle.path()])
            .refused(1, &["hooks.prestart", said]);
    }
    assert_eq!(left_behind(), [""; 0]);
}

fn what_is_wrong_is_refused_before_anything_is_made(node: &Node) {
    for (number, (place, value, words)) in [
        ("/process/args", json!([]), ["process.args", "program"]),
        ("/process/cwd", json!("relative"), ["process.cwd", "relative"]),
        (
            "/linux/namespaces",
            json!([{ "type": "mount", "path": "/proc/self/ns/mnt" }]),
            ["linux.namespaces mount", "path"],
        ),
        ("/ociVersion", json!("2.0.0"), ["ociVersion", "2.0.0"]),
        ("/root/path", json!("nowhere"), ["root.path", "nowhere"]),
        ("/linux/cgroupsPath", json!("/a/../../b"), ["cgroupsPath", ".."]),
        ("/process/args", json!("true"), ["config.json", "process.args"]),
    ]
    .into_iter()
    .enumerate()
    {
        let bundle = Bundle::new(node, &format!("b{number}")).with(place, value);
        bundle.run(node, "a").refused(1, &words);
        assert_eq!(left_behind(), [""; 0]);
    }
    node.says("oci run a").refused(1, &["config.json"]);
    node.says("oci run --bundle /none a").refused(1, &["/none"]);
    let bundle = Bundle::new(node, "b");
    bundle.create(node, "a");
    bundle.run(node, "a").refused(1, &["exists"]);
    assert_eq!(node.oci_state("a")["status"], "created", "the other is as it was");
    node.says("oci delete a").ok();
}

fn row_22_ids_are_of_one_grammar(node: &Node) {
    let bundle = Bundle::new(node, "b");
    let long = "a".repeat(256);
    for id in ["", ".", "..", "../a", "a/b", "a b", "é", "a\n", long.as_str()] {
        bundle.run(node, id).refused(1, &["invalid container id"]);
        node.says("oci delete --force").with([id]).refused(1, &["invalid container id"]);
    }
    assert_eq!(left_behind(), [""; 0]);
}

fn row_2_the_program_is_run_from_a_read_only_copy(node: &Node) {
    let bundle = Bundle::new(node, "b").with("/root/readonly", json!(false));
    // The kernel runs the script's interpreter: the runtime itself.
    fs::write(bundle.in_root("trap"), "#!/proc/self/exe\n").expect("a script");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(bundle.in_root("trap"), mode).expect("chmod");
    let before = fs::read(node.program()).expect("the program");
    let bundle = bundle.program(&["/trap"]);
    bundle.run(node, "a").run();
    let steal =
        "for i in $(seq 400); do for e in /proc/[0-9]*/exe; do (echo > $e) 2>/dev/null; done; done";
    let bundle = bundle.program(&["sh", "-c", steal]);
    bundle.create(node, "a");
    node.says("oci start a").ok();
    for _ in 0..50 {
        node.says("oci exec a /trap").run();
    }
    node.says("oci delete --force a").ok();
    assert!(fs::read(node.program()).expect("the program") == before, "it was written to");
}

fn row_32_no_container_sees_anothers_environment(node: &Node) {
    let bundles: Vec<_> = (0..50)
        .map(|number| {
            let own = format!("OWN=secret-{number}-");
            let bundle = Bundle::new(node, &format!("b{number}"));
            let bundle = bundle.with("/process/env", json!(["PATH=/bin", own]));
            bundle.program(&["sh", "-c", "env; cat /proc/*/environ"])
        })
        .collect();
    std::thread::scope(|scope| {
        for (number, bundle) in bundles.iter().enumerate() {
            scope.spawn(move || {
                let run = bundle.run(node, &format!("c{number}"));
                let printed = run.within(std::time::Duration::from_secs(60)).ok();
                assert!(printed.contains(&format!("secret-{number}-")), "{printed}");
                let all = printed.matches("secret-").count();
                assert_eq!(printed.matches(&format!("secret-{number}-")).count(), all, "{printed}");
            });
        }
    });
    assert_eq!(left_behind(), [""; 0]);
}

fn row_28_an_empty_device_list_denies(node: &Node) {
    let all = json!(["CAP_MKNOD", "CAP_DAC_OVERRIDE"]);
    let sets = json!({ "bounding": all, "permitted": all, "effective": all });
    let bundle = Bundle::new(node, "b").with("/process/capabilities", sets);
    // FUSE, which anybody may open who has a node of it, and the null device.
    let script = "mknod /dev/k c 10 229 && mknod /dev/n c 1 3 && : > /dev/n && : < /dev/k";
    let bundle = bundle.program(&["sh", "-c", script]);
    let refused = |bundle: &Bundle| {
        let output = bundle.run(node, "a").code(1);
        assert!(output.stderr().contains("/dev/k: Operation not permitted"), "{output}");
    };
    refused(&bundle.with("/linux/resources", json!({})));
    let bundle = Bundle::new(node, "c").with(
        "/process/capabilities",
        json!({ "bounding": all, "permitted": all, "effective": all }),
    );
    let bundle = bundle.program(&["sh", "-c", script]);
    refused(&bundle);
    let bundle = bundle.with("/linux/resources", json!({ "devices": [] }));
    refused(&bundle);
    let bundle = bundle
        .with("/linux/resources", json!({ "devices": [{ "allow": false, "access": "rwm" }] }));
    refused(&bundle);
    let fuse = json!({ "allow": true, "type": "c", "major": 10, "minor": 229, "access": "r" });
    // A kernel may have none.
    let output = bundle.with("/linux/resources", json!({ "devices": [fuse] })).run(node, "a").run();
    assert!(!output.stderr().contains("not permitted"), "{output}");
}

fn limits_are_set_shown_and_changed(node: &Node) {
    let limits = json!({ "memory": { "limit": 64 << 20 }, "pids": { "limit": 20 } });
    let bundle = Bundle::new(node, "b").with("/linux/resources", limits);
    bundle.create(node, "a");
    node.says("oci start a").ok();
    let stats = || -> Value {
        serde_json::from_str(&node.says("oci events --stats a").ok()).expect("JSON")
    };
    let shown = stats();
    assert_eq!((&shown["type"], &shown["id"]), (&json!("stats"), &json!("a")));
    assert_eq!(shown["data"]["memory"]["usage"]["limit"], 64 << 20);
    assert_eq!(shown["data"]["pids"], json!({ "current": 1, "limit": 20 }));
    assert!(shown["data"]["cpu"]["usage"]["total"].as_u64() > Some(0), "{shown}");
    node.says("oci update --memory 32m --pids-limit 10 a").ok();
    assert_eq!(stats()["data"]["memory"]["usage"]["limit"], 32 << 20);
    assert_eq!(stats()["data"]["pids"]["limit"], 10);
    node.says("oci update --resources - a").input(r#"{ "pids": { "limit": 5 } }"#).ok();
    assert_eq!(stats()["data"]["pids"]["limit"], 5);
    let devices = r#"{ "devices": [{ "allow": false, "access": "rwm" }] }"#;
    node.says("oci update --resources - a").input(devices).ok();
    node.says("oci exec a sh -c").with([": > /dev/null"]).ok();
    assert_eq!(stats()["data"]["memory"]["usage"]["limit"], 32 << 20, "the rest stays");
    let forks = "for i in 1 2 3 4 5 6 7 8; do sleep 9 >/dev/null 2>&1 & done";
    assert!(node.says("oci exec a sh -c").with([forks]).run().stderr().contains("fork"));
    node.says("oci update --memory lots a").code(2);
    node.says("oci delete --force a").ok();
    node.says("oci update --pids-limit 5 a").refused(1, &["does not exist"]);
}

fn a_container_starts_in_half_a_mebibyte(node: &Node) {
    let limits = json!({ "memory": { "limit": 512 << 10 } });
    let bundle = Bundle::new(node, "b").with("/linux/resources", limits);
    assert_eq!(bundle.program(&["echo", "small"]).run(node, "a").ok(), "small\n");
}

fn a_root_that_covers_the_hosts(node: &Node) {
    let bundle = Bundle::new(node, "b").program(&["sh", "-c", "ls /; ls /proc/1/root/"]);
    let output = node.says("oci run --no-pivot --bundle").with([bundle.path()]).with(["a"]).ok();
    assert!(output.contains("bin\n") && !output.contains("lib64"), "{output}");
    assert_eq!(left_behind(), [""; 0]);
}

fn features_are_told(node: &Node) {
    let features: Value = serde_json::from_str(&node.says("oci features").ok()).expect("JSON");
    assert_eq!(features["ociVersionMin"], "1.0.0");
    for (list, word) in
        [("/hooks", "startContainer"), ("/mountOptions", "rro"), ("/linux/namespaces", "time")]
    {
        let list = features.pointer(list).and_then(Value::as_array).expect(list);
        assert!(list.contains(&json!(word)), "{word}");
    }
}

fn row_23_no_sysctl_of_the_callers_own_namespaces(node: &Node) {
    let bundle =
        Bundle::new(node, "b").with("/linux/sysctl", json!({ "net.ipv4.ip_default_ttl": "77" }));
    let own = format!("/proc/{}/ns/net", std::process::id());
    let spec = |path: Option<&str>| {
        let mut network = json!({ "type": "network" });
        path.into_iter().for_each(|path| network["path"] = json!(path));
        json!([{ "type": "mount" }, { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, network])
    };
    let read = &["cat", "/proc/sys/net/ipv4/ip_default_ttl"];
    let bundle = bundle.with("/linux/namespaces", spec(Some(&own))).program(read);
    bundle.run(node, "a").refused(1, &["linux.sysctl net.ipv4.ip_default_ttl", "host"]);
    let ours = fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").expect("a sysctl");
    assert_ne!(ours, "77\n");
    assert_eq!(bundle.with("/linux/namespaces", spec(None)).run(node, "a").ok(), "77\n");
}

fn row_3_the_hosts_device_nodes_keep_their_modes(node: &Node) {
    let before = fs::metadata("/dev/null").expect("/dev/null").permissions();
    let caps = json!(["CAP_FOWNER", "CAP_CHOWN", "CAP_DAC_OVERRIDE"]);
    let sets = json!({ "bounding": caps, "permitted": caps, "effective": caps });
    let proc = json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]);
    // Without a /dev of its own, nodes are the host's.
    let bundle = Bundle::new(node, "b").with("/process/capabilities", sets).with("/mounts", proc);
    let bundle = bundle.with("/root/readonly", json!(false));
    let bundle = bundle.program(&["sh", "-c", "echo > /dev/null && ! chmod 640 /dev/null"]);
    bundle.run(node, "a").code(0);
    assert_eq!(fs::metadata("/dev/null").expect("/dev/null").permissions(), before);
}
