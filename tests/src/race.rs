//! Races: one process swaps two names of a directory without end, while another does what must stand it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use sandbar_sys::{CloneOptions, clone_child};

use crate::{SOON, until};

/// How long one race takes at most.
const AT_MOST: Duration = Duration::from_secs(15);

/// A process that exchanges two names (`renameat2(2)` with `RENAME_EXCHANGE`), over and over, until it is dropped.
#[derive(Debug)]
struct Swapper {
    pid: Pid,
    /// How often it has, as 8 bytes.
    turns: File,
}

impl Swapper {
    /// Begins.
    fn begin(one: &Path, other: &Path) -> Self {
        alone();
        let turns = tempfile::tempfile().expect("a file to count in");
        let child = clone_child(CloneOptions::default(), || {
            let mut done: u64 = 0;
            let mut dice: u32 = 1;
            loop {
                if renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_err() {
                    return 1;
                }
                done += 1;
                if turns.write_all_at(&done.to_ne_bytes(), 0).is_err() {
                    return 1;
                }
                // For times of all lengths up to a container's start, so that each step of it is met.
                dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                for _ in 0..(1_u32 << (dice >> 28)) {
                    std::hint::spin_loop();
                }
            }
        });
        Self { pid: child.expect("a process that swaps").pid, turns }
    }

    fn turns(&self) -> u64 {
        let mut bytes = [0; 8];
        self.turns.read_exact_at(&mut bytes, 0).map_or(0, |()| u64::from_ne_bytes(bytes))
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        _ = kill_process(self.pid, Signal::KILL);
        _ = waitpid(Some(self.pid), WaitOptions::empty());
    }
}

/// Waits until this process has one thread, as one that is cloned must: those that read what commands print end by
/// themselves.
///
/// # Panics
/// If they do not.
pub fn alone() {
    let threads = || fs::read_dir("/proc/self/task").expect("/proc").count();
    until("that this is the only thread", SOON, || (threads() == 1).then_some(()));
}

/// Repeats `turn` while both paths are exchanged: `least` times, fewer only where time runs out, and until it has come
/// to each of the `outcomes` that a race comes to if it is raced.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn race(
    paths: (&Path, &Path),
    least: usize,
    outcomes: &[&'static str],
    mut turn: impl FnMut() -> &'static str,
) {
    let since = Instant::now();
    let mut met = BTreeMap::new();
    let mut turns = 0;
    let swapper = Swapper::begin(paths.0, paths.1);
    let enough = |turns, met: &BTreeMap<_, _>| {
        turns >= least && outcomes.iter().all(|outcome| met.contains_key(outcome))
    };
    while since.elapsed() < AT_MOST && !enough(turns, &met) {
        *met.entry(turn()).or_insert(0) += 1;
        turns += 1;
    }
    let swaps = swapper.turns();
    let name = paths.0.file_name().unwrap_or_default().display();
    println!(
        "measured: {turns} turns against {swaps} swaps of {name} in {:.1?}: {met:?}",
        since.elapsed()
    );
    // A machine that others use too may be slow; a tenth still shows that it was raced.
    let met_all = outcomes.iter().all(|outcome| met.contains_key(outcome));
    assert!(
        met_all && turns >= least / 10,
        "not raced: {turns} turns of {least}, {met:?} of {outcomes:?}"
    );
    assert!(swaps > turns as u64, "not raced: {swaps} swaps");
}

/// A directory of the host's that nothing may change, and all that can be told of it.
#[derive(Debug)]
pub struct Untouched {
    path: std::path::PathBuf,
    before: Vec<String>,
}

impl Untouched {
    /// What `path` is now.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), before: listed(path) }
    }

    /// Compares.
    ///
    /// # Panics
    /// If anything is different.
    #[track_caller]
    pub fn is_as_before(&self) {
        assert_eq!(listed(&self.path), self.before, "{} was changed", self.path.display());
    }
}

/// Names, kinds, modes, owners, times of change and contents of all below `path`.
fn listed(path: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt as _;
    let it = fs::symlink_metadata(path).expect("metadata");
    let (owner, time) = ((it.uid(), it.gid()), (it.ctime(), it.ctime_nsec()));
    let content = if it.is_file() { fs::read(path).expect("a file") } else { Vec::new() };
    let mut lines =
        vec![format!("{} {:o} {owner:?} {time:?} {content:?}", path.display(), it.mode())];
    if it.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path).expect("a directory").flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        lines.extend(entries.iter().flat_map(|entry| listed(&entry.path())));
    }
    lines
}
