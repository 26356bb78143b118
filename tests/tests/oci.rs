//! `sandbar oci`: a runtime with runc's command line, driven by hand.

use std::fs;

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
    a_program_that_fails_to_start_is_told_by_run,
    nobody_acts_on_a_container_that_is_being_created,
    a_cgroup_that_is_somebody_elses_is_left_alone,
    descriptors_are_preserved_if_asked_and_no_others,
    a_terminal_is_sent_to_the_socket,
    a_terminal_is_shown_to_who_stays [Setsid],
    errors_are_logged_as_engines_read_them,
    a_create_that_is_killed_can_be_deleted,
    ps_and_list_show_what_there_is,
    cgroups_of_systemd_need_the_flag_and_systemd,
}

fn cgroups_of_systemd_need_the_flag_and_systemd(node: &Node) {
    let bundle = Bundle::new(node, "b").with("/linux/cgroupsPath", json!("a.slice:b:c"));
    bundle.run(node, "a").refused(1, &["a.slice:b:c", "--systemd-cgroup"]);
    let run = || node.says("oci --systemd-cgroup run --bundle").with([bundle.path()]).with(["a"]);
    // Nothing of a node's /run is the machine's.
    run().refused(1, &["--systemd-cgroup", "/run/systemd/system"]);
    fs::create_dir_all("/run/systemd/system").expect("what looks like systemd");
    run().refused(1, &["reach systemd"]);
    fs::remove_dir_all("/run/systemd").expect("its end");
    let bundle = bundle.with("/linux/cgroupsPath", json!("/a/b"));
    fs::create_dir_all("/run/systemd/system").expect("what looks like systemd");
    node.says("oci --systemd-cgroup run --bundle")
        .with([bundle.path()])
        .with(["a"])
        .refused(1, &["/a/b", "slice:prefix:name"]);
    assert_eq!(left_behind(), [""; 0]);
}

fn run_gives_the_programs_output_and_exit_code(node: &Node) {
    let bundle = Bundle::new(node, "b").program(&["sh", "-c", "echo out; echo err >&2; exit 7"]);
    let output = bundle.run(node, "a").code(7);
    assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("out\n", "err\n"));
    assert_eq!(left_behind(), [""; 0]);
}

fn a_container_is_created_then_started_then_deleted(node: &Node) {
    let bundle = Bundle::new(node, "b");
    let process = bundle.create(node, "a");
    let shown = node.oci_state("a");
    assert_eq!(shown["status"], "created");
    assert_eq!(shown["pid"], process.number());
    assert_eq!(shown["id"], "a");
    assert_eq!(shown["bundle"], bundle.path().display().to_string());
    node.says("oci start a").ok();
    assert_eq!(node.oci_state("a")["status"], "running");
    node.says("oci start a").refused(1, &["running"]);
    node.says("oci kill a KILL").ok();
    node.oci_becomes("a", "stopped");
    assert_eq!(node.oci_state("a")["pid"], 0);
    node.says("oci delete a").ok();
    node.says("oci state a").refused(1, &["does not exist"]);
    node.says("oci delete a").refused(1, &["does not exist"]);
    node.says("oci delete --force a").ok();
    assert_eq!(left_behind(), [""; 0]);
}

fn created_is_everything_but_the_program(node: &Node) {
    let bundle = Bundle::new(node, "b").with("/root/readonly", json!(false));
    let bundle = bundle.program(&["sh", "-c", "echo > /ran; sleep 1000"]);
    let process = bundle.create(node, "a");
    assert_eq!(process.status("CapEff"), "0000000020000420");
    assert_eq!(process.status("NoNewPrivs"), "1");
    assert_ne!(process.namespace("mnt"), Process::of(std::process::id().into()).namespace("mnt"));
    assert!(!bundle.in_root("ran").exists());
    node.says("oci start a").ok();
    until("that it runs", SOON, || bundle.in_root("ran").exists().then_some(()));
    node.says("oci delete --force a").ok();
    // One that was never started is deleted without force.
    bundle.create(node, "b");
    node.says("oci delete b").ok();
    // A program that is not there is told by create.
    let bundle = bundle.program(&["nonsense"]);
    let create = node.says("oci create a --bundle").with([bundle.path()]);
    create.refused(1, &["nonsense", "no such file or directory"]);
    assert_eq!(left_behind(), [""; 0]);
}

fn kill_says_when_there_is_nothing_to_kill(node: &Node) {
    let bundle = Bundle::new(node, "b").program(&["true"]);
    bundle.create(node, "a");
    node.says("oci start a").ok();
    node.oci_becomes("a", "stopped");
    node.says("oci kill a TERM").refused(1, &["container not running"]);
    node.says("oci kill a NONSENSE").code(2);
    node.says("oci kill b").refused(1, &["does not exist"]);
    node.says("oci delete a").ok();
}

fn delete_refuses_what_runs_unless_forced(node: &Node) {
    let bundle = Bundle::new(node, "b");
    bundle.create(node, "a");
    node.says("oci start a").ok();
    node.says("oci delete a").refused(1, &["not stopped"]);
    node.says("oci exec --detach a sh -c").with(["sleep 1000 & sleep 1000"]).detached().ok();
    node.says("oci delete --force a").ok();
    assert_eq!(left_behind(), [""; 0]);
}

fn exec_runs_a_further_process(node: &Node) {
    let bundle = Bundle::new(node, "b");
    bundle.create(node, "a");
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
    node.oci_becomes("a", "stopped");
    exec(&["a", "true"]).refused(1, &["not running"]);
    node.says("oci delete a").ok();
}

fn exec_takes_a_specification(node: &Node) {
    let bundle = Bundle::new(node, "b");
    bundle.create(node, "a");
    node.says("oci start a").ok();
    let process = json!({
        "args": ["sh", "-c", "echo $HOME; id -u"], "cwd": "/", "user": { "uid": 33, "gid": 33 },
        "env": ["PATH=/bin", "HOME=/there"],
    });
    let file = node.file("process.json", process.to_string());
    let printed = node.says("oci exec --process").with([&file]).with(["a"]).ok();
    assert_eq!(printed, "/there\n33\n");
    // What it says could not be told apart from what the options say.
    let both =
        node.says("oci --log-format json exec --cwd /tmp --process").with([&file]).with(["a"]);
    both.refused(2, &["--cwd", "--process", "sandbar oci exec --help"]);
    node.says("oci delete --force a").ok();
}

fn a_paused_container_stands_still(node: &Node) {
    let count = "i=0; while :; do i=$((i+1)); echo $i > /count; done";
    let bundle = Bundle::new(node, "b").with("/root/readonly", json!(false));
    let bundle = bundle.program(&["sh", "-c", count]);
    bundle.create(node, "a");
    node.says("oci start a").ok();
    let counted = || fs::read_to_string(bundle.in_root("count")).unwrap_or_default();
    until("a count", SOON, || (!counted().is_empty()).then_some(()));
    node.says("oci pause a").ok();
    assert_eq!(node.oci_state("a")["status"], "paused");
    let before = counted();
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(counted(), before);
    node.says("oci pause a").refused(1, &["paused"]);
    node.says("oci exec a true").refused(1, &["paused"]);
    node.says("oci resume a").ok();
    until("that it goes on", SOON, || (counted() != before).then_some(()));
    node.says("oci pause a").ok();
    node.says("oci kill a KILL").ok();
    node.oci_becomes("a", "stopped");
    node.says("oci delete a").ok();
    bundle.create(node, "a");
    node.says("oci start a").ok();
    node.says("oci pause a").ok();
    node.says("oci delete --force a").ok();
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
    node.oci_becomes("a", "stopped");
    node.says("oci delete a").ok();
    let bundle = bundle.with("/process/terminal", json!(false));
    let create = node.says("oci create a --console-socket /none --bundle").with([bundle.path()]);
    create.refused(1, &["process.terminal"]);
    assert_eq!(left_behind(), [""; 0]);
}

fn a_terminal_is_shown_to_who_stays(node: &Node) {
    let bundle = Bundle::new(node, "b").with("/process/terminal", json!(true));
    let bundle = bundle.with("/process/env", json!(["PATH=/bin", "PS1=>_"])).program(&["sh"]);
    let mut terminal = node.terminal(&bundle.run(node, "a"));
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
    let process = bundle.create(node, "a");
    bundle.create(node, "b");
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

fn a_program_that_fails_to_start_is_told_by_run(node: &Node) {
    let bundle = Bundle::new(node, "b").program(&["/script"]);
    fs::write(bundle.in_root("script"), "#!/none\n").expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(bundle.in_root("script"), mode).expect("chmod");
    bundle.run(node, "a").refused(1, &["/script", "interpreter", "no such file or directory"]);
    assert_eq!(left_behind(), [""; 0]);
    // Where the starter is gone, the exit code tells.
    bundle.create(node, "a");
    node.says("oci start a").ok();
    node.oci_becomes("a", "stopped");
    node.says("oci delete a").ok();
}

fn nobody_acts_on_a_container_that_is_being_created(node: &Node) {
    let hook =
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", "echo > /run/test/hook; sleep 2"] }]);
    let bundle = Bundle::new(node, "b").with("/hooks", json!({ "createRuntime": hook }));
    let create = node.says("oci create a --bundle").with([bundle.path()]).detached();
    let creating = create.begin();
    until("the hook", SOON, || node.path("hook").exists().then_some(()));
    assert_eq!(node.oci_state("a")["status"], "creating");
    node.says("oci exec a ls /").refused(1, &["creating"]);
    node.says("oci start a").refused(1, &["creating"]);
    node.says("oci delete a").within(std::time::Duration::from_secs(20)).run();
    creating.wait();
    node.says("oci delete --force a").ok();
    assert_eq!(left_behind(), [""; 0]);
}

fn a_cgroup_that_is_somebody_elses_is_left_alone(node: &Node) {
    let path = format!("/sandbar/oci/shared-{}", std::process::id());
    let bundle = Bundle::new(node, "b").with("/linux/cgroupsPath", json!(path));
    bundle.create(node, "a");
    node.says("oci start a").ok();
    bundle.run(node, "b").refused(1, &["cgroup", "has processes in it"]);
    assert_eq!(node.oci_state("a")["status"], "running");
    node.says("oci state b").refused(1, &["does not exist"]);
    node.says("oci delete --force a").ok();
    assert_eq!(left_behind(), [""; 0]);
}
