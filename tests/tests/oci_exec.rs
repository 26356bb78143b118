//! `sandbar oci exec`: how a further process comes into a container.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use sandbar_tests::{Bundle, Node, SOON, tests, until};
use serde_json::{Value, json};

tests! {
    what_of_the_host_a_new_process_has_is_never_seen_in_the_container,
    a_seccomp_agent_is_told_the_number_of_the_process,
    a_pid_file_is_written_through_no_link,
    a_new_process_is_where_the_container_has_made_cgroups_of_its_own [CgroupV2],
    a_session_keyring_is_nobody_elses_unless_asked_for [Perl],
}

/// Runs in the container, and writes down every process that it may look at and whose root is not its own.
const WATCH: &str = "touch /watching; while :; do for p in /proc/[0-9]*; do \
    [ -e $p/ns/mnt ] && ! [ $p/ns/mnt -ef /proc/self/ns/mnt ] && [ -e $p/ns/mnt ] && echo $p >> /seen; \
    done; done";

fn what_of_the_host_a_new_process_has_is_never_seen_in_the_container(node: &Node) {
    let all = json!(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]);
    let mut bundle = Bundle::new(node, "b").with("/root/readonly", json!(false));
    for set in ["bounding", "permitted", "effective"] {
        bundle = bundle.with(&format!("/process/capabilities/{set}"), all.clone());
    }
    let bundle = bundle.program(&["sh", "-c", WATCH]);
    bundle.create(node, "a");
    node.says("oci start a").ok();
    until("that it watches", SOON, || bundle.in_root("watching").exists().then_some(()));
    let begun = Instant::now();
    let mut times = 0;
    while times < 20 || (times < 200 && begun.elapsed() < Duration::from_secs(5)) {
        node.says("oci exec a true").ok();
        times += 1;
    }
    let seen = fs::read_to_string(bundle.in_root("seen")).unwrap_or_default();
    assert_eq!(seen.lines().next(), None, "of {times}");
    node.says("oci delete --force a").ok();
}

fn a_seccomp_agent_is_told_the_number_of_the_process(node: &Node) {
    let socket = node.path("agent.sock");
    let agent = UnixListener::bind(&socket).expect("the agent's socket");
    let told = || -> Value {
        // Its other end is closed only when the program is executed.
        let mut text = vec![0; 16 << 10];
        let (mut stream, _) = agent.accept().expect("the runtime");
        stream.set_read_timeout(Some(SOON)).expect("a time limit");
        let length = stream.read(&mut text).expect("the container process state");
        serde_json::from_slice(&text[..length]).expect("JSON")
    };
    let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
    let plain = Bundle::new(node, "b").with(
        "/linux/seccomp",
        json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": socket,
            "syscalls": [{ "names": ["swapoff"], "action": "SCMP_ACT_NOTIFY" }],
        }),
    );
    for user in [false, true] {
        let bundle = match user {
            false => plain.clone(),
            true => plain
                .clone()
                .with("/linux/uidMappings", map.clone())
                .with("/linux/gidMappings", map.clone())
                .adding("/linux/namespaces", json!({ "type": "user" })),
        };
        let first = bundle.create(node, "a").number();
        // With noNewPrivileges the filter is loaded just before the program.
        node.says("oci start a").ok();
        let state = told();
        assert_eq!((&state["pid"], &state["state"]["pid"]), (&json!(first), &json!(first)));
        let file = node.path("exec.pid");
        let exec = node.says("oci exec --detach --pid-file").with([&file]);
        exec.with(["a", "sleep", "999"]).detached().ok();
        let number: i32 = fs::read_to_string(file).expect("a pid file").parse().expect("a number");
        let state = told();
        assert_eq!((&state["pid"], &state["state"]["pid"]), (&json!(number), &json!(first)));
        node.says("oci delete --force a").ok();
    }
}

fn a_pid_file_is_written_through_no_link(node: &Node) {
    let bundle = Bundle::new(node, "b");
    let victim = node.file("victim", "as it was");
    symlink(&victim, node.path(".pid")).expect("a link");
    let first = bundle.create(node, "a");
    assert_eq!(fs::read_to_string(&victim).expect("the file"), "as it was");
    let file = node.path("pid");
    assert_eq!(fs::read_to_string(&file).expect("a pid file"), first.number().to_string());
    assert_eq!(fs::symlink_metadata(&file).expect("a file").mode(), 0o100_644);
    let left = fs::read_dir(node.path("")).expect("the directory").flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(".pid."));
    assert_eq!(left.count(), 0);
    node.says("oci delete --force a").ok();
}

fn a_new_process_is_where_the_container_has_made_cgroups_of_its_own(node: &Node) {
    let program = "cd /sys/fs/cgroup && mkdir a && echo 0 >a/cgroup.procs && \
        echo +pids >cgroup.subtree_control && touch /moved && exec sleep 1000";
    let mounted = json!({
        "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
        "options": ["nosuid", "noexec", "nodev"],
    });
    let bundle = Bundle::new(node, "b").with("/root/readonly", json!(false));
    let bundle = bundle.program(&["sh", "-c", program]).adding("/mounts", mounted);
    let resources = json!({ "pids": { "limit": 100 } });
    let bundle = bundle.with("/linux/resources", resources);
    bundle.create(node, "a");
    node.says("oci start a").ok();
    until("that it has moved", SOON, || bundle.in_root("moved").exists().then_some(()));
    assert_eq!(node.says("oci exec a cat /proc/self/cgroup").ok(), "0::/a\n");
    node.says("oci delete --force a").ok();
}

fn a_session_keyring_is_nobody_elses_unless_asked_for(node: &Node) {
    // KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING: its number.
    let call = if cfg!(target_arch = "x86_64") { 250 } else { 219 };
    let script = format!("$| = 1; print syscall({call}, 0, -3, 0), qq(\n); sleep $ARGV[0]");
    let look = |seconds: &'static str| ["/usr/bin/perl", "-e", &script, seconds].map(str::to_owned);
    let own = node.run("/usr/bin/perl", &look("0")[1..]).ok();
    let bundle = Bundle::new(node, "b").with("/root/path", json!("/"));
    let bundle = bundle.with("/process/args", json!(look("0")));
    let run = |options: &str| {
        let command = node.says("oci run").with(options.split_whitespace());
        command.with(["--bundle"]).with([bundle.path()]).with(["a"]).ok()
    };
    let (first, second) = (run(""), run(""));
    assert!(first != own && second != own && first != second, "{own}{first}{second}");
    assert_eq!(run("--no-new-keyring"), own);
    let bundle = bundle.clone().with("/process/args", json!(look("1000")));
    bundle.create(node, "a");
    node.says("oci start a").ok();
    assert_ne!(node.says("oci exec a").with(look("0")).ok(), own);
    node.says("oci delete --force a").ok();
}
