//! Classes of vulnerabilities of this field, by their rows in the project's list: hostile images, hostile neighbours.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use sandbar_tests::{Node, Rootfs, SOON, tests, until};

tests! {
    row_1_a_working_directory_through_a_leaked_descriptor_stays_inside,
    row_2_our_program_is_not_opened_for_writing,
    row_5_an_image_whose_proc_is_a_link_fails,
    row_5_a_volume_on_proc_is_refused,
    row_6_an_image_whose_dev_is_a_link_fails,
    row_7_targets_of_mounts_stay_inside,
    row_7_a_target_that_is_raced_never_shows_the_host,
    row_8_a_linked_working_directory_stays_inside,
    row_8_linked_files_in_etc_stay_inside,
    row_11_a_line_end_in_home_is_refused,
    row_13_an_images_volumes_reach_nothing_of_the_host_and_change_no_volume,
    row_18_nothing_of_an_image_runs_outside,
    row_27_no_abstract_sockets_and_no_loose_modes,
    what_a_container_writes_is_not_followed,
}

/// A directory of the host that must never change, and what it looks like.
fn host(node: &Node) -> std::path::PathBuf {
    let directory = node.path("host");
    fs::create_dir_all(directory.join("sub")).expect("a directory");
    fs::write(directory.join("secret"), "of the host").expect("a file");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o751)).expect("chmod");
    directory
}

fn is_unchanged(directory: &Path) {
    let mut names: Vec<String> = fs::read_dir(directory)
        .expect("the host's directory")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["secret", "sub"], "something was made on the host");
    assert_eq!(fs::read_to_string(directory.join("secret")).expect("a file"), "of the host");
    assert_eq!(fs::read_dir(directory.join("sub")).expect("a directory").count(), 0);
    let metadata = fs::metadata(directory).expect("metadata");
    assert_eq!((metadata.mode() & 0o7777, metadata.uid()), (0o751, 0));
}

fn row_1_a_working_directory_through_a_leaked_descriptor_stays_inside(node: &Node) {
    let host = host(node);
    node.has_busybox();
    let probe = "pwd; ls -d /proc/self/cwd/../../../../../run/test/host 2>/dev/null; cat secret ../../../../run/test/host/secret";
    node.says("run -d --name a --net none busybox sleep 1000").ok();
    for number in 0..24 {
        let directory = format!("/proc/self/fd/{number}");
        let run = node
            .sandbar(["run", "--rm", "--net=none", "-w", &directory, "busybox", "sh", "-c", probe])
            .run();
        assert!(
            !run.stdout().contains("of the host") && !run.stdout().contains("/run/test"),
            "{run}"
        );
        assert_ne!(run.exit_code(), 0, "{run}");
        let exec = node.sandbar(["exec", "-w", &directory, "a", "sh", "-c", probe]).run();
        assert!(
            !exec.stdout().contains("of the host") && !exec.stdout().contains("/run/test"),
            "{exec}"
        );
        assert_ne!(exec.exit_code(), 0, "{exec}");
    }
    // The same, from within: a link of the image.
    node.import("linked", Rootfs::busybox().link("work", "/proc/self/fd/7"), &["WORKDIR /work"]);
    let run = node.says("run --rm --net none linked sh -c").with([probe]).run();
    assert!(!run.stdout().contains("of the host"), "{run}");
    node.says("rm -f a").ok();
    is_unchanged(&host);
}

fn row_2_our_program_is_not_opened_for_writing(node: &Node) {
    let before = fs::read(node.program()).expect("our program");
    // An interpreter that is the runtime itself, at the instant of execve.
    let rootfs = Rootfs::busybox()
        .file("self", 0o755, b"#!/proc/self/exe\n")
        .link("link", "/proc/self/exe")
        .file("attack", 0o755, b"#!/bin/sh\n\
            for i in $(seq 200); do for p in /proc/[0-9]*; do\n\
            case $(readlink $p/exe) in /bin/busybox|'') ;; *) (printf x >>$p/exe) 2>/dev/null && echo written $p; esac\n\
            done; done\n");
    node.import("hostile", rootfs, &[]);
    for program in ["/self", "/link", "/proc/self/exe"] {
        let run = node
            .sandbar(["run", "--rm", "--net=none", "hostile", program])
            .within(Duration::from_secs(10))
            .run();
        assert!(!run.stdout().contains("Usage"), "our own program ran inside: {run}");
    }
    node.says("run -d --name a hostile /attack").ok();
    node.says("run -d --name b --pid container:a hostile /attack").ok();
    for _ in 0..30 {
        _ = node.sandbar(["exec", "a", "/self"]).run();
        _ = node.sandbar(["exec", "a", "/proc/self/exe"]).run();
        _ = node.sandbar(["exec", "a", "true"]).run();
    }
    for name in ["a", "b"] {
        let logs = node.sandbar(["logs", name]).ok();
        assert!(!logs.contains("written"), "{logs}");
    }
    // By way of an open descriptor, too: for reading it may be open, for writing never.
    let line = "exec 3</proc/1/exe; (echo x >/proc/self/fd/3) 2>&1; cat /proc/1/maps";
    let said = node.says("exec b sh -c").with([line]).run();
    assert!(!said.stdout().contains("sandbar"), "our program is mapped inside: {said}");
    node.says("rm -f b").ok();
    node.says("rm -f a").ok();
    assert!(fs::read(node.program()).expect("our program") == before, "our program was changed");
}

fn row_5_an_image_whose_proc_is_a_link_fails(node: &Node) {
    let host = host(node);
    for target in ["/run/test/host", "../../../../run/test/host", "/etc", "/tmp", "/sys"] {
        node.import("hostile", Rootfs::busybox().link("proc", target), &[]);
        let run = node
            .says("run --rm --net none hostile cat /proc/self/attr/current /proc/version")
            .run();
        // It fails, or the link is inside the image and procfs is where it leads: never a fake, never the host.
        assert_ne!(run.exit_code(), 0, "{target}: {run}");
        is_unchanged(&host);
    }
    for name in ["sys", "dev/pts", "dev/shm", "dev/mqueue"] {
        node.import("hostile", Rootfs::busybox().link(name, "/run/test/host"), &[]);
        _ = node.says("run --rm --net none hostile true").run();
        is_unchanged(&host);
    }
    assert_eq!(node.says("ps -aq").ok(), "");
}

fn row_5_a_volume_on_proc_is_refused(node: &Node) {
    node.has_busybox();
    let host = host(node);
    for target in ["/proc", "/proc/self", "/proc/sys/kernel", "/proc/1/attr", "/x/../proc"] {
        let volume = format!("{}:{target}", host.display());
        let run = node.sandbar(["run", "--rm", "--net=none", "-v", &volume, "busybox", "true"]);
        assert!(run.code(125).stderr().contains("/proc"), "{target}");
        let run = node.sandbar(["run", "--rm", "--net=none", "--tmpfs", target, "busybox", "true"]);
        run.code(125);
    }
    is_unchanged(&host);
}

fn row_6_an_image_whose_dev_is_a_link_fails(node: &Node) {
    let host = host(node);
    for target in ["/run/test/host", "../../../../../run/test/host", "/etc"] {
        node.import("hostile", Rootfs::busybox().link("dev", target), &[]);
        let run = node.says("run --rm --net none hostile true").run();
        assert_eq!(run.exit_code(), 125, "{target}: {run}");
        assert!(run.stderr().contains("/dev"), "{run}");
        is_unchanged(&host);
    }
}

fn row_7_targets_of_mounts_stay_inside(node: &Node) {
    let host = host(node);
    let source = node.path("source");
    fs::create_dir(&source).expect("a directory");
    fs::write(source.join("mine"), "mounted\n").expect("a file");
    for (link, target) in [
        ("data", "/run/test/host"),
        ("data", "../../../../run/test/host"),
        ("data", "/proc/1/root/run/test/host"),
        ("data", "/proc/self/fd/5"),
    ] {
        node.import("hostile", Rootfs::busybox().link(link, target), &[]);
        for inside in ["/data", "/data/sub", "/data/new/and/deep"] {
            let volume = format!("{}:{inside}", source.display());
            let run = ["run", "--rm", "--net=none", "-v", &volume, "hostile", "cat"];
            _ = node.sandbar(run).with([format!("{inside}/mine")]).run();
            is_unchanged(&host);
        }
        let volume = format!("{}:/data/secret", source.join("mine").display());
        _ = node.sandbar(["run", "--rm", "--net=none", "-v", &volume, "hostile", "true"]).run();
        is_unchanged(&host);
    }
    // A link that stays inside is followed inside.
    node.import("honest", Rootfs::busybox().directory("real", 0o755).link("data", "/real"), &[]);
    let volume = format!("{}:/data", source.display());
    let run =
        node.sandbar(["run", "--rm", "--net=none", "-v", &volume, "honest", "cat", "/real/mine"]);
    assert_eq!(run.ok(), "mounted\n");
}

fn row_7_a_target_that_is_raced_never_shows_the_host(node: &Node) {
    let host = host(node);
    node.has_busybox();
    fs::create_dir(node.path("volume")).expect("a directory");
    let volume = format!("{}:/shared", node.path("volume").display());
    // A neighbour swaps a directory of the volume for a link to the host, and back, all the time.
    let swap = "cd /shared; mkdir -p a/sub b; while :; do mv a c; ln -s /run/test/host a; rm a; mv c a; \
                ln -s ../../../../../run/test b/host 2>/dev/null; rm -f b/host; done";
    node.sandbar([
        "run",
        "-d",
        "--name",
        "racer",
        "--net=none",
        "-v",
        &volume,
        "busybox",
        "sh",
        "-c",
        swap,
    ])
    .ok();
    let own = node.path("own");
    fs::create_dir(&own).expect("a directory");
    let inner = format!("{}:/shared/a/sub", own.display());
    let deep = format!("{}:/shared/b/host/sub", own.display());
    let look = "cat /shared/a/secret /shared/b/host/secret /shared/a/sub/secret 2>/dev/null; true";
    let deadline = Instant::now() + Duration::from_secs(40);
    let mut starts = 0;
    while starts < 300 && Instant::now() < deadline {
        let volumes = ["run", "--rm", "--net=none", "-v", &volume, "-v", &inner, "-v", &deep];
        let run = node.sandbar(volumes).with(["busybox", "sh", "-c", look]).run();
        assert!(!run.stdout().contains("of the host"), "{run}");
        starts += 1;
    }
    println!("measured: {starts} raced starts");
    assert!(starts >= 100);
    node.says("rm -f racer").ok();
    is_unchanged(&host);
    assert_eq!(node.says("ps -aq").ok(), "");
}

fn row_8_a_linked_working_directory_stays_inside(node: &Node) {
    let host = host(node);
    for target in ["/run/test/host", "../../../run/test/host"] {
        for work in ["/work", "/work/sub", "/work/new/deep"] {
            node.import(
                "hostile",
                Rootfs::busybox().link("work", target),
                &[&format!("WORKDIR {work}"), "USER alice"],
            );
            let run =
                node.says("run --rm --net none hostile sh -c").with(["pwd; ls; cat secret"]).run();
            assert!(!run.stdout().contains("of the host"), "{run}");
            is_unchanged(&host);
        }
    }
    node.has_busybox();
    let run = node.says("run --rm --net none -w /new/working/directory busybox pwd").ok();
    assert_eq!(run, "/new/working/directory\n");
}

fn row_8_linked_files_in_etc_stay_inside(node: &Node) {
    let host = host(node);
    for name in ["hosts", "hostname", "resolv.conf", "mtab"] {
        let rootfs = Rootfs::busybox().link(&format!("etc/{name}"), "/run/test/host/secret");
        node.import("hostile", rootfs, &[]);
        let run = node
            .says("run --rm --net none hostile sh -c")
            .with([&format!("echo x >/etc/{name}; cat /etc/{name}")])
            .run();
        assert!(!run.stdout().contains("of the host"), "{run}");
        is_unchanged(&host);
    }
    let rootfs =
        Rootfs::new().file("bin/busybox", 0o755, &fs::read("/bin/busybox").expect("busybox"));
    node.import("hostile", rootfs.link("etc", "/run/test/host"), &[]);
    _ = node.says("run --rm --net none hostile busybox true").run();
    _ = node.says("run --rm --net none -u alice hostile busybox true").run();
    is_unchanged(&host);
}

fn row_11_a_line_end_in_home_is_refused(node: &Node) {
    node.has_busybox();
    let run = node.sandbar([
        "run",
        "--rm",
        "--net=none",
        "-e",
        "HOME=/root\nevil:x:0:0::/:/bin/sh",
        "busybox",
        "cat",
        "/etc/passwd",
    ]);
    let output = run.run();
    assert!(!output.stdout().lines().any(|line| line.starts_with("evil")), "{output}");
    let passwd = b"root:x:0:0:root:/root:/bin/sh\nmallory:x:7:7::/a\\nb:/bin/sh\n";
    node.import("hostile", Rootfs::busybox().file("etc/passwd", 0o644, passwd), &[]);
    let run = node
        .says("run --rm --net none -u mallory hostile sh -c")
        .with(["echo \"$HOME\" | wc -l"])
        .run();
    assert_eq!(run.stdout().trim(), "1", "{run}");
}

fn row_13_an_images_volumes_reach_nothing_of_the_host_and_change_no_volume(node: &Node) {
    let host = host(node);
    for volume in
        ["/../../run/test/host", "/data", "/data/../../../run/test/host", "/run/test/host"]
    {
        let rootfs = Rootfs::busybox().link("data", "/run/test/host").file("own/x", 0o644, b"its");
        let changes = [format!(r#"VOLUME ["{volume}"]"#)];
        let archive = node.file("hostile.tar", rootfs.into_archive());
        let import = node.sandbar(["import", "-c", &changes[0]]).with([&archive]);
        if import.with(["hostile"]).run().exit_code() != 0 {
            // Not a path within an image.
            continue;
        }
        // What is copied from or to where the path leads, and who looks there.
        let script = "cat /data/secret /run/test/host/secret; touch /data/new /run/test/host/new";
        let run = node.sandbar(["run", "--rm", "--net=none", "hostile", "sh", "-c", script]).run();
        assert!(!run.stdout().contains("of the host"), "{volume}: {run}");
        is_unchanged(&host);
    }
    // Nor is what a volume has already written over by what an image has there.
    let own = Rootfs::busybox().file("own/x", 0o644, b"of the image");
    node.import("honest", own, &[r#"VOLUME ["/own"]"#]);
    let with = |script: &str| {
        let run = ["run", "--rm", "--net=none", "-v", "kept:/own", "honest", "sh", "-c", script];
        node.sandbar(run).ok()
    };
    with("echo mine > /own/x");
    assert_eq!(with("cat /own/x"), "mine\n");
}

fn row_18_nothing_of_an_image_runs_outside(node: &Node) {
    let host = host(node);
    // Every name that a runtime might call for, in every place.
    let evil = b"#!/bin/sh\ntouch /run/test/host/evil\n";
    let mut rootfs = Rootfs::busybox();
    for name in [
        "runc",
        "sandbar",
        "newuidmap",
        "nft",
        "iptables",
        "mount",
        "getent",
        "ldconfig",
        "modprobe",
    ] {
        for directory in ["sbin", "usr/bin", "usr/sbin", "usr/local/bin"] {
            rootfs = rootfs.file(&format!("{directory}/{name}"), 0o755, evil);
        }
    }
    rootfs = rootfs.file("etc/nsswitch.conf", 0o644, b"passwd: evil\n").file(
        "lib/libnss_evil.so.2",
        0o755,
        evil,
    );
    node.import(
        "hostile",
        rootfs,
        &["ENV PATH=/usr/local/bin:/bin", "ENV LD_PRELOAD=/lib/libnss_evil.so.2"],
    );
    node.says("run -d --name a -p 8080:80 --user alice hostile /bin/sleep 1000").ok();
    _ = node.says("exec a /bin/true").run();
    node.says("stop -t 0 a").ok();
    node.says("rm a").ok();
    is_unchanged(&host);
}

fn row_27_no_abstract_sockets_and_no_loose_modes(node: &Node) {
    let others = abstract_sockets();
    node.has_busybox();
    node.says("pod create --name p -p 8080:80 --share net,ipc,uts,pid").ok();
    node.says("run -d --pod p --name a busybox sleep 1000").ok();
    assert_eq!(
        abstract_sockets(),
        others,
        "an abstract socket can be reached from the host's network"
    );
    for directory in ["/run/sandbar", "/var/lib/sandbar"] {
        let mode = fs::metadata(directory).expect(directory).mode() & 0o777;
        assert_eq!(mode, 0o700, "{directory}: {mode:o}");
    }
    let mut found = 0;
    let mut left = vec![Path::new("/run/sandbar").to_owned()];
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).expect("metadata");
        let kind = metadata.mode() & 0o170_000;
        match kind {
            0o040_000 => left.extend(
                fs::read_dir(&path).expect("a directory").flatten().map(|entry| entry.path()),
            ),
            0o140_000 => {
                found += 1;
                assert_eq!(metadata.mode() & 0o777 & !0o660, 0, "{}", path.display());
            }
            _ => {}
        }
    }
    assert!(found > 0, "the supervisor has a socket");
    // Neither from inside: what a container is given has no way to its supervisor.
    let seen = node
        .says("exec a sh -c")
        .with(["find / -type s 2>/dev/null; ls -a /run 2>/dev/null; true"])
        .ok();
    assert!(!seen.contains("sandbar"), "{seen}");
    node.says("pod rm -f p").ok();
}

fn abstract_sockets() -> usize {
    let list = fs::read_to_string("/proc/net/unix").expect("/proc/net/unix");
    list.lines()
        .filter(|line| line.split_whitespace().nth(7).is_some_and(|it| it.starts_with('@')))
        .count()
}

fn what_a_container_writes_is_not_followed(node: &Node) {
    let host = host(node);
    node.has_busybox();
    // In its own file system it makes links where a later start or exec will look.
    let script = "rm -rf /etc/passwd /etc/group /tmp; ln -s /run/test/host/secret /etc/passwd; \
                  ln -s /run/test/host /etc/group; ln -s /run/test/host /tmp; ln -s /run/test/host /new; \
                  mkdir -p /var; ln -s ../run/test/host /var/tmp; sleep 1000";
    let volume = format!("{}:/vol", node.path("host/sub").display());
    node.sandbar([
        "run",
        "-d",
        "--name",
        "a",
        "--net=none",
        "-w",
        "/home",
        "-v",
        &volume,
        "busybox",
        "sh",
        "-c",
        script,
    ])
    .ok();
    until("its links", SOON, || {
        (node.says("exec -u 0 a readlink /var/tmp").run().exit_code() == 0).then_some(())
    });
    let exec = node.says("exec -u alice a id").run();
    assert!(!exec.stdout().contains("of the host"), "{exec}");
    let exec = node.says("exec -w /new a sh -c").with(["pwd; cat secret"]).run();
    assert!(!exec.stdout().contains("of the host"), "{exec}");
    node.says("stop -t 0 a").ok();
    _ = node.says("start a").run();
    node.says("rm -f a").ok();
    is_unchanged(&host);
}
