//! What of a specification is refused, before anything is made.

use oci_spec::runtime::{Hooks, LinuxNamespaceType, Process as ProcessSpec, Spec};

use crate::devices;
use crate::error::{Error, Kind};
use crate::hooks;
use crate::mount_options::MountOptions;
use crate::{seccomp, sysctl};

/// Refuses a specification that contradicts itself, or that asks for what is not supported.
///
/// # Errors
/// [`Kind::InvalidSpec`] or [`Kind::Unsupported`], naming the field.
pub fn check(spec: &Spec) -> Result<(), Error> {
    let Some(process) = spec.process() else {
        return Err(Error::new(Kind::InvalidSpec, "process: it is needed"));
    };
    check_process(process)?;
    if let Some(hooks) = spec.hooks() {
        check_hooks(hooks)?;
    }
    unsupported("domainname", spec.domainname().is_some())?;
    for mount in spec.mounts().as_deref().unwrap_or_default() {
        if !mount.destination().is_absolute() {
            let message = format!("mounts {}: not an absolute path", mount.destination().display());
            return Err(Error::new(Kind::InvalidSpec, message));
        }
        MountOptions::of(mount)?;
        let mapped = mount.uid_mappings().is_some() || mount.gid_mappings().is_some();
        unsupported("mounts: uidMappings", mapped)?;
    }
    let Some(linux) = spec.linux() else {
        return Err(Error::new(Kind::InvalidSpec, "linux: it is needed"));
    };
    let namespaces = linux.namespaces().as_deref().unwrap_or_default();
    for namespace in namespaces {
        match namespace.typ() {
            LinuxNamespaceType::User => unsupported("linux.namespaces: user", true)?,
            LinuxNamespaceType::Time => unsupported("linux.namespaces: time", true)?,
            LinuxNamespaceType::Mount => {
                unsupported("linux.namespaces: mount with a path", namespace.path().is_some())?;
            }
            _ => {}
        }
    }
    if let Some(parameters) = linux.sysctl() {
        sysctl::check(parameters, namespaces)?;
    }
    for device in linux.devices().as_deref().unwrap_or_default() {
        devices::check(device)?;
    }
    let mapped = linux.uid_mappings().is_some() || linux.gid_mappings().is_some();
    unsupported("linux.uidMappings", mapped)?;
    if let Some(profile) = linux.seccomp() {
        seccomp::check(profile)?;
    }
    unsupported("linux.rootfsPropagation", linux.rootfs_propagation().is_some())?;
    unsupported("linux.mountLabel", linux.mount_label().is_some())?;
    unsupported("linux.intelRdt", linux.intel_rdt().is_some())?;
    unsupported("linux.personality", linux.personality().is_some())?;
    unsupported("linux.timeOffsets", linux.time_offsets().is_some())?;
    unsupported("linux.memoryPolicy", linux.memory_policy().is_some())?;
    unsupported("linux.netDevices", linux.net_devices().is_some())
}

#[allow(deprecated, reason = "prestart hooks are still what many use")]
fn check_hooks(given: &Hooks) -> Result<(), Error> {
    hooks::check("prestart", given.prestart().as_deref())?;
    hooks::check("createRuntime", given.create_runtime().as_deref())?;
    hooks::check("createContainer", given.create_container().as_deref())?;
    hooks::check("startContainer", given.start_container().as_deref())?;
    hooks::check("poststart", given.poststart().as_deref())?;
    hooks::check("poststop", given.poststop().as_deref())
}

/// The same for a process alone.
pub(crate) fn check_process(process: &ProcessSpec) -> Result<(), Error> {
    if !process.cwd().is_absolute() {
        let message = format!("process.cwd {}: not an absolute path", process.cwd().display());
        return Err(Error::new(Kind::InvalidSpec, message));
    }
    if process.args().as_deref().unwrap_or_default().is_empty() {
        return Err(Error::new(Kind::InvalidSpec, "process.args: a program is needed"));
    }
    unsupported("process.apparmorProfile", process.apparmor_profile().is_some())?;
    unsupported("process.selinuxLabel", process.selinux_label().is_some())?;
    unsupported("process.ioPriority", process.io_priority().is_some())?;
    unsupported("process.scheduler", process.scheduler().is_some())?;
    unsupported("process.execCPUAffinity", process.exec_cpu_affinity().is_some())
}

fn unsupported(field: &str, asked: bool) -> Result<(), Error> {
    if asked {
        Err(Error::new(Kind::Unsupported, format!("{field} is not supported")))
    } else {
        Ok(())
    }
}
