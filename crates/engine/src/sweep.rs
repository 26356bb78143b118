//! Clearing, after a reboot, what pods of before it left in the directory that is kept.

use sandbar_spec::ContainerId;

use crate::directories;
use crate::error::Error;
use crate::roots::Roots;

/// Removes the storage of every container: a reboot took all pods, and with them all containers.
///
/// It is called under a lock before the directory of pods is made, so before the first pod of this boot.
pub(crate) fn after_reboot(roots: &Roots) -> Result<(), Error> {
    let Ok(entries) = std::fs::read_dir(roots.storage()) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.parse::<ContainerId>().is_ok()) {
            directories::remove(&entry.path())?;
        }
    }
    Ok(())
}
