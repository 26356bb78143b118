//! User namespaces and mapped owners, on the kernel that there is.

#![allow(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod harness;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use harness::{Bundle, json, says, says_after};

const MAPPING: &str = r#"[{"containerID":0,"hostID":100000,"size":65536}]"#;

/// A bundle in a user namespace of its own, which its files belong to.
fn mapped() -> Bundle {
    let bundle = Bundle::new()
        .with("/linux/namespaces/-", json(r#"{"type":"user"}"#))
        .with("/linux/uidMappings", json(MAPPING))
        .with("/linux/gidMappings", json(MAPPING));
    let done = Command::new("chown").args(["-R", "100000:100000"]).arg(bundle.inside("/")).status();
    assert!(done.unwrap().success());
    bundle
}

#[test]
fn a_container_in_a_user_namespace_is_whole() {
    let bundle = mapped();
    assert_eq!(
        says(&bundle, "id -u; echo $$; cat /proc/self/uid_map | tr -s ' '"),
        "0\n1\n 0 100000 65536\n"
    );
    assert_eq!(
        says(&bundle, "stat -c '%F %t %T' /dev/null; echo x >/dev/null; ls -d /sys/fs/cgroup/."),
        "character special file 1 3\n/sys/fs/cgroup/.\n"
    );
    assert_eq!(says(&bundle, "hostname; ip -o link | wc -l"), "runc\n1\n");
}

#[test]
fn in_a_user_namespace_what_is_made_belongs_to_its_root() {
    let bundle = mapped().with("/root/readonly", json("false")).mount(
        r#"{"destination":"/volume","type":"bind","source":"volume","options":["rbind","idmap"]}"#,
    );
    fs::create_dir(bundle.path().join("volume")).unwrap();
    let script = "touch /made /volume/made; stat -c '%u %g' /made /volume /volume/made";
    assert_eq!(says(&bundle, script), "0 0\n0 0\n0 0\n");
    assert_eq!(fs::metadata(bundle.inside("made")).unwrap().uid(), 100_000);
    assert_eq!(fs::metadata(bundle.path().join("volume/made")).unwrap().uid(), 0);
}

#[test]
fn a_user_namespace_has_a_terminal_a_clock_and_closed_host_directories() {
    let bundle = mapped()
        .with("/process/terminal", json("true"))
        .with("/linux/namespaces/-", json(r#"{"type":"time"}"#))
        .with("/linux/timeOffsets", json(r#"{"boottime":{"secs":1000000000}}"#));
    let words = says(
        &bundle,
        "test -t 0 && tty; test $(cut -d . -f 1 /proc/uptime) -gt 999999999 && echo late",
    );
    assert_eq!(words, "/dev/pts/0\r\nlate\r\n");
}

#[test]
fn row_28_a_new_user_namespace_does_not_mount_the_hosts_cgroups() {
    let words = says(
        &mapped(),
        "mkdir /dev/x; mount -t cgroup -o devices x /dev/x 2>/dev/null || echo refused",
    );
    assert_eq!(words, "refused\n");
}

#[test]
fn a_user_namespace_is_joined_by_path() {
    let bundle = mapped();
    let namespace = bundle.path().join("user");
    fs::write(&namespace, "").unwrap();
    let mut bundle = bundle;
    let namespaces = bundle.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|one| one["type"] != "user");
    namespaces
        .push(json(&format!(r#"{{"type":"user","path":{:?}}}"#, namespace.display().to_string())));
    bundle.config["linux"].as_object_mut().unwrap().remove("uidMappings");
    bundle.config["linux"].as_object_mut().unwrap().remove("gidMappings");
    let before = format!(
        "unshare --user sleep 5 & id=$!\n\
         while test $(readlink /proc/$id/ns/user) = $(readlink /proc/self/ns/user); do :; done\n\
         echo 0 100000 65536 >/proc/$id/uid_map; echo 0 100000 65536 >/proc/$id/gid_map\n\
         mount --bind /proc/$id/ns/user {}; kill $id",
        namespace.display()
    );
    assert_eq!(
        says_after(&bundle, &before, "id -u; tr -s ' ' </proc/self/gid_map"),
        "0\n 0 100000 65536\n"
    );
}

#[test]
fn a_mounts_owners_are_mapped_without_a_user_namespace() {
    let bundle = Bundle::new().mount(
        r#"{"destination":"/v","type":"bind","source":"volume","options":["rbind"],
            "uidMappings":[{"containerID":0,"hostID":1000,"size":10}],
            "gidMappings":[{"containerID":0,"hostID":2000,"size":10}]}"#,
    );
    fs::create_dir(bundle.path().join("volume")).unwrap();
    assert_eq!(says(&bundle, "stat -c '%u %g' /v"), "1000 2000\n");
}

#[test]
fn a_further_process_is_in_the_same_user_and_time_namespaces() {
    let bundle = mapped()
        .with("/linux/personality", json(r#"{"domain":"LINUX32"}"#))
        .with("/linux/namespaces/-", json(r#"{"type":"time"}"#))
        .with("/linux/timeOffsets", json(r#"{"boottime":{"secs":1000000000}}"#));
    let script = "id -u; tr -s ' ' </proc/self/uid_map; cat /proc/self/personality; \
                  test $(cut -d . -f 1 /proc/uptime) -gt 999999999 && echo late";
    let output = bundle.run_with("", "sleep 10", &["sh", "-c", script]);
    let (out, error) = (output.stdout.clone(), String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(out).unwrap(), "0\n 0 100000 65536\n00000008\nlate\n", "{error}");
}
