//! Finding a program in the container, and becoming it.

use std::ffi::{CStr, CString};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;
use sandbar_sys::During;

use crate::environment::{Environment, c_string};
use crate::error::{Error, Kind, Step};

/// Enters the working directory. A directory that is not below the container's root, reached through a
/// descriptor left open (`/proc/self/fd/N`), is refused.
pub(crate) fn enter_directory(directory: &Path) -> Result<(), Error> {
    rustix::process::chdir(directory)
        .during("chdir", || directory.display().to_string())
        .step(|| format!("enter the working directory {}", directory.display()))?;
    // The kernel answers "(unreachable)/…" for a directory outside the root.
    let reached = rustix::process::getcwd(Vec::new()).during("getcwd", String::new)?;
    if !reached.to_bytes().starts_with(b"/") {
        let message = format!("working directory {}: outside the container", directory.display());
        return Err(Error::new(Kind::Hostile, message));
    }
    Ok(())
}

/// The path of the program that `arguments` name first, as a shell would find it.
pub(crate) fn find(arguments: &[String], environment: &Environment) -> Result<CString, Error> {
    let Some(name) = arguments.first().filter(|name| !name.is_empty()) else {
        return Err(Error::new(Kind::InvalidSpec, "process.args: a program is needed"));
    };
    if name.contains('/') {
        let path = c_string(name)?;
        return match executable(&path) {
            Ok(()) => Ok(path),
            Err(errno) => Err(refusal(&path, errno)),
        };
    }
    let mut refused = None;
    for directory in environment.path.split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        let candidate = c_string(&format!("{directory}/{name}"))?;
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(errno @ (Errno::ACCESS | Errno::ISDIR)) => refused = Some((candidate, errno)),
            Err(_) => {}
        }
    }
    match refused {
        Some((path, errno)) => Err(refusal(&path, errno)),
        None => {
            let message = format!("'{name}' is not in the container's PATH ({})", environment.path);
            Err(Error::new(Kind::CommandNotFound, message))
        }
    }
}

/// Whether this process may execute the file at `path`.
fn executable(path: &CStr) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory {
        return Err(Errno::ISDIR);
    }
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        // A seccomp filter that knows no faccessat2(2): execve will tell.
        Err(Errno::NOSYS | Errno::PERM) => Ok(()),
        asked => asked,
    }
}

/// Becomes the program; returns why it did not.
pub(crate) fn execute(program: &CStr, arguments: &[String], environment: &Environment) -> Error {
    let mut list = Vec::new();
    for argument in arguments {
        match c_string(argument) {
            Ok(argument) => list.push(argument),
            Err(error) => return error,
        }
    }
    refusal(program, sandbar_sys::execute(program, &list, &environment.variables))
}

/// Why `program` is not executed.
fn refusal(program: &CStr, errno: Errno) -> Error {
    let path = program.to_string_lossy();
    let (kind, message) = match errno {
        Errno::NOENT if rustix::fs::stat(program).is_ok() => (
            Kind::CommandNotFound,
            format!("{path}: its interpreter or loader is not in the container"),
        ),
        Errno::NOENT | Errno::NOTDIR => {
            (Kind::CommandNotFound, format!("{path} is not in the container"))
        }
        errno => (
            Kind::CommandNotExecutable,
            format!("{path} can't be executed: {}", std::io::Error::from(errno)),
        ),
    };
    Error::new(kind, message)
}
