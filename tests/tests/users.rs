//! Who a container's processes are.

use sandbar_tests::{Node, Rootfs, tests};

tests! {
    a_user_by_name_number_and_group,
    the_images_user_is_taken_unless_another_is_named,
    row_25_the_primary_group_is_in_the_supplementary_set,
    row_10_a_numeric_user_is_that_uid_and_nothing_overflows,
    a_user_without_an_account_has_a_home_all_the_same,
    row_9_hostile_account_files_are_refused_at_once,
    an_image_without_account_files_has_numbers,
}

const WHO: &str = "echo $(id -u):$(id -g):$(id -G)";

fn a_user_by_name_number_and_group(node: &Node) {
    node.has_busybox();
    for (user, who) in [
        ("alice", "1000:1000:1000 10 50"),
        ("1000", "1000:1000:1000 10 50"),
        ("alice:staff", "1000:50:50"),
        ("alice:10", "1000:10:10"),
        ("4242", "4242:0:0"),
        ("4242:4343", "4242:4343:4343"),
        ("root", "0:0:0 10"),
        ("nobody", "65534:65534:65534"),
    ] {
        let got = node
            .sandbar(["run", "--rm", "--net=none", "--user", user, "busybox", "sh", "-c", WHO])
            .ok();
        assert_eq!(got.trim_end(), who, "--user {user}");
    }
    node.says("run --rm --net none --user bob busybox true").refused(125, &["bob", "passwd"]);
    node.says("run --rm --net none --user alice:friends busybox true")
        .refused(125, &["friends", "group"]);
}

fn the_images_user_is_taken_unless_another_is_named(node: &Node) {
    node.import("of-alice", Rootfs::busybox(), &["USER alice", "WORKDIR /home/alice"]);
    let run = node.says("run --rm --net none of-alice sh -c");
    assert_eq!(
        run.clone().with(["id -un; pwd; echo $HOME"]).ok(),
        "alice\n/home/alice\n/home/alice\n"
    );
    let run = node.says("run --rm --net none -u root of-alice sh -c");
    assert_eq!(run.with(["id -un; echo $HOME"]).ok(), "root\n/root\n");
}

fn row_25_the_primary_group_is_in_the_supplementary_set(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --user alice --net none busybox sleep 1000").ok();
    assert_eq!(node.process("a").status("Groups"), "10 50 1000");
    assert_eq!(node.says("exec a id -G").ok(), "1000 10 50\n");
    assert_eq!(node.says("exec -u root a id -G").ok(), "0 10\n");
    assert_eq!(node.says("exec -u alice:staff a id -G").ok(), "50\n");
    assert_eq!(node.says("exec -u 77:88 a id -G").ok(), "88\n");
    // What is denied to the group stays denied to who might shed it.
    node.says("exec -u root a sh -c")
        .with(["echo x >/denied; chown root:alice /denied; chmod 604 /denied"])
        .ok();
    node.says("exec a cat /denied").code(1);
    node.says("rm -f a").ok();
}

fn row_10_a_numeric_user_is_that_uid_and_nothing_overflows(node: &Node) {
    node.has_busybox();
    // There is an account whose name is 2000 and whose number is not.
    let run = node.says("run --rm --net none -u 2000 busybox id -u");
    assert_eq!(run.ok(), "2000\n");
    for user in
        ["4294967296", "4294967295", "99999999999999999999", "0:4294967296", "-1", "1000:-1"]
    {
        let run = node.sandbar([
            "run",
            "--rm",
            "--net=none",
            &format!("--user={user}"),
            "busybox",
            "true",
        ]);
        let number = user.rsplit(':').next().unwrap_or_default();
        run.refused(125, &[number]);
    }
    node.says("run -d --name a --net none busybox sleep 1000").ok();
    node.says("exec -u 4294967296 a true").refused(125, &["4294967296"]);
    node.says("rm -f a").ok();
}

fn a_user_without_an_account_has_a_home_all_the_same(node: &Node) {
    node.has_busybox();
    let run = node.says("run --rm --net none -u 4242 busybox sh -c");
    assert_eq!(run.with(["echo $HOME"]).ok(), "/\n");
    let run = node.says("run --rm --net none -u alice -e HOME=/tmp busybox sh -c");
    assert_eq!(run.with(["echo $HOME"]).ok(), "/tmp\n", "a HOME that was asked for counts");
}

fn row_9_hostile_account_files_are_refused_at_once(node: &Node) {
    let without_passwd = || {
        let program = std::fs::read("/bin/busybox").expect("busybox");
        Rootfs::new()
            .file("bin/busybox", 0o755, &program)
            .link("bin/true", "busybox")
            .link("bin/id", "busybox")
    };
    node.import("fifo", without_passwd().fifo("etc/passwd").fifo("etc/group"), &[]);
    node.import(
        "zero",
        without_passwd().link("etc/passwd", "/dev/zero").link("etc/group", "/dev/zero"),
        &[],
    );
    node.import("self", without_passwd().link("etc/passwd", "/proc/self/environ"), &[]);
    let huge = vec![b'\n'; 11 << 20];
    node.import("huge", without_passwd().file("etc/passwd", 0o644, &huge), &[]);
    for image in ["fifo", "zero", "huge"] {
        let run = node.sandbar(["run", "--rm", "--net=none", "-u", "alice", image, "true"]);
        let output = run.within(std::time::Duration::from_secs(5)).code(125);
        assert!(output.stderr().contains("passwd"), "{image}: {output}");
        assert!(output.elapsed < std::time::Duration::from_secs(2), "{image}: {output}");
    }
    node.says("run --rm --net none -u alice self true").code(125);
}

fn an_image_without_account_files_has_numbers(node: &Node) {
    let program = std::fs::read("/bin/busybox").expect("busybox");
    let rootfs = Rootfs::new().file("bin/busybox", 0o755, &program);
    node.import("bare", rootfs, &[]);
    assert_eq!(node.says("run --rm --net none bare busybox id -u").ok(), "0\n");
    assert_eq!(node.says("run --rm --net none -u 12:34 bare busybox id -G").ok(), "34\n");
    node.says("run --rm --net none -u alice bare busybox true").refused(125, &["alice"]);
}
