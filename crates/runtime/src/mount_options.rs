//! The options of a mount: attributes, propagation and what is the file system's own (runtime-spec, "Linux
//! mount options"; mount(8)).

use oci_spec::runtime::Mount;
use sandbar_sys::MountAttributes;

use crate::error::{Error, Kind};

/// A mount's options, read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct MountOptions {
    /// What holds for the mount itself.
    pub(crate) attributes: MountAttributes,
    /// What holds for all mounts below it too (`rro` and its like).
    pub(crate) recursive: MountAttributes,
    /// Whether it is a bind mount, and whether with all below it.
    pub(crate) bind: Option<Bind>,
    /// Whether owners are shown through the mappings, and whether below too.
    pub(crate) mapped: Option<Mapped>,
    /// Whether a new tmpfs begins with what the image has in its place.
    pub(crate) copy_up: bool,
    /// The file system's own options, `key` or `key=value`.
    pub(crate) data: Vec<String>,
}

/// How much a bind mount takes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bind {
    /// The mount alone.
    One,
    /// Every mount below it.
    Tree,
}

/// The options that have a meaning whatever the file system is; each of the attributes and kinds of propagation
/// with an `r` before it holds for all mounts below, too.
pub const MOUNT_OPTIONS: [&str; 46] = [
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "exec",
    "idmap",
    "loud",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "rbind",
    "relatime",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "tmpcopyup",
    "unbindable",
];

/// How much of a tree shows mapped owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mapped {
    /// The mount alone (`idmap`).
    One,
    /// Every mount below it too (`ridmap`).
    Tree,
}

impl MountOptions {
    /// Reads the options of `mount`.
    pub(crate) fn of(mount: &Mount) -> Result<Self, Error> {
        let mut read = Self::default();
        let place = mount.destination().display();
        for option in mount.options().as_deref().unwrap_or_default() {
            read.add(option).map_err(|why| {
                Error::new(Kind::Unsupported, format!("mount {place}: option '{option}': {why}"))
            })?;
        }
        if mount.typ().as_deref() == Some("bind") && read.bind.is_none() {
            read.bind = Some(Bind::One);
        }
        let wrong =
            |why: String| Err(Error::new(Kind::InvalidSpec, format!("mount {place}: {why}")));
        match (read.bind, read.data.first()) {
            (Some(_), Some(option)) => {
                return wrong(format!(
                    "option '{option}': a bind mount has no options of a file system"
                ));
            }
            (None, _) if mount.typ().is_none() => return wrong("a type is needed".to_owned()),
            _ => {}
        }
        if read.copy_up && mount.typ().as_deref() != Some("tmpfs") {
            return wrong("option 'tmpcopyup': it is for a tmpfs".to_owned());
        }
        let mappings = mount.uid_mappings().is_some() || mount.gid_mappings().is_some();
        if read.mapped.is_none() && mappings {
            read.mapped = Some(Mapped::One);
        }
        Ok(read)
    }

    fn add(&mut self, option: &str) -> Result<(), &'static str> {
        match option {
            // What holds anyway; and what only says how loud the kernel's log is.
            "defaults" | "async" | "nomand" | "nolazytime" | "noiversion" | "loud" | "silent" => {}
            "bind" => self.bind = Some(Bind::One),
            "rbind" => self.bind = Some(Bind::Tree),
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.mapped = Some(Mapped::One),
            "ridmap" => self.mapped = Some(Mapped::Tree),
            "remount" | "copy-symlink" => return Err("it is not supported"),
            _ => {
                if let Some(propagation) = propagation(option) {
                    self.attributes.propagation = propagation;
                    self.recursive.propagation = 0;
                } else if let Some(change) = change(option) {
                    change.apply(&mut self.attributes);
                } else if let Some(inner) = option.strip_prefix('r')
                    && let Some(propagation) = propagation(inner)
                {
                    self.recursive.propagation = propagation;
                    self.attributes.propagation = 0;
                } else if let Some(change) = option.strip_prefix('r').and_then(change) {
                    change.apply(&mut self.recursive);
                } else {
                    self.data.push(option.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// Reads the value of `linux.rootfsPropagation`, or an option's: the kind, and whether for all below too.
pub(crate) fn propagation_of(word: &str) -> Option<(u64, bool)> {
    match propagation(word) {
        Some(kind) => Some((kind, false)),
        None => word.strip_prefix('r').and_then(propagation).map(|kind| (kind, true)),
    }
}

fn propagation(option: &str) -> Option<u64> {
    match option {
        "private" => Some(MountAttributes::PRIVATE),
        "slave" => Some(MountAttributes::SLAVE),
        "shared" => Some(MountAttributes::SHARED),
        "unbindable" => Some(MountAttributes::UNBINDABLE),
        _ => None,
    }
}

/// What an option does to a mount's attributes.
struct Change {
    set: u64,
    clear: u64,
}

impl Change {
    /// A later option takes an earlier one back.
    fn apply(&self, attributes: &mut MountAttributes) {
        attributes.set &= !self.clear;
        attributes.set |= self.set;
        attributes.clear &= !self.set;
        attributes.clear |= self.clear;
    }
}

/// The change that an option makes; `None` if it is the file system's own.
fn change(option: &str) -> Option<Change> {
    type A = MountAttributes;
    let set = |set| Change { set, clear: 0 };
    let clear = |clear| Change { set: 0, clear };
    // The kinds of access times exclude each other: mount_setattr(2) wants them cleared to be set.
    let times = |set| Change { set, clear: A::ATIME };
    Some(match option {
        "ro" => set(A::RDONLY),
        "rw" => clear(A::RDONLY),
        "nosuid" => set(A::NOSUID),
        "suid" => clear(A::NOSUID),
        "nodev" => set(A::NODEV),
        "dev" => clear(A::NODEV),
        "noexec" => set(A::NOEXEC),
        "exec" => clear(A::NOEXEC),
        "nodiratime" => set(A::NODIRATIME),
        "diratime" => clear(A::NODIRATIME),
        "nosymfollow" => set(A::NOSYMFOLLOW),
        "symfollow" => clear(A::NOSYMFOLLOW),
        "noatime" => times(A::NOATIME),
        "strictatime" => times(A::STRICTATIME),
        // Without either of the above the kernel's own choice is relatime.
        "relatime" | "norelatime" | "nostrictatime" | "atime" => times(0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(kind: &str, options: &[&str]) -> Result<MountOptions, Error> {
        let mut mount = Mount::default();
        mount.set_typ(Some(kind.to_owned()));
        mount.set_options(Some(options.iter().map(|&option| option.to_owned()).collect()));
        MountOptions::of(&mount)
    }

    #[test]
    fn each_option_that_is_told_of_is_known() {
        for option in MOUNT_OPTIONS {
            let read = read_as("tmpfs", &[option]).unwrap();
            assert!(read.data.is_empty(), "{option} goes to the file system");
        }
    }

    #[test]
    fn options_are_sorted_by_what_they_mean() {
        let options = read_as("bind", &["nosuid", "ro", "rw", "rro", "rbind", "rslave"]).unwrap();
        assert_eq!(options.attributes.set, MountAttributes::NOSUID);
        assert_eq!(options.attributes.clear, MountAttributes::RDONLY);
        assert_eq!(options.recursive.set, MountAttributes::RDONLY);
        assert_eq!(options.recursive.propagation, MountAttributes::SLAVE);
        assert_eq!(options.bind, Some(Bind::Tree));
    }

    #[test]
    fn access_times_are_one_choice() {
        let options = read_as("tmpfs", &["noatime", "strictatime", "mode=755"]).unwrap();
        assert_eq!(options.attributes.set, MountAttributes::STRICTATIME);
        assert_eq!(options.attributes.clear, MountAttributes::ATIME);
        assert_eq!(options.data, ["mode=755"]);
        let options = read_as("tmpfs", &["noatime", "relatime"]).unwrap();
        assert_eq!(options.attributes.set, 0);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        assert_eq!(read_as("tmpfs", &["remount"]).unwrap_err().kind(), Kind::Unsupported);
        for (kind, option) in [("bind", "size=1"), ("proc", "tmpcopyup")] {
            assert_eq!(read_as(kind, &[option]).unwrap_err().kind(), Kind::InvalidSpec);
        }
    }
}
