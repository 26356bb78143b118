//! What a container's processes may, see and have.

use std::fs;

use sandbar_tests::{Node, Process, Rootfs, tests};

tests! {
    row_1_a_container_starts_with_three_descriptors_alone,
    row_24_capabilities_are_the_usual_ones_and_none_is_inheritable,
    capabilities_are_added_and_dropped,
    a_seccomp_filter_and_no_new_privileges,
    row_29_dangerous_system_calls_are_refused,
    row_28_cgroupfs_is_not_mounted_anew,
    row_3_masked_paths_are_empty_and_read_only_ones_are_not_written,
    row_12_labels_and_variables_control_nothing,
    row_23_kernel_settings_are_not_written,
    row_32_each_of_fifty_sees_its_own_environment_alone,
    devices_are_the_usual_ones,
    row_28_a_device_that_is_made_is_not_opened,
    the_hosts_memory_and_keys_are_out_of_reach,
    pause_has_nothing_to_lose,
}

/// CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP.
const USUAL: u64 =
    1 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 18 | 1 << 31;

fn capabilities(process: Process, set: &str) -> u64 {
    u64::from_str_radix(&process.status(set), 16).expect("a number")
}

fn row_1_a_container_starts_with_three_descriptors_alone(node: &Node) {
    node.has_busybox();
    // The caller's own descriptors stay the caller's.
    let leak = node.file("leak", "a secret of the host");
    let line = |rest: &str| {
        let line = format!(
            "exec 7<{} 9>>{}; exec {} {rest}",
            leak.display(),
            leak.display(),
            node.program().display()
        );
        node.run("/bin/sh", ["-c", &line])
    };
    line("run -d --name a --net none busybox sleep 1000").ok();
    let list = |process: Process| {
        let mut names: Vec<String> = fs::read_dir(process.proc("fd"))
            .expect("a living process")
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(list(node.process("a")), ["0", "1", "2"]);
    let exec = line("exec a sleep 4444").begin();
    let further = sandbar_tests::until("its process", sandbar_tests::SOON, || {
        sandbar_tests::living().into_iter().find(|it| it.command() == "sleep 4444")
    });
    assert_eq!(list(further), ["0", "1", "2"]);
    let out = fs::read_link(node.process("a").proc("fd/0")).expect("a link");
    assert_eq!(out.to_string_lossy(), "/dev/null");
    node.says("rm -f a").ok();
    exec.wait();
}

fn row_24_capabilities_are_the_usual_ones_and_none_is_inheritable(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --net none busybox sleep 1000").ok();
    node.says("run -d --name b --net none --user alice busybox sleep 1000").ok();
    let (a, b) = (node.process("a"), node.process("b"));
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(capabilities(a, set), USUAL, "{set}");
    }
    assert_eq!(capabilities(b, "CapBnd"), USUAL);
    for (process, set) in
        [(a, "CapInh"), (a, "CapAmb"), (b, "CapInh"), (b, "CapAmb"), (b, "CapPrm"), (b, "CapEff")]
    {
        assert_eq!(capabilities(process, set), 0, "{set}");
    }
    let shown = node.says("exec a grep Cap /proc/self/status").ok();
    assert!(
        shown.contains(&format!("CapEff:\t{USUAL:016x}"))
            && shown.contains("CapInh:\t0000000000000000"),
        "{shown}"
    );
    let shown = node.says("exec -u alice a grep Cap /proc/self/status").ok();
    assert!(
        shown.contains("CapEff:\t0000000000000000") && shown.contains("CapInh:\t0000000000000000"),
        "{shown}"
    );
    node.says("rm -f a b").ok();
}

fn capabilities_are_added_and_dropped(node: &Node) {
    node.has_busybox();
    for (options, expected) in [
        ("--cap-drop ALL", 0),
        ("--cap-drop ALL --cap-add NET_BIND_SERVICE", 1 << 10),
        ("--cap-add SYS_PTRACE", USUAL | 1 << 19),
        ("--cap-add cap_net_raw --cap-drop chown", (USUAL | 1 << 13) & !1),
    ] {
        node.says(&format!("run -d --name a --net none {options} busybox sleep 1000")).ok();
        let process = node.process("a");
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            assert_eq!(capabilities(process, set), expected, "{options}: {set}");
        }
        assert_eq!(capabilities(process, "CapInh"), 0, "{options}");
        node.says("rm -f a").ok();
    }
}

fn a_seccomp_filter_and_no_new_privileges(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --net none busybox sleep 1000").ok();
    node.says("run -d --name b --net none --security-opt no-new-privileges busybox sleep 1000")
        .ok();
    let (a, b) = (node.process("a"), node.process("b"));
    assert_eq!((a.status("Seccomp").as_str(), b.status("Seccomp").as_str()), ("2", "2"));
    assert_eq!((a.status("NoNewPrivs").as_str(), b.status("NoNewPrivs").as_str()), ("0", "1"));
    for name in ["a", "b"] {
        let shown = node.sandbar(["exec", name, "cat", "/proc/self/status"]).ok();
        assert!(shown.contains("Seccomp:\t2"), "{shown}");
        assert!(shown.contains(&format!("NoNewPrivs:\t{}", u8::from(name == "b"))), "{shown}");
    }
    node.says("rm -f a b").ok();
}

fn row_29_dangerous_system_calls_are_refused(node: &Node) {
    node.has_busybox();
    // Even with every capability in the bounding set the filter holds; without any it must as well.
    for line in [
        "unshare -U true",
        "unshare -m true",
        "unshare -n true",
        "mount -t tmpfs tmpfs /tmp",
        "umount /proc",
        "chroot /proc/1/root mount -t proc proc /tmp",
        "mknod /dev/disk b 8 0 && dd if=/dev/disk of=/dev/null count=1",
        "hostname changed",
        "swapon /tmp/x",
        "insmod /tmp/x.ko",
        "reboot -f",
        "pivot_root / /tmp",
        "nsenter -t 1 -m true",
    ] {
        let run = node.says("run --rm --net none busybox sh -c").with([line]).run();
        assert_ne!(run.exit_code(), 0, "{line} was done: {run}");
    }
    if std::path::Path::new("/usr/bin/perl").exists() {
        // AF_ALG is 38, AF_VSOCK 40; add_key and keyctl are 248 and 250, bpf 321, io_uring_setup 425 on x86-64.
        let sockets = "for (38, 40) { socket(S, $_, 5, 0) and print \"family $_\\n\" }";
        let calls = "for (248, 250, 272, 308, 321, 425, 298) { \
                     syscall($_, 0, 0, 0, 0, 0) >= 0 and print \"call $_\\n\"; \
                     $! == 1 || $! == 38 || $! == 13 or print \"call $_: $!\\n\" }";
        let run = node.says("run --rm --net none --rootfs / perl -e");
        assert_eq!(run.clone().with([sockets]).ok(), "");
        let said =
            if cfg!(target_arch = "x86_64") { run.with([calls]).ok() } else { String::new() };
        assert!(!said.lines().any(|line| !line.contains(':')), "done: {said}");
    }
}

fn row_28_cgroupfs_is_not_mounted_anew(node: &Node) {
    node.has_busybox();
    for line in [
        "mkdir /c && mount -t cgroup -o memory cgroup /c",
        "mkdir /c && mount -t cgroup2 cgroup2 /c",
        "unshare -UrC sh -c 'mkdir /c && mount -t cgroup -o memory cgroup /c'",
        "echo /x >/sys/fs/cgroup/memory/release_agent",
        "echo /x >/proc/sys/kernel/core_pattern",
    ] {
        let run = node.says("run --rm --net none busybox sh -c").with([line]).run();
        assert_ne!(run.exit_code(), 0, "{line} was done: {run}");
    }
    let listed = node.says("run --rm --net none busybox sh -c").with([
        "find /sys/devices/virtual/powercap /sys/firmware -mindepth 1 2>/dev/null | head -n 3",
    ]);
    assert_eq!(listed.ok(), "");
}

fn row_3_masked_paths_are_empty_and_read_only_ones_are_not_written(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --net none busybox sleep 1000").ok();
    for path in
        ["kcore", "keys", "interrupts", "timer_list", "sched_debug", "latency_stats", "timer_stats"]
    {
        let path = format!("/proc/{path}");
        let said = node
            .sandbar(["exec", "a", "sh", "-c", &format!("[ ! -e {path} ] || head -c 10 {path}")])
            .ok();
        assert_eq!(said, "", "{path}");
        if std::path::Path::new(&path).exists() {
            let said = node.sandbar(["exec", "a", "stat", "-c", "%F %t:%T", &path]).ok();
            assert_eq!(said, "character special file 1:3\n", "{path}");
        }
    }
    for path in ["/proc/acpi", "/proc/scsi", "/proc/asound", "/sys/firmware"] {
        let said = node
            .sandbar(["exec", "a", "sh", "-c", &format!("[ ! -e {path} ] || ls -A {path}")])
            .ok();
        assert_eq!(said, "", "{path}");
    }
    for path in [
        "/proc/sys/kernel/hostname",
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/sys/kernel/mm/ksm/run",
        "/proc/bus/x",
        "/proc/fs/x",
    ] {
        let run = node.sandbar(["exec", "a", "sh", "-c", &format!("echo 1 >{path}")]).run();
        assert_ne!(run.exit_code(), 0, "{path} was written");
    }
    let mounts = node.says("exec a cat /proc/mounts").ok();
    for path in ["/proc/sys", "/proc/sysrq-trigger", "/sys"] {
        // Not every kernel has all.
        if !std::path::Path::new(path).exists() {
            continue;
        }
        let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some(path));
        let options = line.and_then(|line| line.split(' ').nth(3)).unwrap_or_default();
        assert!(options.split(',').any(|it| it == "ro"), "{path}: {options}");
    }
    node.says("rm -f a").ok();
}

fn row_12_labels_and_variables_control_nothing(node: &Node) {
    let archive = sandbar_tests::docker_archive(
        "localhost/hostile:latest",
        vec![Rootfs::busybox()],
        &serde_json::json!({
            "Cmd": ["sh", "-c", "env; id -u"],
            "Env": ["PATH=/bin", "SECRET", "LD_PRELOAD=/evil.so", "SANDBAR_ROOT=/evil"],
            "Labels": { "io.kubernetes.cri-o.userns-mode": "host", "sandbar.privileged": "true", "restart": "always" },
        }),
    );
    node.says("load").input(archive).ok();
    let said = node.says("run --rm --net none hostile").env("SECRET", "of the host").ok();
    assert!(!said.contains("of the host"), "{said}");
    node.says("run -d --name a --net none hostile sleep 1000").env("SECRET", "of the host").ok();
    let environment = fs::read_to_string(node.process("a").proc("environ")).expect("environ");
    assert!(!environment.contains("of the host"), "{environment}");
    assert_eq!(capabilities(node.process("a"), "CapEff"), USUAL);
    assert_eq!(node.inspect("a")["HostConfig"]["RestartPolicy"]["Name"], "no");
    node.says("rm -f a").ok();
}

fn row_23_kernel_settings_are_not_written(node: &Node) {
    node.has_busybox();
    for path in [
        "kernel/core_pattern",
        "kernel/shm_rmid_forced",
        "vm/overcommit_memory",
        "net/ipv4/ip_forward",
        "fs/file-max",
    ] {
        let line = format!("echo 1 >/proc/sys/{path}");
        let run = node.sandbar(["run", "--rm", "--net=none", "busybox", "sh", "-c", &line]).run();
        assert_ne!(run.exit_code(), 0, "{path} was written");
    }
    // Neither a label nor a variable may bring a line of its own.
    node.sandbar(["run", "--rm", "--sysctl", "kernel.core_pattern=|/evil", "busybox", "true"])
        .refused(125, &["--sysctl"]);
}

fn row_32_each_of_fifty_sees_its_own_environment_alone(node: &Node) {
    node.has_busybox();
    std::thread::scope(|scope| {
        for number in 0..50 {
            scope.spawn(move || {
                let own = format!("OWN_{number}=secret-{number}");
                let run = node.sandbar(["run", "--rm", "--net=none", "-e", &own, "busybox", "env"]);
                let said = run.within(std::time::Duration::from_secs(60)).ok();
                let secrets: Vec<&str> =
                    said.lines().filter(|line| line.contains("secret")).collect();
                assert_eq!(secrets, [own.as_str()]);
            });
        }
    });
}

fn row_28_a_device_that_is_made_is_not_opened(node: &Node) {
    node.has_busybox();
    // FUSE, which anybody may open who has a node of it; in the one place where nodes count.
    let script = "mknod /dev/k c 10 229 && mknod /dev/n c 1 3 && : > /dev/n && : < /dev/k";
    let run = node.says("run --rm --net none --cap-add MKNOD busybox sh -c").with([script]);
    let output = run.code(1);
    assert!(output.stderr().contains("/dev/k: Operation not permitted"), "{output}");
}

fn devices_are_the_usual_ones(node: &Node) {
    node.has_busybox();
    let script = "for i in /dev/*; do [ -c $i ] && [ ! -L $i ] && stat -c '%n %t:%T %a' $i; [ -b $i ] && echo $i; done; true";
    let said = node.says("run --rm --net none busybox sh -c").with([script]).ok();
    let mut devices: Vec<&str> = said.lines().collect();
    devices.sort_unstable();
    let usual = [
        "/dev/full 1:7 666",
        "/dev/null 1:3 666",
        "/dev/random 1:8 666",
        "/dev/tty 5:0 666",
        "/dev/urandom 1:9 666",
        "/dev/zero 1:5 666",
    ];
    assert_eq!(devices, usual);
    let script = "for i in fd stdin stdout stderr ptmx; do readlink /dev/$i; done; echo x >/dev/null; head -c 4 /dev/zero | wc -c";
    let said = node.says("run --rm --net none busybox sh -c").with([script]).ok();
    assert_eq!(
        said,
        "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n4\n"
    );
    // What is made by hand is not opened: the cgroup denies it.
    let script = "mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem";
    assert_ne!(
        node.says("run --rm --net none --cap-add MKNOD busybox sh -c")
            .with([script])
            .run()
            .exit_code(),
        0
    );
}

fn the_hosts_memory_and_keys_are_out_of_reach(node: &Node) {
    node.has_busybox();
    let secret = node.file("secret", "of the host");
    let path = secret.display().to_string();
    let own = std::process::id();
    for line in [
        format!("cat {path}"),
        format!("ls /proc/{own}/root"),
        "cat /proc/1/root/run/test/secret".to_owned(),
    ] {
        let run = node.sandbar(["run", "--rm", "--net=none", "busybox", "sh", "-c", &line]).run();
        assert_ne!(run.exit_code(), 0, "{run}");
    }
    // With the host's processes in sight its root is still out of reach.
    let line = format!(
        "cat /proc/{own}/root/run/test/secret || cat /proc/{own}/cwd/secret || cat /proc/{own}/environ"
    );
    let run = node
        .sandbar(["run", "--rm", "--net=none", "--pid=host", "busybox", "sh", "-c", &line])
        .run();
    assert_ne!(run.exit_code(), 0, "{run}");
}

fn pause_has_nothing_to_lose(node: &Node) {
    node.says("run -d --name pause --net none pause").ok();
    let pause = node.process("pause");
    assert_eq!(pause.status("NoNewPrivs"), "1");
    assert_eq!(pause.status("Seccomp"), "2");
    for set in ["CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb"] {
        assert_eq!(capabilities(pause, set), 0, "{set}");
    }
    assert!(
        pause.status("Uid").starts_with("65535") || pause.status("Uid").starts_with("0\t"),
        "{}",
        pause.status("Uid")
    );
    let resident: u64 =
        pause.status("VmRSS").trim_end_matches(" kB").trim().parse().expect("a number");
    println!("measured: pause is {resident} KiB resident");
    assert!(resident <= 12, "{resident} KiB");
    node.says("rm -f pause").ok();
}
