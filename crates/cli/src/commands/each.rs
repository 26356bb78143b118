//! One thing done for each of several names: one that fails keeps no other from being done.

use std::fmt::Display;

use serde_json::Value;

use crate::cli::Exit;
use crate::failure::{Failure, Result};
use crate::output;

/// Does `work` for each name; a failure is said at once, and the first one's code is that of all.
pub(crate) fn each<T: Display>(
    names: &[T],
    mut work: impl FnMut(&T) -> Result<()>,
) -> Result<Exit> {
    let mut first = None;
    for name in names {
        match work(name) {
            Ok(()) => {}
            Err(Failure::PipeClosed) => return Err(Failure::PipeClosed),
            Err(failure) => {
                output::failure(&failure);
                first.get_or_insert_with(|| failure.said());
            }
        }
    }
    first.map_or(Ok(Exit::SUCCESS), Err)
}

/// Shows what `look` finds for each name, as one JSON array of all that was found.
pub(crate) fn show_each(
    names: &[String],
    mut look: impl FnMut(&str) -> Result<Value>,
) -> Result<Exit> {
    let mut found = Vec::new();
    let outcome = each(names, |name| {
        found.push(look(name)?);
        Ok(())
    });
    output::json(&Value::Array(found))?;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_keeps_no_other_from_being_done() {
        let mut done = Vec::new();
        let all = each(&["a", "b", "c"], |name| {
            done.push(*name);
            if *name == "b" { Err(Failure::new("no b")) } else { Ok(()) }
        });
        let failure = all.unwrap_err();
        assert_eq!((failure.code(1), failure.lines().as_str()), (1, ""));
        assert_eq!(done, ["a", "b", "c"]);
    }
}
