//! Processes and their children, as proc(5) tells of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};

/// The widest that a line of the tree becomes.
const WIDTH: usize = 100;

/// The parent of a process.
pub(crate) fn parent_of(pid: u32) -> Result<u32> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
    parent(&stat).with_context(|| format!("{path} tells no parent"))
}

/// The fourth field. The second, the name in parentheses, may itself have both spaces and parentheses.
fn parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// A process and all below it, a line each.
pub(crate) fn below(top: u32) -> Result<String> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").context("can't read /proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        // What has ended meanwhile is of no interest.
        if let Some(pid) = pid
            && let Ok(parent) = parent_of(pid)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    children.values_mut().for_each(|pids| pids.sort_unstable());
    let mut text = String::new();
    draw(top, "", "", &children, &mut text);
    Ok(text)
}

fn draw(
    pid: u32,
    before: &str,
    before_children: &str,
    children: &BTreeMap<u32, Vec<u32>>,
    text: &mut String,
) {
    let line = format!("{before}{pid} {}", command_of(pid));
    // A String takes all that is written to it.
    let _taken = match line.char_indices().nth(WIDTH) {
        Some((end, _)) => writeln!(text, "{}…", line.get(..end).unwrap_or(&line)),
        None => writeln!(text, "{line}"),
    };
    let below = children.get(&pid).map_or(&[][..], Vec::as_slice);
    for (index, child) in below.iter().enumerate() {
        let (branch, stem) = if index + 1 == below.len() {
            ("└── ", "    ")
        } else {
            ("├── ", "│   ")
        };
        let (own, theirs) =
            (format!("{before_children}{branch}"), format!("{before_children}{stem}"));
        draw(*child, &own, &theirs, children, text);
    }
}

/// The words that a process was started with.
fn command_of(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&bytes).replace('\0', " ");
    words.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_fields() {
        assert_eq!(parent("12 (a) S 7 (b) x) R 34 12 12"), Some(34));
        assert_eq!(parent("12 (a"), None);
    }

    #[test]
    fn a_child_is_below_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let own = std::process::id();
        let tree = below(own);
        child.kill().unwrap();
        child.wait().unwrap();
        let tree = tree.unwrap();
        assert!(tree.starts_with(&own.to_string()), "{tree}");
        assert!(tree.contains(&format!("── {} ", child.id())), "{tree}");
    }
}
