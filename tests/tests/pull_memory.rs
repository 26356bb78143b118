//! What a pull takes of memory, whatever its layers ask for.

use std::fs;
use std::io::Write as _;
use std::thread::sleep;
use std::time::Duration;

use sandbar_tests::{Node, Registry, Rootfs, noise, tests};
use serde_json::json;

tests! {
    layers_with_usual_windows_come_side_by_side,
    layers_with_large_windows_take_turns,
    a_window_larger_than_others_accept_is_refused,
}

const REGISTRY: &str = "127.0.0.1:5000";
const KIND: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// What a pull may have resident at its most, in KiB: the program itself is some 10,000 of it.
const MOST: u64 = 64 << 10;

/// A layer of so many MiB that can be packed well, and packed with a window of 2 to the power `log`.
fn layer(number: u64, mebibytes: usize, log: u32) -> (Vec<u8>, Vec<u8>) {
    let text = noise(number, 1 << 20).repeat(mebibytes);
    let tar = Rootfs::new().file(&format!("{number}"), 0o644, &text).into_archive();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.window_log(log).expect("a window");
    encoder.write_all(&tar).expect("memory");
    (tar, encoder.finish().expect("memory"))
}

fn image(layers: u64, mebibytes: usize, log: u32) -> Registry {
    let registry = Registry::start(REGISTRY);
    let layers = (0..layers).map(|number| layer(number, mebibytes, log)).collect();
    registry.put_layers("app:1", layers, KIND, &json!({}));
    registry
}

/// The most that a pull has resident, in KiB.
fn peak(node: &Node) -> u64 {
    let mut pull = node.says(&format!("pull {REGISTRY}/app:1")).begin();
    let status = format!("/proc/{}/status", pull.pid().as_raw_nonzero());
    let mut peak = 0;
    while !pull.has_ended() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let size = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        // Until it executes it has the memory of this process.
        let executed = text.starts_with("Name:\tsandbar");
        peak = size.filter(|_| executed).unwrap_or(0).max(peak);
        sleep(Duration::from_millis(2));
    }
    let output = pull.wait();
    assert_eq!(output.exit_code(), 0, "{output}");
    peak
}

fn layers_with_usual_windows_come_side_by_side(node: &Node) {
    let _registry = image(6, 12, 23);
    let peak = peak(node);
    assert!(peak < MOST, "{peak} KiB");
}

fn layers_with_large_windows_take_turns(node: &Node) {
    let _registry = image(4, 36, 25);
    let peak = peak(node);
    assert!(peak < MOST, "{peak} KiB");
}

fn a_window_larger_than_others_accept_is_refused(node: &Node) {
    let _registry = image(1, 1, 28);
    node.says(&format!("pull {REGISTRY}/app:1")).refused(1, &["app:1", "too much memory"]);
}
