//! What of a bundle's configuration a container has, on the kernel that there is. Each test starts a
//! container with busybox in it through `examples/start.rs`, in a mount namespace of its own.

mod harness;

use std::fs;

use harness::{Bundle, fails, json, says, says_after};

#[test]
fn the_bundle_of_runc_spec_starts() {
    let bundle = Bundle::new();
    assert_eq!(says(&bundle, "id -u; pwd; cat /proc/1/comm; hostname"), "0\n/\nsh\nrunc\n");
    assert_eq!(says(&bundle, "touch /x 2>/dev/null || echo read-only"), "read-only\n");
    let dev = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(says(&bundle, "ls /dev").split_whitespace().collect::<Vec<_>>().join(" "), dev);
}

#[test]
fn its_own_cgroups_are_mounted_and_nothing_of_the_hosts() {
    let bundle = Bundle::new();
    let words = says(
        &bundle,
        "grep ' /sys/fs/cgroup' /proc/self/mountinfo; touch /sys/fs/cgroup/x || true",
    );
    assert!(words.contains(" /sys/fs/cgroup ro,nosuid,nodev,noexec"), "{words}");
    for line in words.lines().filter(|line| line.contains("- cgroup ")) {
        assert!(line.contains(" ro,nosuid,nodev,noexec"), "{line}");
        assert_eq!(line.split(' ').nth(3), Some("/"), "{line}");
    }
}

#[test]
fn mount_options_are_the_kernels() {
    let bundle = Bundle::new()
        .mount(r#"{"destination":"/a","type":"tmpfs","options":["noatime","nodiratime","ro"]}"#)
        .mount(
            r#"{"destination":"/b","type":"tmpfs","options":["noatime","relatime","nosymfollow"]}"#,
        )
        .mount(
            r#"{"destination":"/c","type":"tmpfs","options":["strictatime","size=4k","shared"]}"#,
        )
        .mount(
            r#"{"destination":"/d","type":"bind","source":"source",
                "options":["rbind","rro","unbindable"]}"#,
        )
        .with("/root/readonly", json("false"));
    fs::create_dir_all(bundle.path().join("source/inner")).unwrap();
    let before = format!("mount -t tmpfs inner {}/source/inner", bundle.path().display());
    let words = says_after(&bundle, &before, "cat /proc/self/mountinfo");
    let line = |place: &str| {
        words.lines().find(|line| line.split(' ').nth(4) == Some(place)).unwrap().to_owned()
    };
    assert!(line("/a").contains(" ro,noatime,nodiratime "), "{words}");
    assert!(line("/b").contains(" rw,relatime,nosymfollow "), "{words}");
    assert!(line("/c").contains(" shared:") && line("/c").contains("size=4k"), "{words}");
    assert!(!line("/c").contains("relatime") && !line("/c").contains("noatime"), "{words}");
    assert!(line("/d").contains(" ro,") && line("/d").contains(" unbindable "), "{words}");
    assert!(line("/d/inner").contains(" ro,"), "{words}");
}

#[test]
fn a_tmpfs_begins_with_what_it_covers() {
    let bundle = Bundle::new()
        .mount(r#"{"destination":"/data","type":"tmpfs","options":["tmpcopyup","mode=700"]}"#);
    fs::create_dir_all(bundle.inside("data/sub")).unwrap();
    fs::write(bundle.inside("data/sub/file"), "text\n").unwrap();
    std::os::unix::fs::symlink("/etc/shadow", bundle.inside("data/link")).unwrap();
    let script = "cat /data/sub/file; readlink /data/link; echo more >/data/sub/file";
    assert_eq!(says(&bundle, script), "text\n/etc/shadow\n");
    assert_eq!(fs::read_to_string(bundle.inside("data/sub/file")).unwrap(), "text\n");
}

#[test]
fn devices_are_made_with_owner_and_mode() {
    let bundle = Bundle::new().with(
        "/linux/devices",
        json(
            r#"[{"path":"/dev/net/tun","type":"c","major":10,"minor":200,"fileMode":432,"uid":5,"gid":6},
                {"path":"/dev/pipe","type":"p","major":0,"minor":0}]"#,
        ),
    );
    let script = "stat -c '%F %a %u %g %t %T' /dev/net/tun; stat -c %F /dev/pipe";
    assert_eq!(says(&bundle, script), "character special file 660 5 6 a c8\nfifo\n");
}

#[test]
fn without_a_mount_on_dev_the_hosts_devices_are_bound() {
    let mut bundle = Bundle::new();
    for place in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle = bundle.without_mount(place);
    }
    assert_eq!(
        says(&bundle, "head -c 3 /dev/zero | wc -c; readlink /dev/stdin"),
        "3\n/proc/self/fd/0\n"
    );
}

#[test]
fn the_roots_propagation_is_as_asked() {
    let shared = |word: &str| {
        let bundle = Bundle::new().with("/linux/rootfsPropagation", json(&format!("{word:?}")));
        let words = says(&bundle, "cat /proc/self/mountinfo");
        words.lines().find(|line| line.split(' ').nth(4) == Some("/")).unwrap().to_owned()
    };
    assert!(shared("rshared").contains(" shared:"));
    assert!(shared("unbindable").contains(" unbindable "));
    assert!(!shared("rslave").contains(" shared:"));
}

#[test]
fn a_shared_volume_hands_mounts_back_to_the_host() {
    let bundle = Bundle::new()
        .with("/linux/rootfsPropagation", json(r#""rshared""#))
        .with("/process/capabilities/bounding", json(r#"["CAP_SYS_ADMIN"]"#))
        .with("/process/capabilities/effective", json(r#"["CAP_SYS_ADMIN"]"#))
        .with("/process/capabilities/permitted", json(r#"["CAP_SYS_ADMIN"]"#))
        .mount(
            r#"{"destination":"/v","type":"bind","source":"volume","options":["rbind","rshared"]}"#,
        );
    fs::create_dir_all(bundle.path().join("volume/inner")).unwrap();
    let volume = bundle.path().join("volume");
    let before = format!(
        "mount --bind {0} {0}; mount --make-shared {0}; \"$0\" \"$@\"\n\
         grep -c volume/inner /proc/self/mountinfo; exit",
        volume.display()
    );
    assert_eq!(says_after(&bundle, &before, "mount -t tmpfs x /v/inner"), "1\n");
}

#[test]
fn row_5_what_is_mounted_on_proc_is_a_procfs() {
    let bundle = Bundle::new()
        .without_mount("/proc")
        .mount(r#"{"destination":"/proc","type":"tmpfs","source":"x"}"#);
    assert!(fails(&bundle).contains("/proc"));
}

#[test]
fn row_6_a_linked_dev_is_refused() {
    let bundle = Bundle::new();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), bundle.inside("dev")).unwrap();
    assert!(fails(&bundle).contains("symbolic link"));
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn row_5_nothing_else_is_mounted_in_proc() {
    let bind = |place: &str| {
        Bundle::new().mount(&format!(
            r#"{{"destination":{place:?},"type":"bind","source":"config.json","options":["bind"]}}"#
        ))
    };
    assert!(fails(&bind("/proc/self/attr/exec")).contains("/proc/self/attr/exec"));
    assert!(fails(&bind("/proc/sys/kernel/core_pattern")).contains("in /proc"));
    assert!(says(&bind("/proc/cpuinfo"), "head -c 1 /proc/cpuinfo").starts_with('{'));
}

#[test]
fn the_domain_name_is_the_containers() {
    let bundle = Bundle::new().with("/domainname", json(r#""example.org""#));
    assert_eq!(says(&bundle, "cat /proc/sys/kernel/domainname"), "example.org\n");
}

#[test]
fn the_execution_domain_is_as_asked() {
    let bundle = Bundle::new().with("/linux/personality", json(r#"{"domain":"LINUX32"}"#));
    assert_eq!(says(&bundle, "cat /proc/self/personality"), "00000008\n");
    let flags = bundle.with("/linux/personality", json(r#"{"domain":"LINUX","flags":["x"]}"#));
    assert!(fails(&flags).contains("linux.personality"));
}

#[test]
fn the_scheduler_and_the_io_priority_are_as_asked() {
    let bundle = Bundle::new()
        .with("/process/scheduler", json(r#"{"policy":"SCHED_BATCH","nice":7}"#))
        .with("/process/ioPriority", json(r#"{"class":"IOPRIO_CLASS_BE","priority":6}"#));
    // The 19th field is the nice value, the 41st the policy (proc_pid_stat(5)).
    let script = "cut -d ' ' -f 19,41 /proc/self/stat; ionice";
    assert_eq!(says(&bundle, script), "7 3\nbest-effort: prio 6\n");
}

#[test]
fn a_new_time_namespace_has_its_offsets() {
    let bundle = Bundle::new()
        .with("/linux/namespaces/-", json(r#"{"type":"time"}"#))
        .with("/linux/timeOffsets", json(r#"{"boottime":{"secs":1000000000,"nanosecs":5}}"#));
    let uptime = says(&bundle, "cut -d . -f 1 /proc/uptime");
    assert!(uptime.trim().parse::<u64>().unwrap() >= 1_000_000_000, "{uptime}");
}

#[test]
fn namespaces_are_joined_by_path() {
    let mut bundle = Bundle::new();
    let place = |kind: &str| bundle.path().join(kind).display().to_string();
    let mut list = json(r#"[{"type":"pid"},{"type":"mount"},{"type":"network"}]"#);
    let mut before = "unshare --uts --ipc --cgroup sleep 5 & id=$!\n\
        while test $(readlink /proc/$id/ns/uts) = $(readlink /proc/self/ns/uts); do :; done\n"
        .to_owned();
    for kind in ["uts", "ipc", "cgroup", "time"] {
        let path = place(kind);
        fs::write(&path, "").unwrap();
        before +=
            &format!("mount --bind /proc/$id/ns/{kind} {path}; readlink /proc/$id/ns/{kind}\n");
        let namespace = format!(r#"{{"type":{kind:?},"path":{path:?}}}"#);
        list.as_array_mut().unwrap().push(json(&namespace));
    }
    bundle.config["linux"]["namespaces"] = list;
    let script = "for kind in uts ipc cgroup time; do readlink /proc/self/ns/$kind; done";
    let words = says_after(&bundle, &(before + "kill $id"), script);
    let words: Vec<&str> = words.lines().collect();
    let (wanted, had) = words.split_at(4);
    assert_eq!(wanted, had);
}

#[test]
fn labels_of_an_absent_security_module_are_refused_by_name() {
    for (module, pointer, field) in [
        ("/sys/module/apparmor", "/process/apparmorProfile", "process.apparmorProfile"),
        ("/sys/fs/selinux/enforce", "/process/selinuxLabel", "process.selinuxLabel"),
        ("/sys/fs/selinux/enforce", "/linux/mountLabel", "linux.mountLabel"),
    ] {
        if std::path::Path::new(module).exists() {
            eprintln!("skipped: this kernel has {module}");
            continue;
        }
        let reason = fails(&Bundle::new().with(pointer, json(r#""some-label""#)));
        assert!(reason.contains(field) && reason.contains("not enabled"), "{reason}");
    }
}

#[test]
fn what_contradicts_itself_names_its_field() {
    for (pointer, value, field) in [
        ("/process/cwd", r#""x""#, "process.cwd"),
        ("/process/env", r#"["X"]"#, "process.env"),
        ("/process/oomScoreAdj", "1001", "process.oomScoreAdj"),
        ("/process/user/additionalGids", "[4294967295]", "process.user"),
        ("/process/scheduler", r#"{"policy":"SCHED_OTHER","priority":3}"#, "process.scheduler"),
        (
            "/process/ioPriority",
            r#"{"class":"IOPRIO_CLASS_BE","priority":9}"#,
            "process.ioPriority",
        ),
        ("/linux/namespaces/-", r#"{"type":"pid"}"#, "linux.namespaces pid"),
        ("/linux/namespaces/-", r#"{"type":"user"}"#, "linux.uidMappings"),
        ("/linux/uidMappings", r#"[{"containerID":0,"hostID":1,"size":1}]"#, "linux.uidMappings"),
        ("/linux/timeOffsets", r#"{"boottime":{"secs":1}}"#, "linux.timeOffsets"),
        ("/linux/rootfsPropagation", r#""x""#, "linux.rootfsPropagation"),
        ("/linux/intelRdt", r#"{"closID":"x"}"#, "linux.intelRdt"),
        ("/linux/memoryPolicy", r#"{"mode":"MPOL_BIND","nodes":"0"}"#, "linux.memoryPolicy"),
        ("/linux/netDevices", r#"{"eth0":{}}"#, "linux.netDevices"),
        ("/mounts/-", r#"{"destination":"x","type":"tmpfs"}"#, "mounts x"),
        ("/mounts/-", r#"{"destination":"/x"}"#, "mount /x"),
        ("/mounts/-", r#"{"destination":"/x/../y","type":"tmpfs"}"#, "mounts /x/../y"),
    ] {
        let reason = fails(&Bundle::new().with(pointer, json(value)));
        assert!(reason.contains(field), "{field}: {reason}");
    }
}

#[test]
fn a_process_is_who_and_may_do_what_it_was_asked_to() {
    let capabilities = json(r#"["CAP_KILL","CAP_NET_BIND_SERVICE"]"#);
    let mut bundle = Bundle::new()
        .with(
            "/process/user",
            json(
                r#"{"uid":33,"gid":34,"umask":63,"additionalGids":[5,6],
                          "username":"nobody-of-the-image"}"#,
            ),
        )
        .with("/process/oomScoreAdj", json("500"))
        .mount(r#"{"destination":"/run","type":"tmpfs","options":["nosuid","strictatime","mode=755"]}"#);
    for set in ["inheritable", "ambient"] {
        bundle = bundle.with(&format!("/process/capabilities/{set}"), capabilities.clone());
    }
    let script = "id -u; id -g; id -G; umask; ulimit -n; cat /proc/self/oom_score_adj; \
                  grep -E 'Cap(Inh|Eff|Amb)|NoNew' /proc/self/status | tr '\\t' ' '";
    assert_eq!(
        says(&bundle, script),
        "33\n34\n34 5 6\n0077\n1024\n500\nCapInh: 0000000000000420\nCapEff: 0000000000000420\n\
         CapAmb: 0000000000000420\nNoNewPrivs: 1\n"
    );
}

#[test]
fn ambient_capabilities_that_cannot_be_are_told_of() {
    let bundle = Bundle::new().with("/process/capabilities/ambient", json(r#"["CAP_KILL"]"#));
    let output = bundle.run_after("", "grep CapAmb /proc/self/status");
    assert!(String::from_utf8_lossy(&output.stderr).contains("told: ambient"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("0000000000000000"));
}
