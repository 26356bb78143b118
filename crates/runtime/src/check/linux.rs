//! What of `linux`, and of what goes with its namespaces, is refused.

use oci_spec::runtime::{Linux, LinuxNamespace, LinuxNamespaceType, Spec};

use crate::check::{invalid, must_be_text, unsupported};
use crate::error::Error;
use crate::mount_options::propagation_of;
use crate::{devices, labels, sysctl, user_namespace};

pub(super) fn check(spec: &Spec, linux: &Linux) -> Result<(), Error> {
    let namespaces = linux.namespaces().as_deref().unwrap_or_default();
    check_namespaces(namespaces)?;
    check_names(spec, namespaces)?;
    check_users(linux, namespaces)?;
    if let Some(parameters) = linux.sysctl() {
        sysctl::check(parameters, namespaces)?;
    }
    for device in linux.devices().as_deref().unwrap_or_default() {
        devices::check(device)?;
    }
    for (field, paths) in [
        ("linux.maskedPaths", linux.masked_paths()),
        ("linux.readonlyPaths", linux.readonly_paths()),
    ] {
        for path in paths.iter().flatten() {
            if !path.starts_with('/') {
                return Err(invalid(field, &format!("{path}: not an absolute path")));
            }
        }
    }
    if let Some(word) = linux.rootfs_propagation().as_deref().filter(|word| !word.is_empty())
        && propagation_of(word).is_none()
    {
        return Err(invalid("linux.rootfsPropagation", &format!("'{word}' is no propagation")));
    }
    check_offsets(linux, namespaces)?;
    if let Some(personality) = linux.personality()
        && personality.flags().as_ref().is_some_and(|flags| !flags.is_empty())
    {
        return Err(invalid("linux.personality", "flags are not defined by the specification"));
    }
    labels::check_mount_label(linux.mount_label().as_deref())?;
    unsupported("linux.intelRdt", linux.intel_rdt().is_some())?;
    unsupported("linux.memoryPolicy", linux.memory_policy().is_some())?;
    let devices = linux.net_devices().as_ref().is_some_and(|devices| !devices.is_empty());
    unsupported("linux.netDevices", devices)
}

/// The namespace of `kind` in the list.
fn find(namespaces: &[LinuxNamespace], kind: LinuxNamespaceType) -> Option<&LinuxNamespace> {
    namespaces.iter().find(|namespace| namespace.typ() == kind)
}

fn check_namespaces(namespaces: &[LinuxNamespace]) -> Result<(), Error> {
    for (index, namespace) in namespaces.iter().enumerate() {
        let field = format!("linux.namespaces {}", namespace.typ());
        let before = namespaces.get(..index).unwrap_or_default();
        if find(before, namespace.typ()).is_some() {
            return Err(invalid(&field, "it is there twice"));
        }
        if let Some(path) = namespace.path()
            && !path.is_absolute()
        {
            let why = format!("its path {} is not absolute", path.display());
            return Err(invalid(&field, &why));
        }
    }
    // Its root would be put in place of that which everybody else in there has.
    let mounts = find(namespaces, LinuxNamespaceType::Mount);
    unsupported("linux.namespaces mount: a path", mounts.is_some_and(|it| it.path().is_some()))
}

/// A name that the container's own UTS namespace does not keep would be the host's.
fn check_names(spec: &Spec, namespaces: &[LinuxNamespace]) -> Result<(), Error> {
    for (field, name) in [("hostname", spec.hostname()), ("domainname", spec.domainname())] {
        let Some(name) = name.as_deref().filter(|name| !name.is_empty()) else { continue };
        // uts(7): __NEW_UTS_LEN.
        must_be_text(field, name, 64)?;
        if find(namespaces, LinuxNamespaceType::Uts).is_none() {
            return Err(invalid(field, "the container has no uts namespace to set it in"));
        }
    }
    Ok(())
}

fn check_users(linux: &Linux, namespaces: &[LinuxNamespace]) -> Result<(), Error> {
    let namespace = find(namespaces, LinuxNamespaceType::User);
    for (field, list) in
        [("linux.uidMappings", linux.uid_mappings()), ("linux.gidMappings", linux.gid_mappings())]
    {
        let list = list.as_deref().filter(|list| !list.is_empty());
        match (namespace, list) {
            (None, Some(_)) => return Err(invalid(field, "there is no user namespace to map")),
            (Some(namespace), None) if namespace.path().is_none() => {
                return Err(invalid(field, "a new user namespace needs it"));
            }
            (_, Some(list)) => user_namespace::check(field, list)?,
            (_, None) => {}
        }
    }
    Ok(())
}

fn check_offsets(linux: &Linux, namespaces: &[LinuxNamespace]) -> Result<(), Error> {
    let Some(offsets) = linux.time_offsets().as_ref().filter(|offsets| !offsets.is_empty()) else {
        return Ok(());
    };
    let field = "linux.timeOffsets";
    match find(namespaces, LinuxNamespaceType::Time) {
        Some(namespace) if namespace.path().is_none() => {}
        _ => return Err(invalid(field, "the container has no new time namespace to set it in")),
    }
    for (clock, offset) in offsets {
        if !["monotonic", "boottime"].contains(&clock.as_str()) {
            return Err(invalid(field, &format!("'{clock}' is not 'monotonic' or 'boottime'")));
        }
        if offset.nanosecs().unwrap_or(0) >= 1_000_000_000 {
            return Err(invalid(field, &format!("{clock}: nanosecs of a second or more")));
        }
    }
    Ok(())
}
