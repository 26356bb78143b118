//! A process's environment.

use std::ffi::CString;

use oci_spec::runtime::Process as ProcessSpec;

use crate::error::{Error, Kind};

/// Where programs are looked for when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Refuses a variable that is none.
pub(crate) fn check(spec: &ProcessSpec) -> Result<(), Error> {
    Environment::new(spec, "/").map(drop)
}

/// A process's environment, checked.
pub(crate) struct Environment {
    pub(crate) variables: Vec<CString>,
    pub(crate) path: String,
}

impl Environment {
    /// The specification's variables, and HOME from the user's entry if it is not among them.
    pub(crate) fn new(spec: &ProcessSpec, home: &str) -> Result<Self, Error> {
        let mut variables = Vec::new();
        let mut path = None;
        let mut has_home = false;
        for variable in spec.env().as_deref().unwrap_or_default() {
            // A bare name would mean the caller's own value to some runtimes; here it means nothing.
            let Some((name, value)) = variable.split_once('=').filter(|(name, _)| !name.is_empty())
            else {
                let message = format!("process.env '{variable}': NAME=value is needed");
                return Err(Error::new(Kind::InvalidSpec, message));
            };
            match name {
                "PATH" => path = Some(value.to_owned()),
                // An image's empty HOME means "look it up", as it does to its other runtimes.
                "HOME" if value.is_empty() => continue,
                "HOME" => has_home = true,
                _ => {}
            }
            variables.push(c_string(variable)?);
        }
        if !has_home {
            variables.push(c_string(&format!("HOME={home}"))?);
        }
        Ok(Self { variables, path: path.unwrap_or_else(|| DEFAULT_PATH.to_owned()) })
    }
}

/// A C string, without the NUL bytes that the kernel would end it at.
pub(crate) fn c_string(text: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_nul_inside| {
        Error::new(Kind::InvalidSpec, format!("{text:?}: a NUL byte is not allowed"))
    })
}
