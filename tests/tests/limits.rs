//! What a container may use at most.

use std::fs;
use std::time::Duration;

use sandbar_tests::{Node, Process, tests};

tests! {
    too_much_memory_ends_it_and_is_told [MemoryController],
    a_fork_bomb_stops_at_the_limit [PidsController],
    the_usual_limit_of_processes_is_2048 [PidsController],
    processors_memory_and_weight_are_written_to_the_cgroup [CpuController, MemoryController],
    ulimits_are_set_for_run_and_exec,
    what_can_not_be_raised_is_told_and_not_fatal,
    limits_that_can_not_be_are_refused,
}

/// A file of the cgroup of a process: the version 1 name, then that of version 2.
fn setting(process: Process, controller: &str, v1: &str, v2: &str) -> String {
    let cgroups = fs::read_to_string(process.proc("cgroup")).expect("a living process");
    let of_v1 = cgroups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let is = fields.next()?.split(',').any(|name| name == controller);
        is.then(|| fields.next()).flatten()
    });
    let path = match of_v1 {
        Some(path) => {
            let mounts = fs::read_to_string("/proc/mounts").expect("/proc/mounts");
            let point = mounts.lines().find_map(|line| {
                let fields: Vec<&str> = line.split(' ').collect();
                let is = fields[2] == "cgroup" && fields[3].split(',').any(|it| it == controller);
                is.then(|| fields[1].to_owned())
            });
            format!("{}{path}/{v1}", point.expect("the hierarchy"))
        }
        None => {
            let path =
                cgroups.lines().find_map(|line| line.strip_prefix("0::")).expect("version 2");
            format!("/sys/fs/cgroup{path}/{v2}")
        }
    };
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().to_owned()
}

fn too_much_memory_ends_it_and_is_told(node: &Node) {
    node.has_busybox();
    // tail keeps all of a line that does not end.
    let run = node.says("run --name a --net none --memory 16m --memory-swap 16m busybox sh -c");
    run.with(["exec tail -c 200m /dev/zero"]).code(137);
    let state = node.inspect("a")["State"].clone();
    assert_eq!((&state["ExitCode"], &state["OOMKilled"]), (&137.into(), &true.into()), "{state}");
    node.says("rm a").ok();
    // One that is killed by hand was not short of memory.
    node.says("run -d --name b --net none --memory 16m busybox sleep 1000").ok();
    node.says("kill b").ok();
    node.says("wait b").ok();
    assert_eq!(node.inspect("b")["State"]["OOMKilled"], false);
    node.says("rm b").ok();
}

fn a_fork_bomb_stops_at_the_limit(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --net none --pids-limit 20 busybox sh -c")
        .with(["bomb() { bomb | bomb & }; bomb; sleep 1000"])
        .ok();
    let process = node.process("a");
    for _ in 0..20 {
        let count = setting(process, "pids", "pids.current", "pids.current");
        assert!(count.parse::<u32>().expect("a number") <= 20, "{count}");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(setting(process, "pids", "pids.max", "pids.max"), "20");
    // The node is as quick as ever.
    node.says("run --rm --net none busybox true").within(Duration::from_secs(3)).ok();
    node.says("rm -f a").ok();
}

fn the_usual_limit_of_processes_is_2048(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --net none busybox sleep 1000").ok();
    node.says("run -d --name b --net none --pids-limit -1 busybox sleep 1000").ok();
    assert_eq!(setting(node.process("a"), "pids", "pids.max", "pids.max"), "2048");
    assert_eq!(setting(node.process("b"), "pids", "pids.max", "pids.max"), "max");
    node.says("rm -f a b").ok();
}

fn processors_memory_and_weight_are_written_to_the_cgroup(node: &Node) {
    node.has_busybox();
    let run = node.says("run -d --name a --net none --cpus 0.25 --cpu-shares 512 --memory 64m");
    run.with(["busybox", "sleep", "1000"]).ok();
    let process = node.process("a");
    let memory = setting(process, "memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!(memory, (64 << 20).to_string());
    let quota = setting(process, "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert!(quota == "25000" || quota == "25000 100000", "{quota}");
    if quota == "25000" {
        assert_eq!(setting(process, "cpu", "cpu.cfs_period_us", ""), "100000");
        assert_eq!(setting(process, "cpu", "cpu.shares", ""), "512");
    }
    let limits = node.inspect("a")["HostConfig"].clone();
    assert_eq!(limits["Memory"], 64 << 20, "{limits}");
    assert_eq!(limits["NanoCpus"], 250_000_000, "{limits}");
    node.says("rm -f a").ok();
}

fn ulimits_are_set_for_run_and_exec(node: &Node) {
    node.has_busybox();
    let run = node.says("run -d --name a --net none --ulimit nofile=100:200 --ulimit core=0");
    run.with(["busybox", "sleep", "1000"]).ok();
    let script = "ulimit -Sn; ulimit -Hn; ulimit -c";
    assert_eq!(node.says("exec a sh -c").with([script]).ok(), "100\n200\n0\n");
    let limits = fs::read_to_string(node.process("a").proc("limits")).expect("limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a line");
    let words: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(&words[3..5], ["100", "200"], "{files}");
    node.says("rm -f a").ok();
}

fn what_can_not_be_raised_is_told_and_not_fatal(node: &Node) {
    node.has_busybox();
    let own = fs::read_to_string("/proc/self/limits").expect("limits");
    let stack = own.lines().find(|line| line.starts_with("Max locked memory")).expect("a line");
    let hard = stack.split_whitespace().nth(4).unwrap_or_default().to_owned();
    let capabilities = Process(rustix::process::getpid()).status("CapEff");
    let can_raise = u64::from_str_radix(&capabilities, 16).expect("a number") & (1 << 24) != 0;
    let run =
        node.says("run --rm --net none --ulimit memlock=-1:-1 busybox sh -c").with(["ulimit -l"]);
    let output = run.code(0);
    if can_raise || hard == "unlimited" {
        assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("unlimited\n", ""));
    } else {
        assert!(
            output.stderr().to_lowercase().contains("memlock"),
            "the fallback is told: {output}"
        );
        assert_ne!(output.stdout(), "");
    }
    let run =
        node.says("run --rm --net none --oom-score-adj -500 busybox cat /proc/self/oom_score_adj");
    let output = run.code(0);
    if can_raise {
        assert_eq!((output.stdout().as_str(), output.stderr().as_str()), ("-500\n", ""));
    } else {
        assert!(output.stderr().to_lowercase().contains("oom"), "the fallback is told: {output}");
    }
    let run =
        node.says("run --rm --net none --oom-score-adj 500 busybox cat /proc/self/oom_score_adj");
    assert_eq!(run.ok(), "500\n");
}

fn limits_that_can_not_be_are_refused(node: &Node) {
    node.has_busybox();
    for (option, value) in [
        ("--memory", "much"),
        ("--memory", "-1"),
        ("--cpus", "1.5.2"),
        ("--cpus", "-1"),
        ("--pids-limit", "few"),
        ("--ulimit", "nothing=1"),
        ("--ulimit", "nofile=5:1"),
        ("--oom-score-adj", "2000"),
    ] {
        node.sandbar(["run", "--rm", &format!("{option}={value}"), "busybox", "true"])
            .refused(125, &[option]);
    }
    node.says("run --rm --memory 32m --memory-swap 16m busybox true")
        .refused(125, &["--memory-swap"]);
    node.says("run --rm --memory-swap 16m busybox true").refused(125, &["--memory"]);
}
