//! The other networks that the pods of this one are on too.
//!
//! They are in directories beside this network's own. None is waited for: they are looked at when a pod asks that
//! is on one of them, which takes an fstat(2) each.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use sandbar_sys::During;

use crate::error::Result;
use crate::network::Network;
use crate::watch::Watch;
use crate::zone::Zone;

/// How many are held open. A pod is on a hundred networks at the most.
const MOST: usize = 128;

/// The most that a network's file may have.
const LARGEST: u64 = 64 * 1024;

/// The directories beside a network's own.
#[derive(Debug)]
pub(crate) struct Siblings {
    /// What this network's own directory is called.
    own: String,
    parent: OwnedFd,
    known: BTreeMap<String, Sibling>,
}

#[derive(Debug)]
struct Sibling {
    network: Network,
    watch: Watch,
}

impl Siblings {
    /// Those of the network of `directory`, with rights that need not be kept.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let parent = directory.parent().unwrap_or(directory);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::openat(CWD, parent, flags, Mode::empty())
            .during("open", || parent.display().to_string())?;
        let own = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { own, parent, known: BTreeMap::new() })
    }

    /// Looks at those of `names`, so that [`zones`](Self::zones) knows them as they are now.
    pub(crate) fn look(&mut self, names: &[String]) {
        for name in names.iter().filter(|name| **name != self.own) {
            // One that was removed may have been made again.
            let is_there = self.known.get(name).is_some_and(|sibling| !sibling.watch.is_removed());
            if is_there {
                self.known.get_mut(name).map(|sibling| sibling.watch.names());
                continue;
            }
            self.known.remove(name);
            if self.known.len() >= MOST {
                self.known.pop_first();
            }
            // One on which there is no pod yet has no names.
            if let Some(sibling) = self.read(name) {
                self.known.insert(name.clone(), sibling);
            }
        }
    }

    /// The names on the networks `names`, in this order, of which `own` is this network's; on that one alone if there
    /// are none.
    pub(crate) fn zones<'a>(&'a self, names: &[String], own: Zone<'a>) -> Vec<Zone<'a>> {
        if names.is_empty() {
            return vec![own];
        }
        let zone = |name: &String| {
            if *name == self.own {
                return Some(own);
            }
            let sibling = self.known.get(name)?;
            Some(Zone { network: &sibling.network, names: sibling.watch.known() })
        };
        names.iter().filter_map(zone).collect()
    }

    fn read(&self, name: &str) -> Option<Sibling> {
        let open = |path: String, flags| {
            let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            rustix::fs::openat(&self.parent, path, flags, Mode::empty()).ok()
        };
        let mut text = String::new();
        let file = File::from(open(format!("{name}/resolver.conf"), OFlags::NONBLOCK)?);
        file.take(LARGEST).read_to_string(&mut text).ok()?;
        let names = open(format!("{name}/names"), OFlags::DIRECTORY)?;
        Some(Sibling { network: text.parse().ok()?, watch: Watch::of_unwatched(names).ok()? })
    }
}
