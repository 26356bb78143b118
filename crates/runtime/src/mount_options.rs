//! The options of a mount: attributes, propagation and what is the file system's own.

use oci_spec::runtime::Mount;
use sandbar_sys::MountAttributes;

use crate::error::{Error, Kind};

/// A mount's options, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct MountOptions {
    /// What holds for the mount itself.
    pub(crate) attributes: MountAttributes,
    /// What holds for all mounts below it too (`rro` and its like).
    pub(crate) recursive: MountAttributes,
    /// Whether it is a bind mount, and whether with all below it.
    pub(crate) bind: Option<Bind>,
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

impl MountOptions {
    /// Reads the options of `mount`.
    pub(crate) fn of(mount: &Mount) -> Result<Self, Error> {
        let mut read = Self::default();
        for option in mount.options().as_deref().unwrap_or_default() {
            read.add(option).map_err(|why| {
                let place = mount.destination().display();
                Error::new(Kind::Unsupported, format!("mount {place}: option '{option}': {why}"))
            })?;
        }
        if mount.typ().as_deref() == Some("bind") && read.bind.is_none() {
            read.bind = Some(Bind::One);
        }
        Ok(read)
    }

    fn add(&mut self, option: &str) -> Result<(), &'static str> {
        match option {
            "defaults" | "rw" | "suid" | "dev" | "exec" | "atime" | "relatime" | "diratime" => {
                self.clear(option);
            }
            "bind" => self.bind = Some(Bind::One),
            "rbind" => self.bind = Some(Bind::Tree),
            "private" => self.attributes.propagation = MountAttributes::PRIVATE,
            "slave" => self.attributes.propagation = MountAttributes::SLAVE,
            "shared" => self.attributes.propagation = MountAttributes::SHARED,
            "rprivate" => self.recursive.propagation = MountAttributes::PRIVATE,
            "rslave" => self.recursive.propagation = MountAttributes::SLAVE,
            "rshared" => self.recursive.propagation = MountAttributes::SHARED,
            "remount" | "tmpcopyup" | "copy-symlink" | "idmap" | "ridmap" | "unbindable"
            | "runbindable" => return Err("it is not supported"),
            _ => {
                if let Some(bit) = attribute(option) {
                    self.attributes.set |= bit;
                } else if let Some(bit) = option.strip_prefix('r').and_then(attribute) {
                    self.recursive.set |= bit;
                } else {
                    self.data.push(option.to_owned());
                }
            }
        }
        Ok(())
    }

    /// A later `rw` takes back an earlier `ro`.
    fn clear(&mut self, option: &str) {
        let bit = match option {
            "rw" => MountAttributes::RDONLY,
            "suid" => MountAttributes::NOSUID,
            "dev" => MountAttributes::NODEV,
            "exec" => MountAttributes::NOEXEC,
            "atime" | "relatime" => MountAttributes::NOATIME,
            _ => 0,
        };
        self.attributes.set &= !bit;
    }
}

/// The attribute that an option sets.
fn attribute(option: &str) -> Option<u64> {
    match option {
        "ro" => Some(MountAttributes::RDONLY),
        "nosuid" => Some(MountAttributes::NOSUID),
        "nodev" => Some(MountAttributes::NODEV),
        "noexec" => Some(MountAttributes::NOEXEC),
        "noatime" => Some(MountAttributes::NOATIME),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[&str]) -> Result<MountOptions, Error> {
        let mut mount = Mount::default();
        mount.set_options(Some(options.iter().map(|&option| option.to_owned()).collect()));
        MountOptions::of(&mount)
    }

    #[test]
    fn options_are_sorted_by_what_they_mean() {
        let options = read(&["nosuid", "ro", "rw", "rro", "rbind", "rslave", "mode=755"]).unwrap();
        assert_eq!(options.attributes.set, MountAttributes::NOSUID);
        assert_eq!(options.recursive.set, MountAttributes::RDONLY);
        assert_eq!(options.recursive.propagation, MountAttributes::SLAVE);
        assert_eq!(options.bind, Some(Bind::Tree));
        assert_eq!(options.data, ["mode=755"]);
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        assert_eq!(read(&["tmpcopyup"]).unwrap_err().kind(), Kind::Unsupported);
    }
}
