//! What of a process is refused.

use oci_spec::runtime::Process as ProcessSpec;

use crate::check::{invalid, must_be_text};
use crate::error::Error;
use crate::{environment, labels, scheduling};

/// Refuses a process that contradicts itself.
pub(crate) fn check(process: &ProcessSpec) -> Result<(), Error> {
    let directory = process.cwd();
    if !directory.is_absolute() {
        return Err(invalid(
            "process.cwd",
            &format!("{}: not an absolute path", directory.display()),
        ));
    }
    must_be_text("process.cwd", &directory.to_string_lossy(), 4095)?;
    let arguments = process.args().as_deref().unwrap_or_default();
    if arguments.is_empty() {
        return Err(invalid("process.args", "a program is needed"));
    }
    for argument in arguments {
        must_be_text("process.args", argument, usize::MAX)?;
    }
    environment::check(process)?;
    let user = process.user();
    let ids = [user.uid(), user.gid()];
    let more = user.additional_gids().as_deref().unwrap_or_default();
    // The kernel means "leave as it is" by the largest number: the process would stay root.
    if ids.iter().chain(more).any(|&id| id == u32::MAX) {
        return Err(invalid("process.user", &format!("{} is no user or group id", u32::MAX)));
    }
    if user.umask().is_some_and(|umask| umask > 0o777) {
        return Err(invalid("process.user.umask", "it is above 0777"));
    }
    let mut seen = Vec::new();
    for limit in process.rlimits().as_deref().unwrap_or_default() {
        if limit.soft() > limit.hard() {
            let why =
                format!("the soft limit {} is above the hard limit {}", limit.soft(), limit.hard());
            return Err(invalid(&format!("process.rlimits {}", limit.typ()), &why));
        }
        if seen.contains(&limit.typ()) {
            return Err(invalid(&format!("process.rlimits {}", limit.typ()), "it is there twice"));
        }
        seen.push(limit.typ());
    }
    if process.oom_score_adj().is_some_and(|score| !(-1000..=1000).contains(&score)) {
        return Err(invalid("process.oomScoreAdj", "it is not between -1000 and 1000"));
    }
    scheduling::check(process)?;
    labels::check(process)
}
