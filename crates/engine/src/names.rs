//! Names and ids: names are claimed by making a link, so that of two that want one name, one gets it.

use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::rand::GetRandomFlags;
use sandbar_sys::During;

use crate::directories;
use crate::error::{Error, Kind};

/// What made-up names begin with.
const FIRST: [&str; 32] = [
    "amber", "brisk", "calm", "clear", "coral", "crisp", "dune", "early", "fair", "foamy",
    "gentle", "golden", "green", "high", "keen", "late", "light", "low", "mild", "north", "open",
    "pale", "quiet", "sandy", "shady", "silver", "slow", "south", "still", "sunny", "warm",
    "windy",
];
/// What made-up names end with.
const LAST: [&str; 32] = [
    "anchor", "bay", "beach", "breeze", "buoy", "cape", "cliff", "cove", "crab", "current",
    "delta", "drift", "dock", "gull", "harbor", "inlet", "island", "kelp", "lagoon", "mast",
    "pearl", "pelican", "pier", "reef", "sail", "shell", "shoal", "spit", "surf", "tern", "tide",
    "wave",
];

/// 32 random bytes, of which an id is made.
pub(crate) fn random() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    // The kernel gives up to 256 bytes at once, never a part.
    rustix::io::retry_on_intr(|| rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty()))
        .during("getrandom", || "32 bytes".into())?;
    Ok(bytes)
}

/// A name made of an id's bytes, for who gave none.
pub(crate) fn made_up(random: &[u8; 32]) -> String {
    let pick = |words: &[&'static str; 32], byte: u8| words[usize::from(byte % 32)];
    let [first, last, more, yet_more, ..] = random;
    format!("{}_{}_{more:02x}{yet_more:02x}", pick(&FIRST, *first), pick(&LAST, *last))
}

/// A claimed name; given up when dropped, unless kept.
#[derive(Debug)]
pub(crate) struct Claim {
    link: PathBuf,
    kept: bool,
}

/// Claims `name` in the directory `names` for the directory `owner`. A name whose owner is gone is free.
pub(crate) fn claim(names: &Path, what: &str, name: &str, owner: &Path) -> Result<Claim, Error> {
    let link = names.join(name);
    for _ in 0..8 {
        match rustix::fs::symlinkat(owner, CWD, &link) {
            Ok(()) => return Ok(Claim { link, kept: false }),
            Err(Errno::NOENT) => {
                directories::ensure(names)?;
            }
            Err(Errno::EXIST) if rustix::fs::stat(&link).is_err() => {
                // Its owner was killed before it gave the name up.
                let _unlinked = rustix::fs::unlink(&link);
            }
            Err(Errno::EXIST) => break,
            Err(errno) => {
                return Err(errno)
                    .during("symlink", || link.display().to_string())
                    .map_err(Error::from);
            }
        }
    }
    let owner = owner_of(names, name).unwrap_or_default();
    let message = format!("the name '{name}' is taken by {what} {}", short(&owner));
    Err(Error::new(Kind::NameTaken, message))
}

/// The directory that owns a name.
pub(crate) fn owner_of(names: &Path, name: &str) -> Option<PathBuf> {
    // A name is one component: anything else is no name.
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return None;
    }
    std::fs::read_link(names.join(name)).ok().filter(|owner| owner.is_dir())
}

/// Gives a name up, if `owner` has it.
pub(crate) fn release(names: &Path, name: &str, owner: &Path) {
    let link = names.join(name);
    if std::fs::read_link(&link).is_ok_and(|has| has == owner) {
        // Gone already is as good.
        let _unlinked = rustix::fs::unlink(&link);
    }
}

/// Gives up every name that something below `owner` has.
pub(crate) fn release_below(names: &Path, owner: &Path) {
    for entry in std::fs::read_dir(names).into_iter().flatten().flatten() {
        if std::fs::read_link(entry.path()).is_ok_and(|has| has.starts_with(owner)) {
            // Gone already is as good.
            let _unlinked = rustix::fs::unlink(entry.path());
        }
    }
}

impl Claim {
    /// The name is its owner's until it is released.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept {
            let _unlinked = rustix::fs::unlink(&self.link);
        }
    }
}

/// The first digits of the id that a directory is named after.
fn short(directory: &Path) -> String {
    let id = directory.file_name().unwrap_or_default().to_string_lossy();
    id.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_owner_until_it_is_released_or_the_owner_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let names = directory.path().join("names");
        let (one, two) = (directory.path().join("one"), directory.path().join("two"));
        std::fs::create_dir(&one).unwrap();
        std::fs::create_dir(&two).unwrap();
        claim(&names, "pod", "web", &one).unwrap().keep();
        let error = claim(&names, "pod", "web", &two).unwrap_err();
        assert_eq!(error.kind(), Kind::NameTaken);
        assert!(error.to_string().contains("one"), "{error}");
        release(&names, "web", &two);
        assert_eq!(owner_of(&names, "web"), Some(one.clone()));
        std::fs::remove_dir(&one).unwrap();
        drop(claim(&names, "pod", "web", &two).unwrap());
        assert_eq!(owner_of(&names, "web"), None);
        assert_eq!(owner_of(&names, "../two"), None);
    }
}
