//! Which cgroup hierarchies are mounted, and where, from `/proc/self/mountinfo`.
//!
//! A mount's root (field 4) is only used to choose between several mounts of one hierarchy: paths
//! are relative to the mount point, so a bind mount of a part of a hierarchy, or one from outside
//! the cgroup namespace (whose root reads `/..`), works like any other.
//!
//! See `proc_pid_mountinfo(5)`.

use std::path::{Path, PathBuf};

use crate::Controllers;

/// What is mounted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mounted {
    /// Version 1 hierarchies with a controller we know, each once.
    pub(crate) v1: Vec<(Controllers, PathBuf)>,
    /// The version 2 hierarchy.
    pub(crate) v2: Option<PathBuf>,
}

struct Line<'a> {
    id: &'a str,
    parent: &'a str,
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ');
        let (id, parent, _device) = (mount.next()?, mount.next()?, mount.next()?);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut filesystem = filesystem.split(' ');
        let (kind, _source) = (filesystem.next()?, filesystem.next()?);
        let options = filesystem.next().unwrap_or_default();
        Some(Self { id, parent, root, point, kind, options })
    }

    /// How good a mount of its hierarchy this one is; the lowest is the best.
    fn rank(&self) -> (bool, bool, usize) {
        (self.root != "/", !is_below(self.point, "/sys/fs/cgroup"), self.root.len())
    }

    /// Whether another mount, on this one or on one that it is mounted below, hides it.
    fn is_hidden(&self, all: &[Line<'_>]) -> bool {
        let mut below: Option<&Line<'_>> = None;
        let mut at = self;
        // A mount is its own parent at most at the top; the count guards against a text that lies.
        for _ in 0..all.len() {
            let hides = |other: &Line<'_>| match below {
                None => other.point == at.point,
                Some(next) => other.id != next.id && is_below(next.point, other.point),
            };
            if all.iter().any(|other| other.parent == at.id && other.id != at.id && hides(other)) {
                return true;
            }
            match all.iter().find(|other| other.id == at.parent && other.id != at.id) {
                Some(parent) => (below, at) = (Some(at), parent),
                None => break,
            }
        }
        false
    }
}

/// Whether `path` is `top` or below it.
fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top.trim_end_matches('/'))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads the text of `/proc/self/mountinfo`.
pub(crate) fn parse(text: &str) -> Mounted {
    let is_cgroup = |line: &Line<'_>| matches!(line.kind, "cgroup" | "cgroup2");
    let points: Vec<&str> =
        text.lines().filter_map(Line::parse).filter(is_cgroup).map(|line| line.point).collect();
    // A host of many containers has thousands of mounts; only these can matter.
    let lines: Vec<Line<'_>> = text
        .lines()
        .filter_map(Line::parse)
        .filter(|line| points.iter().any(|point| is_below(point, line.point)))
        .collect();
    let mut cgroups: Vec<&Line<'_>> =
        lines.iter().filter(|line| is_cgroup(line) && !line.is_hidden(&lines)).collect();
    cgroups.sort_by_key(|line| line.rank());

    let mut mounted = Mounted::default();
    for line in cgroups {
        if line.kind == "cgroup2" {
            mounted.v2.get_or_insert_with(|| unescape(line.point));
            continue;
        }
        let controllers = Controllers::parse(line.options, ',');
        let known = mounted.v1.iter().any(|(other, _)| *other == controllers);
        if !controllers.is_empty() && !known {
            mounted.v1.push((controllers, unescape(line.point)));
        }
    }
    mounted
}

/// Where the version 1 hierarchy of this name, which has no controller, is mounted.
#[cfg(feature = "systemd")]
pub(crate) fn named(text: &str, name: &str) -> Option<PathBuf> {
    let option = format!("name={name}");
    let is_it = |line: &Line<'_>| {
        line.kind == "cgroup" && line.options.split(',').any(|given| given == option)
    };
    let all = text.lines().filter_map(Line::parse).filter(is_it);
    all.min_by_key(Line::rank).map(|line| unescape(line.point))
}

/// The part of its hierarchy that is mounted at `point`, from the text of `/proc/self/mountinfo`.
pub(crate) fn root_of(text: &str, point: &Path) -> Option<String> {
    let is_at = |line: &Line<'_>| {
        matches!(line.kind, "cgroup" | "cgroup2") && unescape(line.point) == point
    };
    let last = text.lines().filter_map(Line::parse).rfind(is_at)?;
    unescape(last.root).into_os_string().into_string().ok()
}

/// Undoes the kernel's `\ooo` for space, tab, newline and backslash.
fn unescape(text: &str) -> PathBuf {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        match after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                plain.push('\\');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Controller::{Cpu, Cpuacct, Memory};

    fn v1(list: &[(&[crate::Controller], &str)]) -> Vec<(Controllers, PathBuf)> {
        list.iter().map(|(c, point)| (Controllers::of(c), point.into())).collect()
    }

    #[test]
    fn co_mounted_controllers_are_one_hierarchy_and_named_ones_are_none() {
        let text = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
34 31 0:33 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
35 31 0:34 / /sys/fs/cgroup/perf_event rw - cgroup cgroup rw,perf_event
36 31 0:35 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
";
        let mounted = parse(text);
        assert_eq!(
            mounted.v1,
            v1(&[
                (&[Cpu, Cpuacct], "/sys/fs/cgroup/cpu,cpuacct"),
                (&[Memory], "/sys/fs/cgroup/memory"),
            ])
        );
        assert_eq!(mounted.v2, Some("/sys/fs/cgroup/unified".into()));
        #[cfg(feature = "systemd")]
        assert_eq!(named(text, "systemd"), Some("/sys/fs/cgroup/systemd".into()));
    }

    #[test]
    fn the_whole_hierarchy_is_preferred_to_a_bind_mount_of_a_part() {
        let text = "\
80 20 0:29 /docker/1f /var/lib/rootfs/sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
33 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
";
        assert_eq!(parse(text).v1, v1(&[(&[Memory], "/sys/fs/cgroup/memory")]));
    }

    #[test]
    fn a_root_outside_the_cgroup_namespace_is_used_by_its_mount_point() {
        let text = "40 30 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate\n";
        assert_eq!(parse(text).v2, Some("/sys/fs/cgroup".into()));
    }

    #[test]
    fn a_mount_that_another_hides_is_not_used() {
        let text = "\
1 1 8:1 / / rw - ext4 /dev/a rw
31 1 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
33 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
50 31 0:60 / /sys/fs/cgroup rw - tmpfs tmpfs rw
51 50 0:33 /a /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
";
        assert_eq!(parse(text).v1, v1(&[(&[Cpu], "/sys/fs/cgroup/cpu")]));
    }

    #[test]
    fn a_root_that_was_moved_into_place_later_hides_nothing() {
        let text = "\
20 30 0:20 / /sys rw - sysfs sysfs rw
25 20 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
30 1 8:1 / / rw - ext4 /dev/a rw
";
        assert_eq!(parse(text).v2, Some("/sys/fs/cgroup".into()));
    }

    #[test]
    fn escapes_are_undone_and_nonsense_is_passed_over() {
        let text = "33 31 0:32 / /a\\040b\\134c\\9 rw - cgroup2 x rw\nnonsense\n\n1 2 3 - x\n";
        assert_eq!(parse(text).v2, Some("/a b\\c\\9".into()));
        assert_eq!(parse(""), Mounted::default());
        assert_eq!(parse("21 1 8:1 / / rw - ext4 /dev/a rw\n"), Mounted::default());
    }
}
