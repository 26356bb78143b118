//! What of mounts is refused.

use std::path::{Component, Path};

use oci_spec::runtime::{Linux, Mount};

use crate::check::{invalid, must_be_text};
use crate::error::Error;
use crate::mount_options::{Mapped, MountOptions};
use crate::user_namespace;

/// The files of `/proc` that may be covered, as container-wide statistics do (lxcfs); the list is runc's.
const IN_PROC: [&str; 11] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

/// The longest path that the kernel takes.
const LONGEST_PATH: usize = 4095;

pub(super) fn check(mounts: &[Mount], linux: &Linux) -> Result<(), Error> {
    for mount in mounts {
        let place = mount.destination();
        let field = format!("mounts {}", place.display());
        if !place.is_absolute() {
            return Err(invalid(&field, "not an absolute path"));
        }
        if place.components().any(|part| part == Component::ParentDir) {
            return Err(invalid(&field, "'..' is not allowed"));
        }
        must_be_text("mounts", &place.to_string_lossy(), LONGEST_PATH)?;
        let options = MountOptions::of(mount)?;
        if options.bind.is_some() {
            match mount.source() {
                None => return Err(invalid(&field, "a source is needed")),
                Some(source) if !source.is_absolute() => {
                    let why = format!("its source {} is not an absolute path", source.display());
                    return Err(invalid(&field, &why));
                }
                Some(source) => {
                    must_be_text(&field, &source.to_string_lossy(), LONGEST_PATH)?;
                }
            }
        }
        in_proc(place, options.bind.is_some(), &field)?;
        mapped(mount, &options, linux, &field)?;
    }
    Ok(())
}

/// A mount over what the runtime and its container trust in `/proc` would deceive both (CVE-2019-16884).
fn in_proc(place: &Path, bind: bool, field: &str) -> Result<(), Error> {
    if !place.starts_with("/proc") || place == Path::new("/proc") {
        return Ok(());
    }
    if bind && IN_PROC.iter().any(|allowed| place == Path::new(allowed)) {
        return Ok(());
    }
    Err(invalid(field, "nothing may be mounted there, in /proc"))
}

fn mapped(mount: &Mount, options: &MountOptions, linux: &Linux, field: &str) -> Result<(), Error> {
    let lists = (mount.uid_mappings(), mount.gid_mappings());
    if let (Some(uids), Some(gids)) = lists {
        user_namespace::check(&format!("{field}: uidMappings"), uids)?;
        user_namespace::check(&format!("{field}: gidMappings"), gids)?;
    } else if lists.0.is_some() || lists.1.is_some() {
        return Err(invalid(field, "uidMappings and gidMappings are needed together"));
    } else if options.mapped.is_some() && linux.uid_mappings().is_none() {
        let option = if options.mapped == Some(Mapped::Tree) { "ridmap" } else { "idmap" };
        return Err(invalid(field, &format!("option '{option}': there are no mappings to use")));
    }
    if options.mapped.is_some() && options.bind.is_none() {
        return Err(invalid(field, "only a bind mount can have mapped owners"));
    }
    Ok(())
}
