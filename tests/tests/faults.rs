//! What fails half-way: full disks, too few descriptors, records that are gone or no records at all.

use std::fs;

use rustix::mount::{MountFlags, mount};
use sandbar_tests::{Node, SOON, left_behind, living, tests, until};

tests! {
    a_full_disk_is_a_clear_error_and_clears_up,
    a_full_run_directory_is_a_clear_error_and_clears_up,
    a_container_that_fills_the_disk_hurts_itself_alone,
    too_few_descriptors_are_a_clear_error_and_clear_up,
    records_that_are_no_records_can_be_removed_and_hide_nobody,
    a_reboot_leaves_what_is_kept,
}

fn fill(directory: &str) -> std::path::PathBuf {
    let path = std::path::Path::new(directory).join("filler");
    let mut file = fs::File::create(&path).expect("a file");
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    path
}

/// But what the test itself has mounted.
fn nothing_is_left() {
    let is_ours = |it: &String| it.starts_with("mount ");
    until("that nothing is left", SOON, || left_behind().iter().all(is_ours).then_some(()));
}

fn tiny(directory: &str) {
    fs::create_dir_all(directory).expect(directory);
    mount("tmpfs", directory, "tmpfs", MountFlags::empty(), c"size=8m,mode=700").expect(directory);
}

fn untiny(directory: &str) {
    rustix::mount::unmount(directory, rustix::mount::UnmountFlags::DETACH).expect(directory);
}

fn a_full_disk_is_a_clear_error_and_clears_up(node: &Node) {
    tiny("/var/lib/sandbar");
    node.has_busybox();
    node.says("run --rm --net none busybox true").ok();
    let filler = fill("/var/lib/sandbar");
    // A container that writes nothing needs no space; one that does is told by the kernel.
    node.says("run --rm -p 8080:80 busybox true").ok();
    node.says("run --rm --net none busybox sh -c").with(["echo x >/file"]).code(1);
    nothing_is_left();
    let output =
        node.says("import - more").input(sandbar_tests::Rootfs::busybox().into_archive()).code(1);
    assert!(output.stderr().contains("No space left"), "{output}");
    fs::remove_file(filler).expect("the file");
    node.says("run --rm busybox true").ok();
    untiny("/var/lib/sandbar");
}

fn a_full_run_directory_is_a_clear_error_and_clears_up(node: &Node) {
    tiny("/run/sandbar");
    node.has_busybox();
    node.says("run -d --name before -p 8081:80 busybox sleep 1000").ok();
    let filler = fill("/run/sandbar");
    node.says("run --rm -p 8080:80 busybox true").refused(125, &["No space left"]);
    node.says("pod create --name p").refused(1, &["No space left"]);
    // What runs is seen, and can be ended and removed, all the same.
    assert_eq!(node.state("before"), "running");
    node.says("exec before true").ok();
    node.says("rm -f before").ok();
    fs::remove_file(filler).expect("the file");
    nothing_is_left();
    node.says("run --rm -p 8080:80 busybox true").ok();
    untiny("/run/sandbar");
}

fn a_container_that_fills_the_disk_hurts_itself_alone(node: &Node) {
    tiny("/var/lib/sandbar");
    node.has_busybox();
    let script = "dd if=/dev/zero of=/x bs=1M count=100 2>/dev/null; echo full; sleep 1000";
    node.says("run -d --name a --net none busybox sh -c").with([script]).ok();
    until("that the disk is full", SOON, || {
        let probe = fs::File::options().append(true).create(true).open("/var/lib/sandbar/probe");
        std::io::Write::write_all(&mut probe.ok()?, &[0; 1 << 12]).is_err().then_some(())
    });
    // Its words are lost for want of space, it is not.
    node.says("exec a true").ok();
    node.says("stop -t 0 a").ok();
    assert_eq!(node.state("a"), "exited");
    node.says("rm a").ok();
    _ = fs::remove_file("/var/lib/sandbar/probe");
    node.says("run --rm --net none busybox true").ok();
    untiny("/var/lib/sandbar");
}

fn too_few_descriptors_are_a_clear_error_and_clear_up(node: &Node) {
    node.has_busybox();
    let mut refused = 0;
    for limit in 4..40 {
        let line = format!(
            "ulimit -n {limit}; exec {} run --rm -p 8080:80 busybox true",
            node.program().display()
        );
        let output = node.run("/bin/sh", ["-c", &line]).run();
        if output.exit_code() != 0 {
            refused += 1;
            assert!(output.stderr().lines().count() <= 2, "{limit}: {output}");
        }
        let ids = node.says("ps -aq").ok() + &node.says("pod ps -aq").ok();
        assert_eq!(ids, "", "{limit}: {output}");
    }
    assert!(refused > 3, "{refused}");
}

fn records_that_are_no_records_can_be_removed_and_hide_nobody(node: &Node) {
    node.has_busybox();
    node.says("run -d --name well --net none busybox sleep 1000").ok();
    for what in ["empty directory", "empty file", "garbage", "truncated"] {
        let id = node.says("pod create --name bad -p 8080:80").ok();
        let pod = std::path::Path::new("/run/sandbar/pods").join(id.trim_end());
        let config = pod.join("pod.json");
        match what {
            "empty directory" => {
                fs::remove_file(&config).expect("the record");
            }
            "empty file" => fs::write(&config, "").expect("the record"),
            "garbage" => fs::write(&config, "\0\0\0").expect("the record"),
            _ => fs::write(&config, &fs::read(&config).expect("the record")[..20])
                .expect("the record"),
        }
        // What is well is seen.
        let listed = node.says("ps").run();
        assert!(listed.stdout().contains("well"), "{what}: {listed}");
        assert_eq!(node.state("well"), "running", "{what}");
        node.says("run --rm --net none busybox true").ok();
        node.sandbar(["pod", "rm", "-f", id.trim_end()]).ok();
        assert!(!pod.exists(), "{what}");
        node.says("pod create --name bad").ok();
        node.says("pod rm bad").ok();
    }
    node.says("rm -f well").ok();
}

fn a_reboot_leaves_what_is_kept(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a -p 8080:80 -v kept:/data busybox sh -c")
        .with(["echo kept >/data/file; exec sleep 1000"])
        .ok();
    until("its file", SOON, || {
        (node.says("exec a cat /data/file").run().stdout() == "kept\n").then_some(())
    });
    // A reboot: every process ends at once, /run is empty, the network is gone.
    for process in living() {
        process.signal(rustix::process::Signal::KILL);
    }
    until("the end of all", SOON, || living().iter().all(|it| !it.lives()).then_some(()));
    fs::remove_dir_all("/run/sandbar").expect("/run/sandbar");
    // The kernel gives each boot an id, and a test can't give it another: it changes what was written of it.
    let record = "/var/lib/sandbar/boot.json";
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("the boot's id");
    let recorded = fs::read_to_string(record).expect("the record of the boot");
    assert!(recorded.contains(boot.trim()), "{recorded}");
    fs::write(record, recorded.replace(boot.trim(), "another")).expect("the record of the boot");
    node.run("nft", ["delete", "table", "inet", "sandbar"]).ok();
    node.run("/bin/busybox", ["ip", "link", "delete", "sandbar0"]).ok();
    remove_cgroups();
    assert_eq!(node.says("ps -aq").ok(), "");
    let run = node.says("run --rm --name a -p 8080:80 -v kept:/data busybox cat /data/file").ok();
    assert_eq!(run, "kept\n");
    let storage = fs::read_dir("/var/lib/sandbar/containers").map_or(0, Iterator::count);
    assert_eq!(storage, 0, "what containers of before the reboot wrote is cleared");
}

/// A reboot takes the cgroups too.
fn remove_cgroups() {
    for top in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        for base in [top.path().join("sandbar"), top.path()] {
            if !base.ends_with("sandbar") {
                continue;
            }
            remove_below(&base);
        }
    }
}

fn remove_below(directory: &std::path::Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|it| it.is_dir()) && entry.file_name() != "supervisors" {
            remove_below(&entry.path());
            _ = fs::remove_dir(entry.path());
        }
    }
}
