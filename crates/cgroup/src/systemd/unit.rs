//! The unit that `linux.cgroupsPath` asks for, and where its cgroup is.

use serde::{Deserialize, Serialize};

use crate::error::Cause;
use crate::{CgroupPath, Result};

/// The slice of units whose configuration names none.
const USUAL_SLICE: &str = "system.slice";

/// systemd's `UNIT_NAME_MAX`.
const LONGEST: usize = 255;

/// A scope in a slice, or a slice in another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    slice: String,
    name: String,
}

impl Unit {
    /// What `asked`, of the form `slice:prefix:name`, names: the scope `prefix-name.scope` in the slice, or the slice
    /// `name` if it ends in `.slice`. Without a slice it is `system.slice`, without a prefix the scope is called
    /// after the name alone.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) for another form, and for what is no unit's name
    /// (`systemd.unit(5)`).
    pub fn parse(asked: &str) -> Result<Self> {
        let refuse = |why| Err(Cause::InvalidPath { path: asked.to_owned(), why }.into());
        let parts: Vec<&str> = asked.split(':').collect();
        let &[slice, prefix, name] = parts.as_slice() else {
            return refuse("a unit of systemd is slice:prefix:name");
        };
        if name.is_empty() {
            return refuse("it names no unit");
        }
        let slice = if slice.is_empty() { USUAL_SLICE } else { slice };
        let name = match (name.ends_with(".slice"), prefix) {
            (true, _) => name.to_owned(),
            (false, "") => format!("{name}.scope"),
            (false, prefix) => format!("{prefix}-{name}.scope"),
        };
        let unit = Self { slice: slice.to_owned(), name };
        if unit.is_slice() && slices(&unit.name).is_none() {
            return refuse("the name is no slice's");
        }
        // systemd names the cgroups of these otherwise than the units (its `cg_escape`).
        if unit.name.starts_with(['_', '.']) || unit.name.starts_with("cgroup.") {
            return refuse("the unit's name begins with _, . or cgroup.");
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.\\@".contains(&byte);
        if unit.name.len() > LONGEST || !unit.name.bytes().all(allowed) {
            return refuse("a unit's name is up to 255 of A-Z a-z 0-9 _ - . \\ @");
        }
        if slices(&unit.slice).is_none() {
            return refuse("the slice is not of the form a-b.slice");
        }
        Ok(unit)
    }

    /// The unit's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The slice it is in.
    #[must_use]
    pub fn slice(&self) -> &str {
        &self.slice
    }

    /// Whether it is a slice itself, which needs no process to be there.
    #[must_use]
    pub fn is_slice(&self) -> bool {
        self.name.ends_with(".slice")
    }

    /// Where systemd makes its cgroup: a slice `a-b.slice` is in `a.slice` (`systemd.slice(5)`).
    ///
    /// # Errors
    /// None for a unit that was [parsed](Self::parse).
    pub fn path(&self) -> Result<CgroupPath> {
        let above = match self.is_slice() {
            // Where a slice is, its own name says.
            true => slices(&self.name),
            false => slices(&self.slice).map(|above| format!("{above}/{}", self.name)),
        };
        CgroupPath::cleaned(&above.unwrap_or_default())
    }
}

/// The path of a slice, from the root slice `-.slice` on, which has none; `None` if it is no slice's name.
fn slices(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".slice")?;
    if stem == "-" {
        return Some(String::new());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:\\-".contains(&byte);
    let begins_well = !stem.starts_with(['_', '.']) && !stem.starts_with("cgroup.");
    if name.len() > LONGEST
        || !stem.bytes().all(allowed)
        || !begins_well
        || stem.split('-').any(str::is_empty)
    {
        return None;
    }
    let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
    Some(ends.map(|end| format!("/{}.slice", &stem[..end])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_scope_is_in_its_slice_and_that_in_those_of_which_it_has_the_name() {
        for (asked, name, path) in [
            ("system.slice:sandbar:a", "sandbar-a.scope", "system.slice/sandbar-a.scope"),
            (":sandbar:a", "sandbar-a.scope", "system.slice/sandbar-a.scope"),
            ("a-b.slice::c", "c.scope", "a.slice/a-b.slice/c.scope"),
            ("-.slice:x:y", "x-y.scope", "x-y.scope"),
            (
                "kubepods.slice::kubepods-u_1.slice",
                "kubepods-u_1.slice",
                "kubepods.slice/kubepods-u_1.slice",
            ),
        ] {
            let unit = Unit::parse(asked).unwrap();
            assert_eq!(unit.name(), name);
            assert_eq!(unit.path().unwrap().as_str(), path);
        }
    }

    #[test]
    fn what_is_no_units_name_is_refused() {
        for asked in [
            "",
            "/a",
            "a:b",
            "a.slice:b:c:d",
            "a.slice:b:",
            "a:b:c",
            "-a.slice:b:c",
            "a--b.slice:b:c",
            "a-.slice:b:c",
            "../a.slice:b:c",
            "a.slice:b:../c",
            "a.slice:b:c d",
            "a.slice:_b:c",
            "a.slice::cgroup.x",
            "a.slice::-b.slice",
        ] {
            let error = Unit::parse(asked).expect_err(asked);
            assert_eq!(error.kind(), ErrorKind::InvalidPath, "{asked:?}");
        }
    }
}
