//! What a security module is to confine a process by: an AppArmor profile, an SELinux label.

use std::io::{Read, Write};
use std::path::Path;

use oci_spec::runtime::Process as ProcessSpec;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use sandbar_sys::During;

use crate::error::{Error, Kind};
use crate::mounts::StepInto;

/// `SELINUX_MAGIC` and `PROC_SUPER_MAGIC` of `linux/magic.h`.
const SELINUX: u64 = 0xf97c_ff8c;
const PROC: u64 = 0x9fa0;

/// Refuses what this kernel can't confine by, and text that would be more than a name.
pub(crate) fn check(spec: &ProcessSpec) -> Result<(), Error> {
    for (field, text, there) in [
        ("process.apparmorProfile", spec.apparmor_profile(), apparmor as fn() -> bool),
        ("process.selinuxLabel", spec.selinux_label(), selinux),
    ] {
        if let Some(text) = given(text.as_deref()) {
            must_be_there(field, text, there())?;
        }
    }
    Ok(())
}

/// The same for `linux.mountLabel`.
pub(crate) fn check_mount_label(label: Option<&str>) -> Result<(), Error> {
    match given(label) {
        Some(label) => must_be_there("linux.mountLabel", label, selinux()),
        None => Ok(()),
    }
}

/// An empty one is none, as it is to other runtimes.
pub(crate) fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn must_be_there(field: &str, text: &str, there: bool) -> Result<(), Error> {
    if text.bytes().any(|byte| byte.is_ascii_control()) || text.len() > 4000 {
        let message = format!("{field} {text:?}: control characters, or too long");
        return Err(Error::new(Kind::InvalidSpec, message));
    }
    if there {
        return Ok(());
    }
    let module = if field.contains("apparmor") { "AppArmor" } else { "SELinux" };
    let message = format!("{field} '{text}': {module} is not enabled in this kernel");
    Err(Error::new(Kind::Unsupported, message))
}

fn apparmor() -> bool {
    std::fs::read("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|text| text.starts_with(b"Y"))
}

fn selinux() -> bool {
    rustix::fs::statfs("/sys/fs/selinux")
        .is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(SELINUX))
}

/// Has the next execution of this thread confined, through the `/proc` that this process was started with: it
/// never touches one of the container's (CVE-2019-16884).
pub(crate) fn apply(spec: &ProcessSpec) -> Result<(), Error> {
    if let Some(profile) = given(spec.apparmor_profile().as_deref()) {
        let step = || format!("process.apparmorProfile {profile}");
        let own = Path::new("apparmor/exec");
        // Where several modules are stacked, the plain file may be another one's (Linux 5.8).
        let file = if attribute(own, OFlags::RDONLY).is_ok() { own } else { Path::new("exec") };
        write(file, &format!("exec {profile}")).step_into(step)?;
        must_read(file, profile).step_into(step)?;
    }
    if let Some(label) = given(spec.selinux_label().as_deref()) {
        let step = || format!("process.selinuxLabel {label}");
        write(Path::new("exec"), label).step_into(step)?;
        must_read(Path::new("exec"), label).step_into(step)?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    let mut opened = attribute(file, OFlags::WRONLY)?;
    opened
        .write_all(text.as_bytes())
        .during("write", || format!("'{text}' to attr/{}", file.display()))
        .map_err(Error::from)
}

/// What was written is what holds; AppArmor adds the mode, as in `name (enforce)`.
fn must_read(file: &Path, wanted: &str) -> Result<(), Error> {
    let mut text = String::new();
    attribute(file, OFlags::RDONLY)?
        .read_to_string(&mut text)
        .during("read", || format!("attr/{}", file.display()))?;
    let held = text.trim_end_matches(['\0', '\n']);
    if held == wanted || held.strip_prefix(wanted).is_some_and(|mode| mode.starts_with(" (")) {
        return Ok(());
    }
    Err(Error::new(Kind::Hostile, format!("the kernel holds '{held}'")))
}

/// A file below `/proc/thread-self/attr`, on a real procfs and nothing that lies on it.
fn attribute(file: &Path, flags: OFlags) -> Result<std::fs::File, Error> {
    let proc = rustix::fs::open(
        "/proc",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .during("open", || "/proc".into())?;
    let kind = rustix::fs::fstatfs(&proc).during("fstatfs", || "/proc".into())?.f_type;
    if u64::try_from(kind) != Ok(PROC) {
        return Err(Error::new(Kind::Hostile, "/proc is not a procfs"));
    }
    let path = Path::new("thread-self/attr").join(file);
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let opened = rustix::fs::openat2(&proc, &path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
        .during("openat2", || path.display().to_string())?;
    Ok(opened.into())
}
