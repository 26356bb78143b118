//! What containers print is kept, byte by byte, in the format of the CRI.

use std::fs;
use std::time::Duration;

use sandbar_tests::{Node, tests};

tests! {
    every_byte_is_kept,
    standard_output_and_error_stay_apart,
    a_last_line_without_its_end_stays_without,
    a_mebibyte_passes_at_once,
    following_ends_with_the_container,
    following_shows_what_comes_as_it_comes,
    the_file_is_in_the_format_of_the_cri,
    tail_and_timestamps,
    nobody_who_reads_is_no_reason_to_end,
    logs_are_there_after_the_end_and_after_another_start,
}

fn every_byte_is_kept(node: &Node) {
    node.has_busybox();
    let bytes: Vec<u8> = (0..=255).cycle().take(4096).chain(*b"\n\n\r\n\0end\n").collect();
    let file = node.file("bytes", &bytes);
    let volume = format!("{}:/bytes:ro", file.display());
    let run = ["run", "--name", "a", "--net=none", "-v", &volume, "busybox", "cat", "/bytes"];
    let attached = node.sandbar(run).code(0).stdout;
    assert!(attached == bytes, "run shows {} bytes of {}", attached.len(), bytes.len());
    let kept = node.says("logs a").code(0).stdout;
    assert!(kept == bytes, "logs show {} bytes of {}", kept.len(), bytes.len());
    node.says("rm a").ok();
}

fn standard_output_and_error_stay_apart(node: &Node) {
    node.has_busybox();
    let script = "echo one; echo two >&2; echo three; echo four >&2";
    let run = ["run", "--name", "a", "--net=none", "busybox", "sh", "-c", script];
    let attached = node.sandbar(run).code(0);
    let logs = node.says("logs a").code(0);
    for output in [attached, logs] {
        assert_eq!(output.stdout(), "one\nthree\n");
        assert_eq!(output.stderr(), "two\nfour\n");
    }
    node.says("rm a").ok();
}

fn a_last_line_without_its_end_stays_without(node: &Node) {
    node.has_busybox();
    let run = ["run", "--name", "a", "--net=none", "busybox", "printf", "one\\ntwo"];
    assert_eq!(node.sandbar(run).ok(), "one\ntwo");
    assert_eq!(node.says("logs a").ok(), "one\ntwo");
    let run = ["run", "--rm", "--net=none", "busybox", "printf", ""];
    assert_eq!(node.sandbar(run).ok(), "");
    node.says("rm a").ok();
}

fn a_mebibyte_passes_at_once(node: &Node) {
    node.has_busybox();
    // Lines of many lengths, one longer than any buffer.
    let mut bytes = Vec::new();
    for length in (0..1400).chain([200_000]) {
        bytes.extend(std::iter::repeat_n(b'a' + u8::try_from(length % 26).unwrap_or(0), length));
        bytes.push(b'\n');
    }
    assert!(bytes.len() > 1 << 20);
    let file = node.file("bytes", &bytes);
    let volume = format!("{}:/bytes:ro", file.display());
    let run = ["run", "--name", "a", "--net=none", "-v", &volume, "busybox", "cat", "/bytes"];
    assert!(node.sandbar(run).code(0).stdout == bytes);
    assert!(node.says("logs a").code(0).stdout == bytes);
    assert!(node.says("logs -f a").code(0).stdout == bytes);
    node.says("rm a").ok();
}

fn following_ends_with_the_container(node: &Node) {
    node.has_busybox();
    let script = "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done; printf last";
    node.says("run -d --name a --net=none busybox sh -c").with([script]).ok();
    assert_eq!(node.says("logs -f a").ok(), "1\n2\n3\n4\n5\nlast");
    node.says("rm a").ok();
}

fn following_shows_what_comes_as_it_comes(node: &Node) {
    node.has_busybox();
    let script = "echo began; while [ ! -e /go ]; do sleep 0.02; done; echo went on; sleep 1000";
    node.says("run -d --name a --net=none busybox sh -c").with([script]).ok();
    let following = node.says("logs -f a").begin();
    following.prints("began\n");
    node.says("exec a touch /go").ok();
    following.prints("began\nwent on\n");
    node.says("rm -f a").ok();
    assert_eq!(following.wait().stdout(), "began\nwent on\n");
}

fn the_file_is_in_the_format_of_the_cri(node: &Node) {
    node.has_busybox();
    let script = "echo out; echo error >&2; printf part";
    node.says("run --name a --net=none busybox sh -c").with([script]).code(0);
    let path = node.inspect("a")["LogPath"].as_str().expect("LogPath").to_owned();
    let log = fs::read_to_string(&path).expect("the log");
    let mut lines: Vec<Vec<&str>> = log.lines().map(|line| line.splitn(4, ' ').collect()).collect();
    for line in &lines {
        let [time, ..] = line[..] else { panic!("{log}") };
        // RFC 3339 with nanoseconds: 2026-11-21T04:40:19.123456789Z.
        let (date, rest) = time.split_once('T').expect("a time");
        assert_eq!(date.len(), 10, "{time}");
        let (_, nanoseconds) = rest.split_once('.').expect("nanoseconds");
        assert!(nanoseconds.ends_with('Z') || nanoseconds.contains("+00:00"), "{time}");
        assert!(nanoseconds.bytes().take_while(u8::is_ascii_digit).count() == 9, "{time}");
    }
    // Two streams have no order between them.
    lines.sort_by_key(|line| line[1] == "stderr");
    let lines: Vec<Vec<&str>> = lines.into_iter().map(|line| line[1..].to_vec()).collect();
    assert_eq!(lines, [["stdout", "F", "out"], ["stdout", "P", "part"], ["stderr", "F", "error"]]);
    node.says("rm a").ok();
    assert!(!std::path::Path::new(&path).exists(), "the log went with its container");
}

fn tail_and_timestamps(node: &Node) {
    node.has_busybox();
    node.says("run --name a --net none busybox seq 100").code(0);
    assert_eq!(node.says("logs --tail 3 a").ok(), "98\n99\n100\n");
    assert_eq!(node.says("logs -n 0 a").ok(), "");
    assert_eq!(node.says("logs --tail 1000 a").ok().lines().count(), 100);
    let stamped = node.says("logs -t --tail 1 a").ok();
    let (time, text) = stamped.split_once(' ').expect("a time and a text");
    assert!(time.contains('T') && text == "100\n", "{stamped}");
    node.says("logs --tail some a").refused(2, &["some"]);
    node.says("logs no-such").refused(1, &["no-such"]);
    node.says("rm a").ok();
}

fn nobody_who_reads_is_no_reason_to_end(node: &Node) {
    node.has_busybox();
    let script = "i=0; while [ $i -lt 200 ]; do echo line $i; i=$((i+1)); done; exit 4";
    node.says("run -d --name a --net=none busybox sh -c").with([script]).ok();
    assert_eq!(node.says("wait a").ok(), "4\n");
    // The reader of a follower goes, and the follower with it, without a word.
    let script = "while echo on; do sleep 0.01; done";
    node.says("run -d --name b --net none busybox sh -c").with([script]).ok();
    let pipe = format!("{} logs -f b | head -n 2", node.program().display());
    let piped = node.run("/bin/sh", ["-c", &pipe]).within(Duration::from_secs(5)).code(0);
    assert_eq!((piped.stdout().as_str(), piped.stderr().as_str()), ("on\non\n", ""));
    assert_eq!(node.state("b"), "running");
    node.says("rm -f a b").ok();
}

fn logs_are_there_after_the_end_and_after_another_start(node: &Node) {
    node.has_busybox();
    node.says("run --name a --net none busybox echo again").code(0);
    node.says("start a").ok();
    assert_eq!(node.says("wait a").ok(), "0\n");
    assert_eq!(node.says("logs a").ok(), "again\nagain\n");
    assert_eq!(node.says("start -a a").ok(), "again\n");
    node.says("rm a").ok();
}
