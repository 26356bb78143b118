//! The rows of the list of vulnerabilities that are about images and configurations, tried on `sandbar oci`.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbar_tests::{Bundle, Command, Node, Untouched, left_behind, tests};
use serde_json::json;

tests! {
    row_1_no_descriptor_leads_a_program_or_directory_outside,
    row_1_no_descriptor_of_a_pods_leads_a_program_outside,
    row_5_a_link_or_a_volume_on_proc_is_refused,
    row_6_a_bundle_whose_dev_is_a_link_fails,
    row_8_links_of_the_root_stay_inside,
    row_9_a_hostile_account_file_is_refused_at_once,
    row_10_a_uid_that_overflows_is_refused,
    row_11_no_account_file_is_written,
    row_12_annotations_and_variables_control_nothing,
    row_18_nothing_of_a_bundles_root_runs_outside,
    row_24_capabilities_of_exec_are_not_inheritable,
    row_25_the_primary_group_is_in_the_supplementary_set,
    row_27_state_is_nobody_elses,
    row_29_an_empty_profile_is_refused_and_exec_has_the_containers,
    row_31_what_is_70_kib_long_is_a_clean_error,
}

/// A directory of the host's with a program in it.
fn host(node: &Node) -> (PathBuf, Untouched) {
    let host = node.path("host");
    fs::create_dir_all(host.join("sub")).expect("a directory");
    fs::write(host.join("secret"), "of the host").expect("a file");
    fs::copy("/bin/busybox", host.join("echo")).expect("a program");
    let untouched = Untouched::new(&host);
    (host, untouched)
}

/// Runs a command of somebody who has left descriptors of the host's directory and of a program of it open.
fn leaking(node: &Node, host: &Path, words: &str) -> Command {
    let program = node.program().display();
    let host = host.display();
    node.run("/bin/sh", ["-c", &format!("exec 7<{host} 8<{host}/echo; exec {program} {words}")])
}

/// Paths that lead to the host's directory or its program if a descriptor does.
fn ways_out() -> impl Iterator<Item = String> {
    let known = ["/proc/self/fd/7/echo", "/proc/self/fd/7/../host/echo"].map(str::to_owned);
    let up = |number| format!("/proc/self/fd/{number}/../../../../../../../run/test/host/echo");
    let own = |number| format!("/proc/self/fd/{number}");
    known.into_iter().chain((3..40).map(up)).chain((3..40).map(own))
}

fn row_1_no_descriptor_leads_a_program_or_directory_outside(node: &Node) {
    let (host, untouched) = host(node);
    let bundle = Bundle::new(node, "b");
    let path = bundle.path().display().to_string();
    bundle.create(node, "a");
    node.says("oci start a").ok();
    let script = bundle.in_root("script");
    let outside = |output: &sandbar_tests::Output| {
        assert!(!output.stdout().contains("outside"), "{output}");
        assert!(!output.stdout().contains("of the host"), "{output}");
        assert!(!output.stderr().contains("a command is needed"), "our own program ran: {output}");
        assert_ne!(output.exit_code(), 0, "{output}");
    };
    for way in ways_out() {
        outside(&leaking(node, &host, &format!("oci exec a {way} outside")).run());
        // The interpreter of a script is looked for by the kernel, at the same moment.
        fs::write(&script, format!("#!{way} outside\n")).expect("a script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("chmod");
        outside(&leaking(node, &host, "oci exec a /script").run());
    }
    node.says("oci delete --force a").ok();
    let mut bundle = bundle;
    for way in ways_out().take(25) {
        bundle = bundle.program(&[&way, "outside"]);
        outside(&leaking(node, &host, &format!("oci run --bundle {path} a")).run());
    }
    let mut bundle = bundle.program(&["cat", "secret", "../host/secret"]);
    for number in 0..25 {
        bundle = bundle.with("/process/cwd", json!(format!("/proc/self/fd/{number}")));
        outside(&leaking(node, &host, &format!("oci run --bundle {path} a")).run());
    }
    let bundle = bundle.with("/process/cwd", json!("/")).program(&["sleep", "1000"]);
    bundle.create(node, "a");
    node.says("oci start a").ok();
    for number in 0..25 {
        let words = format!("oci exec --cwd /proc/self/fd/{number} a cat secret ../host/secret");
        outside(&leaking(node, &host, &words).run());
    }
    node.says("oci delete --force a").ok();
    untouched.is_as_before();
    assert_eq!(left_behind(), [""; 0]);
}

fn row_1_no_descriptor_of_a_pods_leads_a_program_outside(node: &Node) {
    let (host, untouched) = host(node);
    node.has_busybox();
    leaking(node, &host, "run -d --name a --net none busybox sleep 1000").ok();
    for (number, way) in ways_out().enumerate() {
        let exec = leaking(node, &host, &format!("exec a {way} outside")).run();
        let run = format!("run --rm --net none busybox {way} outside");
        let run = if number % 3 == 0 { leaking(node, &host, &run).run() } else { exec };
        assert!(!run.stdout().contains("outside"), "{run}");
        // Else it was our own program that ran, and that refused what it was told.
        assert!(run.stderr().starts_with("sandbar: cannot run "), "{run}");
    }
    node.says("rm -f a").ok();
    untouched.is_as_before();
}

fn row_5_a_link_or_a_volume_on_proc_is_refused(node: &Node) {
    let (host, untouched) = host(node);
    let bundle = Bundle::new(node, "b").program(&["true"]);
    for target in ["/run/test/host", "../../../../run/test/host", "/sys", "/tmp"] {
        symlink(target, bundle.in_root("proc")).expect("a link");
        assert!(bundle.run(node, "a").code(1).stderr().contains("/proc"), "{target}");
        fs::remove_file(bundle.in_root("proc")).expect("the link");
    }
    for destination in ["/proc", "/proc/self", "/proc/sys/kernel", "/proc/1/attr", "/x/../proc"] {
        let bundle = Bundle::new(node, &destination.replace('/', "_"));
        let mount = json!({ "destination": destination, "type": "bind", "source": host, "options": ["rbind"] });
        let output = bundle.adding("/mounts", mount).run(node, "a").code(1);
        assert!(output.stderr().contains("/proc"), "{output}");
    }
    untouched.is_as_before();
    assert_eq!(left_behind(), [""; 0]);
}

fn row_6_a_bundle_whose_dev_is_a_link_fails(node: &Node) {
    let (_host, untouched) = host(node);
    let bundle = Bundle::new(node, "b").program(&["true"]);
    for target in ["/run/test/host", "../../../../run/test/host", "/etc"] {
        symlink(target, bundle.in_root("dev")).expect("a link");
        assert!(bundle.run(node, "a").code(1).stderr().contains("/dev"), "{target}");
        fs::remove_file(bundle.in_root("dev")).expect("the link");
    }
    untouched.is_as_before();
}

fn row_8_links_of_the_root_stay_inside(node: &Node) {
    let (_host, untouched) = host(node);
    let mut bundle =
        Bundle::new(node, "b").program(&["sh", "-c", "cat secret ../host/secret; true"]);
    symlink("../../../../run/test/host", bundle.in_root("work")).expect("a link");
    for work in ["/work", "/work/sub", "/work/new/deep"] {
        bundle = bundle.with("/process/cwd", json!(work));
        let output = bundle.run(node, "a").run();
        assert!(!output.stdout().contains("of the host"), "{output}");
        untouched.is_as_before();
    }
    for name in ["etc/hosts", "etc/mtab", "etc/resolv.conf"] {
        _ = fs::remove_file(bundle.in_root(name));
        symlink("/run/test/host/secret", bundle.in_root(name)).expect("a link");
        let mount = json!({ "destination": format!("/{name}"), "type": "bind", "source": node.program(), "options": ["bind", "ro"] });
        bundle = bundle.adding("/mounts", mount);
    }
    bundle.run(node, "a").ok();
    untouched.is_as_before();
}

fn row_9_a_hostile_account_file_is_refused_at_once(node: &Node) {
    let bundle = Bundle::new(node, "b").program(&["true"]);
    let passwd = bundle.in_root("etc/passwd");
    let refused = || {
        let output = bundle.run(node, "a").within(Duration::from_secs(5)).code(1);
        assert!(output.stderr().contains("passwd"), "{output}");
        assert!(output.elapsed < Duration::from_secs(2), "{output}");
        fs::remove_file(&passwd).expect("the file");
    };
    fs::remove_file(&passwd).expect("the file");
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &passwd, fifo, 0o666.into(), 0).expect("a FIFO");
    refused();
    for target in ["/dev/zero", "/dev/tty"] {
        symlink(target, &passwd).expect("a link");
        refused();
    }
    // Sparse: it takes no room, and a terabyte to read.
    fs::File::create(&passwd).and_then(|file| file.set_len(1 << 40)).expect("a file");
    refused();
}

fn row_10_a_uid_that_overflows_is_refused(node: &Node) {
    let bundle = Bundle::new(node, "b").program(&["id", "-u"]);
    for uid in
        [json!(4_294_967_296_u64), json!(4_294_967_295_u64), json!(-1), json!("0"), json!(1.5)]
    {
        let bundle = Bundle::new(node, &format!("b{uid}").replace(['"', '.'], "_"));
        let bundle = bundle.with("/process/user/uid", uid);
        assert!(
            bundle.run(node, "a").code(1).stderr().contains("user"),
            "{}",
            bundle.path().display()
        );
    }
    // There is an account whose name is 2000 and whose number is not.
    let bundle = bundle.with("/process/user/uid", json!(2000));
    assert_eq!(bundle.run(node, "a").ok(), "2000\n");
    let bundle = bundle.program(&["sleep", "1000"]);
    bundle.create(node, "a");
    node.says("oci start a").ok();
    for user in ["4294967296", "4294967295", "-1", "0:4294967296", "root"] {
        let output = node.says("oci exec a true").run();
        assert_eq!(output.exit_code(), 0, "{output}");
        let exec = node.sandbar(["oci", "exec", &format!("--user={user}"), "a", "id"]).run();
        assert!(exec.exit_code() != 0 && exec.stdout().is_empty(), "{user}: {exec}");
    }
    node.says("oci delete --force a").ok();
}

fn row_11_no_account_file_is_written(node: &Node) {
    let evil = "HOME=/root\nevil:x:0:0::/:/bin/sh";
    let bundle = Bundle::new(node, "b").with("/root/readonly", json!(false));
    let bundle = bundle.with("/process/env", json!(["PATH=/bin", evil]));
    let before = fs::read(bundle.in_root("etc/passwd")).expect("passwd");
    _ = bundle.program(&["true"]).run(node, "a").run();
    assert!(fs::read(node.path("b/rootfs/etc/passwd")).expect("passwd") == before);
}

fn row_12_annotations_and_variables_control_nothing(node: &Node) {
    let bundle =
        Bundle::new(node, "b").program(&["sh", "-c", "grep CapEff /proc/self/status; env"]);
    let usual = bundle.run(node, "a").env("SECRET", "of the host").ok();
    assert!(!usual.contains("of the host"), "{usual}");
    let annotations = json!({
        "run.oci.keep_original_groups": "1", "run.oci.handler": "krun", "run.oci.hooks.stderr": "/run/test/evil",
        "org.systemd.property.ExecStopPost": "['/bin/touch', '/run/test/evil']",
        "io.kubernetes.cri-o.TrySkipVolumeSELinuxLabel": "true", "line\nend": "of\nit",
    });
    let bundle = bundle.with("/annotations", annotations);
    assert_eq!(bundle.run(node, "a").run().stdout(), usual);
    assert!(!node.path("evil").exists());
    let bundle = bundle.with("/process/env", json!(["PATH=/bin", "SECRET"]));
    bundle.run(node, "a").env("SECRET", "of the host").refused(1, &["process.env"]);
}

fn row_18_nothing_of_a_bundles_root_runs_outside(node: &Node) {
    let (_host, untouched) = host(node);
    let bundle = Bundle::new(node, "b");
    for name in ["runc", "sandbar", "newuidmap", "nft", "mount", "getent", "modprobe", "ip", "sh"] {
        for directory in ["sbin", "usr/bin", "usr/sbin", "usr/local/bin"] {
            let path = bundle.in_root(directory).join(name);
            fs::create_dir_all(bundle.in_root(directory)).expect("a directory");
            fs::write(&path, "#!/bin/sh\ntouch /run/test/host/evil\n").expect("a script");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
        }
    }
    fs::write(bundle.in_root("etc/nsswitch.conf"), "passwd: evil\n").expect("a file");
    let env = json!(["PATH=/usr/local/bin:/bin", "LD_PRELOAD=/lib/libnss_evil.so.2"]);
    let bundle = bundle.with("/process/env", env).program(&["/bin/sleep", "1000"]);
    bundle.create(node, "a");
    for line in ["start a", "exec a /bin/true", "ps a", "state a", "delete --force a"] {
        node.says("oci").with(line.split(' ')).ok();
        untouched.is_as_before();
    }
}

fn row_24_capabilities_of_exec_are_not_inheritable(node: &Node) {
    let bundle = Bundle::new(node, "b");
    let process = bundle.create(node, "a");
    node.says("oci start a").ok();
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(process.status(set), "0000000000000000", "{set}");
    }
    for options in ["", "--cap CAP_NET_RAW", "--user 1000:1000", "--cap net_raw --user 1000"] {
        let line = format!("oci exec {options} a grep -E Cap(Inh|Amb) /proc/self/status");
        let shown = node.says(&line).ok();
        assert_eq!(shown, "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n", "{options}");
    }
    node.says("oci delete --force a").ok();
}

fn row_25_the_primary_group_is_in_the_supplementary_set(node: &Node) {
    let user = json!({ "uid": 1000, "gid": 34, "additionalGids": [5] });
    let bundle = Bundle::new(node, "b").with("/process/user", user);
    let process = bundle.create(node, "a");
    node.says("oci start a").ok();
    assert_eq!(process.status("Groups"), "5 34");
    assert_eq!(node.says("oci exec a id -G").ok(), "34 5\n");
    assert_eq!(
        node.says("oci exec --user 7:8 a grep Groups /proc/self/status").ok().trim(),
        "Groups:\t5 8"
    );
    node.says("oci delete --force a").ok();
}

fn row_27_state_is_nobody_elses(node: &Node) {
    let sockets = || {
        let list = fs::read_to_string("/proc/net/unix").expect("/proc/net/unix");
        list.lines().filter(|line| line.contains('@')).count()
    };
    let before = sockets();
    let bundle = Bundle::new(node, "b");
    bundle.create(node, "a");
    node.says("oci start a").ok();
    assert_eq!(sockets(), before, "an abstract socket can be reached from the host's network");
    for directory in ["/run/sandbar", "/run/sandbar/oci", "/run/sandbar/oci/a"] {
        let mode = fs::metadata(directory).expect(directory).mode() & 0o777;
        assert_eq!(mode, 0o700, "{directory}: {mode:o}");
    }
    node.says("oci delete --force a").ok();
}

fn row_29_an_empty_profile_is_refused_and_exec_has_the_containers(node: &Node) {
    for (name, profile) in [
        ("empty", json!({})),
        ("unknown", json!({ "defaultAction": "SCMP_ACT_EVERYTHING" })),
        (
            "nameless",
            json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": [], "action": "SCMP_ACT_ERRNO" }] }),
        ),
    ] {
        let bundle = Bundle::new(node, name).with("/linux/seccomp", profile).program(&["true"]);
        let output = bundle.run(node, "a").code(1);
        assert!(output.stderr().contains("seccomp"), "{output}");
    }
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"],
        "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO" }],
    });
    let bundle = Bundle::new(node, "b").with("/linux/seccomp", profile);
    let bundle = bundle.with("/root/readonly", json!(false));
    let process = bundle.create(node, "a");
    node.says("oci start a").ok();
    assert_eq!(process.status("Seccomp"), "2");
    let output = node.says("oci exec a mkdir /made").run();
    assert!(output.stderr().contains("not permitted") && output.exit_code() == 1, "{output}");
    node.says("oci delete --force a").ok();
}

fn row_31_what_is_70_kib_long_is_a_clean_error(node: &Node) {
    let long = "/a".repeat(35 * 1024);
    let clean = |output: &sandbar_tests::Output| {
        assert_ne!(output.exit_code(), 0, "{output}");
        assert!((1..=2).contains(&output.stderr().lines().count()), "{output}");
    };
    let mount = json!([{ "destination": long, "type": "tmpfs", "source": "x" }]);
    for (number, (place, value)) in [
        ("/process/cwd", json!(long)),
        ("/process/args", json!([long])),
        ("/mounts", mount),
        ("/hostname", json!(long)),
        ("/linux/maskedPaths", json!([long])),
        ("/linux/cgroupsPath", json!(long)),
        ("/root/path", json!(long)),
    ]
    .into_iter()
    .enumerate()
    {
        let bundle = Bundle::new(node, &format!("b{number}")).with(place, value);
        clean(&bundle.run(node, "a").run());
    }
    let bundle = Bundle::new(node, "b");
    bundle.create(node, "a");
    node.says("oci start a").ok();
    clean(&node.says("oci exec a").with([&long]).run());
    clean(&node.says("oci exec --cwd").with([&long]).with(["a", "true"]).run());
    let argument = "x".repeat(100 * 1024);
    assert_eq!(node.says("oci exec a echo").with([&argument]).ok().len(), argument.len() + 1);
    node.says("oci delete --force a").ok();
    assert_eq!(left_behind(), [""; 0]);
}
