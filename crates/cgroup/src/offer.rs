//! Version 2: passing controllers down from the root of the hierarchy to a cgroup.
//!
//! See <https://docs.kernel.org/admin-guide/cgroup-v2.html#controlling-controllers>.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::hierarchy::Mount;
use crate::processes::flag;
use crate::{CgroupPath, Controllers, Result, files};

/// The controllers a cgroup has, of those wanted.
pub(crate) struct Offered {
    pub(crate) controllers: Controllers,
    /// Where and why one of the others could not be enabled, when it is not simply unknown here.
    pub(crate) refusal: Option<Refusal>,
}

/// Makes as many of `wanted` available in the existing cgroup `path` as can be, enabling them
/// for the children of each cgroup above it that lacks them.
///
/// A cgroup that has what is wanted, as most have, costs the reading of one file.
pub(crate) fn offer(mount: &Mount, path: &CgroupPath, wanted: Controllers) -> Result<Offered> {
    offer_in(mount, Some(path), wanted)
}

/// As [`offer`]; `None` is the root of the hierarchy.
fn offer_in(mount: &Mount, path: Option<&CgroupPath>, wanted: Controllers) -> Result<Offered> {
    let dir = |path: Option<&CgroupPath>| path.map_or(mount.point.clone(), |path| mount.dir(path));
    let list = files::read(&dir(path).join("cgroup.controllers"))?;
    let have = Controllers::parse(&list, ' ').intersection(wanted);
    let missing = wanted.without(have);
    let Some(path) = path.filter(|_| !missing.is_empty()) else {
        return Ok(Offered { controllers: have, refusal: None });
    };
    let parent = path.parent();
    let above = offer_in(mount, parent.as_ref(), missing)?;
    let (enabled, refusal) = enable(&dir(parent.as_ref()), above.controllers)?;
    Ok(Offered { controllers: have.union(enabled), refusal: refusal.or(above.refusal) })
}

type Refusal = (PathBuf, Errno);

/// Enables controllers for the children of the cgroup `dir`.
fn enable(dir: &Path, controllers: Controllers) -> Result<(Controllers, Option<Refusal>)> {
    if controllers.is_empty() {
        return Ok((controllers, None));
    }
    let file = dir.join("cgroup.subtree_control");
    if holds_processes(dir)? {
        return Ok((Controllers::NONE, Some((file, Errno::BUSY))));
    }
    let all: Vec<String> = controllers.iter().map(|c| format!("+{c}")).collect();
    if files::write(&file, &all.join(" ")).is_ok() {
        return Ok((controllers, None));
    }
    // One that can't be enabled (`cpu` with realtime processes about) must not take the others.
    let (mut enabled, mut refusal) = (Controllers::NONE, None);
    for controller in controllers.iter() {
        match files::write(&file, &format!("+{controller}")) {
            Ok(()) => enabled = enabled.with(controller),
            Err(error) => refusal = error.errno().map(|errno| (file.clone(), errno)),
        }
    }
    Ok((enabled, refusal))
}

/// Whether the cgroup itself holds processes and so can't pass controllers on. The kernel refuses
/// only some of them; `cpu` and `pids` it enables, and turns the cgroup into a threaded one, whose
/// children then take no process. The root of the whole hierarchy, which has no `cgroup.events`,
/// is free of this rule.
fn holds_processes(dir: &Path) -> Result<bool> {
    let events = dir.join("cgroup.events");
    match files::read_if_there(&events)? {
        Some(text) if flag(&events, &text, "populated")? => {
            Ok(!files::read(&dir.join("cgroup.procs"))?.is_empty())
        }
        _ => Ok(false),
    }
}
