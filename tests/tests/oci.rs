//! `sandbar oci`: a runtime with runc's command line, driven by hand.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sandbar_tests::{Bundle, Node, Process, SOON, left_behind, tests, until};
use serde_json::{Value, json};

tests! {
    run_gives_the_programs_output_and_exit_code,
    a_container_is_created_then_started_then_deleted,
    created_is_everything_but_the_program,
    kill_says_when_there_is_nothing_to_kill,
    delete_refuses_what_runs_unless_forced,
    exec_runs_a_further_process,
    exec_takes_a_specification,
    a_paused_container_stands_still,
    hooks_are_run_in_their_order_and_places,
    a_hook_that_fails_or_hangs_undoes_the_container,
    descriptors_are_preserved_if_asked_and_no_others,
    a_terminal_is_sent_to_the_socket,
    a_terminal_is_shown_to_who_stays [Setsid],
    errors_are_logged_as_engines_read_them,
    what_is_wrong_is_refused_before_anything_is_made,
    row_22_ids_are_of_one_grammar,
    row_2_the_program_is_run_from_a_read_only_copy,
    row_32_no_container_sees_anothers_environment,
    row_28_an_empty_device_list_denies,
    limits_are_set_shown_and_changed [MemoryController, PidsController],
    a_container_starts_in_half_a_mebibyte [MemoryController],
    a_root_that_covers_the_hosts,
    features_are_told,
    a_create_that_is_killed_can_be_deleted,
    ps_and_list_show_what_there_is,
}

fn run(node: &Node, bundle: &Bundle, id: &str) -> sandbar_tests::Command {
    node.says("oci run --bundle").with([bundle.path()]).with([id])
}

fn create(node: &Node, bundle: &Bundle, id: &str) -> Process {
    let file = node.path("pid");
    let command = node.says("oci create --pid-file").with([&file]).with(["--bundle"]);
    // Nobody reads what a container that stays prints.
    command.with([bundle.path()]).with([id]).detached().ok();
    Process::of(fs::read_to_string(file).expect("a pid file").parse().expect("a number"))
}

fn state(node: &Node, id: &str) -> Value {
    serde_json::from_str(&node.says("oci state").with([id]).ok()).expect("JSON")
}

fn becomes(node: &Node, id: &str, status: &str) {
    until(status, SOON, || (state(node, id)["status"] == status).then_some(()));
}

fn run_gives_the_programs_output_and_exit_code(node: &Node) {
    let bundle = Bundle::new(node, "b").program(&["sh", "-c", "echo out; echo err >&2; exit 7"]);
    let output = run(node, &bundle, "a").code(7);
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("out\n", "err\n"));
    assert_eq!(left_behind(), [""; 0]);
}

fn a_container_is_created_then_started_then_deleted(node: &Node) {
    let bundle = Bundle::new(node, "b");
    let process = create(node, &bundle, "a");
    let shown = state(node, "a");
    assert_eq!(shown["status"], "created");
    assert_eq!(shown["pid"], process.number());
    assert_eq!(shown["id"], "a");
    assert_eq!(shown["bundle"], bundle.path().display().to_string());
    node.says("oci start a").ok();
    assert_eq!(state(node, "a")["status"], "running");
    node.says("oci start a").refused(1, &["running"]);
    node.says("oci kill a KILL").ok();
    becomes(node, "a", "stopped");
    assert_eq!(state(node, "a")["pid"], 0);
    node.says("oci delete a").ok();
    node.says("oci state a").refused(1, &["does not exist"]);
    node.says("oci delete a").refused(1, &["does not exist"]);
    node.says("oci delete --force a").ok();
    assert_eq!(left_behind(), [""; 0]);
}

fn created_is_everything_but_the_program(node: &Node) {
    let bundle = Bundle::new(node, "b").with("/root/readonly", json!(false));
    let bundle = bundle.program(&["sh", "-c", "echo > /ran; sleep 1000"]);
    let process = create(node, &bundle, "a");
    assert_eq!(process.status("CapEff"), "0000000020000420");
    assert_eq!(process.status("NoNewPrivs"), "1");
    assert_ne!(process.namespace("mnt"), Process::of(std::process::id().into()).namespace("mnt"));
    assert!(!bundle.in_root("ran").exists());
    node.says("oci start a").ok();
    until("that it runs", SOON, || bundle.in_root("ran").exists().then_some(()));
    node.says("oci delete --force a").ok();
    // One that was never started is deleted without force.
    create(node, &bundle, "b");
    node.says("oci delete b").ok();
    // A program that is not there is told by create.
    let bundle = bundle.program(&["nonsense"]);
    let create = node.says("oci create a --bundle").with([bundle.path()]);
    create.refused(1, &["nonsense", "no such file or directory"]);
    assert_eq!(left_behind(), [""; 0]);
}

fn kill_says_when_there_is_nothing_to_kill(node: &Node) {
    let bundle = Bundle::new(node, "b").program(&["true"]);
    create(node, &bundle, "a");
    node.says("oci start a").ok();
    becomes(node, "a", "stopped");
    node.says("oci kill a TERM").refused(1, &["container not running"]);
    node.says("oci kill a NONSENSE").code(2);
    node.says("oci kill b").refused(1, &["does not exist"]);
    node.says("oci delete a").ok();
}

fn delete_refuses_what_runs_unless_forced(node: &Node) {
    let bundle = Bundle::new(node, "b");
    create(node, &bundle, "a");
    node.says("oci start a").ok();
    node.says("oci delete a").refused(1, &["not stopped"]);
    node.says("oci exec --detach a sh -c").with(["sleep 1000 & sleep 1000"]).detached().ok();
    node.says("oci delete --force a").ok();
    assert_eq!(left_behind(), [""; 0]);
}

fn exec_runs_a_further_process(node: &Node) {
    let bundle = Bundle::new(node, "b");
    create(node, &bundle, "a");
    node.says("oci start a").ok();
    let exec = |words: &[&str]| node.says("oci exec").with(words.iter().copied());
    assert_eq!(exec(&["a", "cat", "/proc/1/comm"]).ok(), "sleep\n");
    assert_eq!(
        exec(&["-e", "A=b", "--cwd", "/tmp", "a", "sh", "-c", "echo $A; pwd"]).ok(),
        "b\n/tmp\n"
    );
    assert_eq!(exec(&["--user", "1000:1000", "a", "id", "-u"]).ok(), "1000\n");
    exec(&["a", "sh", "-c", "exit 9"]).code(9);
    exec(&["a", "nonsense"]).refused(1, &["no such file or directory"]);
    assert_eq!(
        exec(&["a", "grep", "CapInh", "/proc/self/status"]).ok(),
        "CapInh:\t0000000000000000\n"
    );
    let file = node.path("exec.pid");
    let detached = exec(&["--detach", "--pid-file"]).with([&file]).with(["a", "sleep", "999"]);
    detached.detached().ok();
    let process = Process::of(fs::read_to_string(file).expect("a pid file").parse().expect("one"));
    assert_eq!(process.command(), "sleep 999");
    node.says("oci kill a KILL").ok();
    becomes(node, "a", "stopped");
    exec(&["a", "true"]).refused(1, &["not running"]);
    node.says("oci delete a").ok();
}

fn exec_takes_a_specification(node: &Node) {
    let bundle = Bundle::new(node, "b");
    create(node, &bundle, "a");
    node.says("oci start a").ok();
    let process = json!({
        "args": ["sh", "-c", "echo $HOME; id -u"], "cwd": "/", "user": { "uid": 33, "gid": 33 },
        "env": ["PATH=/bin", "HOME=/there"],
    });
    let file = node.file("process.json", process.to_string());
    let printed = node.says("oci exec --process").with([&file]).with(["a"]).ok();
    assert_eq!(printed, "/there\n33\n");
    node.says("oci delete --force a").ok();
}

fn a_paused_container_stands_still(node: &Node) {
    let count = "i=0; while :; do i=$((i+1)); echo $i > /count; done";
    let bundle = Bundle::new(node, "b").with("/root/readonly", json!(false));
    let bundle = bundle.program(&["sh", "-c", count]);
    create(node, &bundle, "a");
    node.says("oci start a").ok();
    let counted = || fs::read_to_string(bundle.in_root("count")).unwrap_or_default();
    until("a count", SOON, || (!counted().is_empty()).then_some(()));
    node.says("oci pause a").ok();
    assert_eq!(state(node, "a")["status"], "paused");
    let before = counted();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(counted(), before);
    node.says("oci pause a").refused(1, &["paused"]);
    node.says("oci exec a true").refused(1, &["paused"]);
    node.says("oci resume a").ok();
    until("that it goes on", SOON, || (counted() != before).then_some(()));
    node.says("oci pause a").ok();
    node.says("oci delete --force a").ok();
    assert_eq!(left_behind(), [""; 0]);
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
    let process = create(node, &bundle, "a");
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
    create(node, &bundle, "a");
    node.says("oci start a").refused(1, &["poststart"]);
    becomes(node, "a", "stopped");
    let bundle = with(bundle, "poststop", "exit 3");
    node.says("oci delete a").ok();
    create(node, &bundle, "a");
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

fn descriptors_are_preserved_if_asked_and_no_others(node: &Node) {
    let bundle = Bundle::new(node, "b").program(&["ls", "/proc/self/fd"]);
    let script = |count| {
        format!(
            "exec {} oci run --preserve-fds {count} --bundle {} a 3</dev/null 4</dev/null",
            node.program().display(),
            bundle.path().display()
        )
    };
    // The last is ls's own.
    let run = |count: u32| node.run("/bin/busybox", ["sh", "-c"]).with([script(count)]).run();
    assert_eq!(run(0).stdout(), "0\n1\n2\n3\n");
    assert_eq!(run(2).stdout(), "0\n1\n2\n3\n4\n5\n");
    assert!(run(3).stderr().contains("descriptor 5 is not open"));
    assert_eq!(left_behind(), [""; 0]);
}

fn a_terminal_is_sent_to_the_socket(node: &Node) {
    let bundle = Bundle::new(node, "b").with("/process/terminal", json!(true));
    let bundle =
        bundle.program(&["sh", "-c", "tty; test -t 0 && test -t 1 && test -t 2 && echo all"]);
    let create = node.says("oci create a --bundle").with([bundle.path()]);
    create.refused(1, &["--console-socket"]);
    let socket = node.path("console");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    create.with(["--console-socket"]).with([&socket]).ok();
    let (stream, _) = listener.accept().expect("a connection");
    let terminal = sandbar_tests::receive_descriptor(&stream);
    node.says("oci start a").ok();
    let mut shown = String::new();
    let mut terminal = fs::File::from(terminal);
    // The end of a terminal is an error.
    let _end = std::io::Read::read_to_string(&mut terminal, &mut shown);
    assert!(shown.contains("/dev/pts/0\r\nall\r\n"), "{shown:?}");
    becomes(node, "a", "stopped");
    node.says("oci delete a").ok();
    let bundle = bundle.with("/process/terminal", json!(false));
    let create = node.says("oci create a --console-socket /none --bundle").with([bundle.path()]);
    create.refused(1, &["process.terminal"]);
    assert_eq!(left_behind(), [""; 0]);
}

fn a_terminal_is_shown_to_who_stays(node: &Node) {
    let bundle = Bundle::new(node, "b").with("/process/terminal", json!(true));
    let bundle = bundle.with("/process/env", json!(["PATH=/bin", "PS1=>_"])).program(&["sh"]);
    let mut terminal = node.terminal(&run(node, &bundle, "a"));
    terminal.shows(">_");
    terminal.type_in("tty; stty size; exit 5\r");
    terminal.shows("/dev/pts/0\r\n24 80\r\n");
    assert_eq!(terminal.wait(), 5);
    assert!(terminal.echoes(), "the caller's terminal is as it was");
    assert_eq!(left_behind(), [""; 0]);
}

fn errors_are_logged_as_engines_read_them(node: &Node) {
    let log = node.path("log");
    let oci = |format: &str| {
        node.says("oci --log").with([&log]).with(["--log-format", format, "state", "none"])
    };
    oci("json").refused(1, &["does not exist"]);
    let line: Value =
        serde_json::from_str(fs::read_to_string(&log).expect("a log").trim()).expect("JSON");
    assert_eq!(
        (line["level"].as_str(), line["msg"].as_str()),
        (Some("error"), Some("container none does not exist"))
    );
    assert!(line["time"].as_str().is_some_and(|time| time.starts_with("20")));
    oci("text").code(1);
    let text = fs::read_to_string(&log).expect("a log");
    assert!(text.contains("level=error msg=\"container none does not exist\""), "{text}");
}

fn what_is_wrong_is_refused_before_anything_is_made(node: &Node) {
    for (number, (place, value, words)) in [
        ("/process/args", json!([]), ["process.args", "program"]),
        ("/process/cwd", json!("relative"), ["process.cwd", "relative"]),
        ("/ociVersion", json!("2.0.0"), ["ociVersion", "2.0.0"]),
        ("/root/path", json!("nowhere"), ["root.path", "nowhere"]),
        ("/linux/cgroupsPath", json!("/a/../../b"), ["cgroupsPath", ".."]),
        ("/process/args", json!("true"), ["config.json", "process.args"]),
    ]
    .into_iter()
    .enumerate()
    {
        let bundle = Bundle::new(node, &format!("b{number}")).with(place, value);
        run(node, &bundle, "a").refused(1, &words);
        assert_eq!(left_behind(), [""; 0]);
    }
    node.says("oci run a").refused(1, &["config.json"]);
    node.says("oci run --bundle /none a").refused(1, &["/none"]);
    let bundle = Bundle::new(node, "b");
    create(node, &bundle, "a");
    run(node, &bundle, "a").refused(1, &["exists"]);
    assert_eq!(state(node, "a")["status"], "created", "the other is as it was");
    node.says("oci delete a").ok();
}

fn row_22_ids_are_of_one_grammar(node: &Node) {
    let bundle = Bundle::new(node, "b");
    let long = "a".repeat(256);
    for id in ["", ".", "..", "../a", "a/b", "a b", "é", "a\n", long.as_str()] {
        run(node, &bundle, id).refused(1, &["invalid container id"]);
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
    run(node, &bundle, "a").run();
    let steal =
        "for i in $(seq 400); do for e in /proc/[0-9]*/exe; do (echo > $e) 2>/dev/null; done; done";
    let bundle = bundle.program(&["sh", "-c", steal]);
    create(node, &bundle, "a");
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
                let run = run(node, bundle, &format!("c{number}"));
                let printed = run.within(std::time::Duration::from_secs(60)).ok();
                assert!(printed.contains(&format!("secret-{number}-")), "{printed}");
                let all = printed.matches("secret-").count();
                assert_eq!(printed.matches(&format!("secret-{number}-")).count(), all, "{printed}");
            });
        }
    });
    assert_eq!(left_behind(), [""; 0]);
}

fn a_create_that_is_killed_can_be_deleted(node: &Node) {
    let bundle = Bundle::new(node, "b");
    for after in (0..40).map(|step| std::time::Duration::from_micros(step * 150)) {
        let create = node.says("oci create a --bundle").with([bundle.path()]).detached();
        let running = create.begin();
        std::thread::sleep(after);
        running.kill();
        node.says("oci delete --force a").ok();
        until("that nothing is left", SOON, || left_behind().is_empty().then_some(()));
    }
}

fn ps_and_list_show_what_there_is(node: &Node) {
    let bundle = Bundle::new(node, "b");
    let process = create(node, &bundle, "a");
    create(node, &bundle, "b");
    node.says("oci start a").ok();
    assert!(node.says("oci ps a").ok().contains("sleep 1000"));
    let numbers: Value =
        serde_json::from_str(&node.says("oci ps --format json a").ok()).expect("JSON");
    assert_eq!(numbers, json!([process.number()]));
    assert_eq!(node.says("oci list -q").ok(), "a\nb\n");
    let list: Value =
        serde_json::from_str(&node.says("oci list --format json").ok()).expect("JSON");
    assert_eq!((&list[0]["status"], &list[1]["status"]), (&json!("running"), &json!("created")));
    node.says("oci delete --force a").ok();
    node.says("oci delete --force b").ok();
    assert_eq!(node.says("oci list -q").ok(), "");
}

fn row_28_an_empty_device_list_denies(node: &Node) {
    let all = json!(["CAP_MKNOD", "CAP_DAC_OVERRIDE"]);
    let sets = json!({ "bounding": all, "permitted": all, "effective": all });
    let bundle = Bundle::new(node, "b").with("/process/capabilities", sets);
    // FUSE, which anybody may open who has a node of it, and the null device.
    let script = "mknod /dev/k c 10 229 && mknod /dev/n c 1 3 && : > /dev/n && : < /dev/k";
    let bundle = bundle.program(&["sh", "-c", script]);
    let refused = |bundle: &Bundle| {
        let output = run(node, bundle, "a").code(1);
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
    let output =
        run(node, &bundle.with("/linux/resources", json!({ "devices": [fuse] })), "a").run();
    assert!(!output.stderr().contains("not permitted"), "{output}");
}

fn limits_are_set_shown_and_changed(node: &Node) {
    let limits = json!({ "memory": { "limit": 64 << 20 }, "pids": { "limit": 20 } });
    let bundle = Bundle::new(node, "b").with("/linux/resources", limits);
    create(node, &bundle, "a");
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
    assert_eq!(run(node, &bundle.program(&["echo", "small"]), "a").ok(), "small\n");
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
