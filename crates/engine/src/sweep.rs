//! Clearing, after a reboot, what pods of before it left in the directory that is kept.

use std::path::{Path, PathBuf};

use sandbar_spec::ContainerId;
use sandbar_supervisor::{read_record, replace_record};
use sandbar_sys::During;

use crate::directories;
use crate::error::{Error, Kind};
use crate::roots::Roots;

/// The boot in which a root was last used, and with which run root: together they are all containers there are.
type LastUse = (String, PathBuf);

/// Removes the storage of every container if the machine was booted since the root was last used: that took all
/// pods, and with them all containers. Within one boot nothing is removed.
///
/// It is called under a lock, before the directory of pods is made. Says whether the machine was booted since.
///
/// # Errors
/// [`Kind::Invalid`] for a root that is in use with another run root: what is there is not ours.
pub(crate) fn after_reboot(roots: &Roots) -> Result<bool, Error> {
    let boot = Path::new("/proc/sys/kernel/random/boot_id");
    let boot = std::fs::read_to_string(boot)
        .during("read", || boot.display().to_string())?
        .trim()
        .to_owned();
    let record = roots.root.join("boot.json");
    match read_record::<LastUse>(&record)? {
        Some((same, run_root)) if same == boot => {
            if run_root == roots.run_root {
                return Ok(false);
            }
            let (root, other) = (roots.root.display(), run_root.display());
            let message = format!(
                "--root {root} is in use with --run-root {other}; give both, or another root"
            );
            return Err(Error::new(Kind::Invalid, message));
        }
        _ => {}
    }
    for entry in std::fs::read_dir(roots.storage()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.parse::<ContainerId>().is_ok()) {
            directories::remove(&entry.path())?;
        }
    }
    replace_record(&record, &(boot, roots.run_root.clone()))?;
    Ok(true)
}
