//! What of a specification is refused, before anything is made: by topic.

mod linux;
mod mounts;
mod process;

use std::ops::Deref;
use std::path::Path;

use oci_spec::runtime::{Hooks, Mount, Spec};

use crate::error::{Error, Kind};
use crate::hooks;
use crate::seccomp::Profile;

pub(crate) use process::check as check_process;

/// A specification that was found good, with its seccomp profile as it will be loaded.
#[derive(Debug)]
pub struct Checked {
    spec: Spec,
    pub(crate) profile: Option<Profile>,
}

impl Checked {
    /// Refuses a specification that contradicts itself, or that asks for what is not supported.
    ///
    /// # Errors
    /// [`Kind::InvalidSpec`] or [`Kind::Unsupported`], naming the field.
    pub fn new(spec: Spec) -> Result<Self, Error> {
        check(&spec)?;
        let profile = spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref());
        let profile = profile.map(Profile::compile).transpose()?;
        Ok(Self { spec, profile })
    }
}

impl Deref for Checked {
    type Target = Spec;

    fn deref(&self) -> &Spec {
        &self.spec
    }
}

fn check(spec: &Spec) -> Result<(), Error> {
    let process = spec.process().as_ref().ok_or_else(|| invalid("process", "it is needed"))?;
    check_process(process)?;
    if let Some(hooks) = spec.hooks() {
        check_hooks(hooks)?;
    }
    let linux = spec.linux().as_ref().ok_or_else(|| invalid("linux", "it is needed"))?;
    linux::check(spec, linux)?;
    let mut mounts = spec.mounts().iter().flatten();
    let fresh = |mount: &Mount| {
        mount.destination() == Path::new("/proc") && mount.typ().as_deref() == Some("proc")
    };
    if linux.sysctl().as_ref().is_some_and(|all| !all.is_empty()) && !mounts.any(fresh) {
        return Err(invalid("linux.sysctl", "a mount of type proc at /proc is needed to set them"));
    }
    mounts::check(spec.mounts().as_deref().unwrap_or_default(), linux)
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

/// A field that contradicts itself or another.
fn invalid(field: &str, why: &str) -> Error {
    Error::new(Kind::InvalidSpec, format!("{field}: {why}"))
}

fn unsupported(field: &str, asked: bool) -> Result<(), Error> {
    if asked {
        Err(Error::new(Kind::Unsupported, format!("{field} is not supported")))
    } else {
        Ok(())
    }
}

/// Text that goes to the kernel: without NUL bytes, and of a length that is no attack.
fn must_be_text(field: &str, text: &str, longest: usize) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(invalid(field, "a NUL byte is not allowed"));
    }
    if text.len() > longest {
        return Err(invalid(field, &format!("longer than {longest} bytes")));
    }
    Ok(())
}
