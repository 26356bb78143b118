//! The `devices` controller of version 1.

use std::path::Path;

use super::{DeviceAccess, DeviceList, DeviceRule};
use crate::error::Cause;
use crate::{Cgroup, Controller, Error, Result, files};

pub(super) fn set(cgroup: &Cgroup, list: &DeviceList) -> Result<()> {
    let Some(dir) = cgroup.dir(Controller::Devices) else {
        let controller = Controller::Devices;
        return Err(Cause::NoController { controller, limit: "device rules" }.into());
    };
    let path = dir.join("devices.list");
    let text = files::read(&path)?;
    let before = parse(&text).ok_or_else(|| Error::contents(&path, &text))?;
    let done = write(&dir, &before, list);
    match done {
        Err(error) if !before.allows => {
            // The rest of the change may have been made or not; the old list comes back whole.
            let back = std::iter::once("a *:* rwm".to_owned()).map(|rule| ("devices.deny", rule));
            let rules = back.chain(before.transition_from(&DeviceList::default()));
            let undone =
                rules.into_iter().try_for_each(|(file, rule)| files::write(&dir.join(file), &rule));
            Err(if undone.is_ok() { error } else { error.leaving(vec![path]) })
        }
        // What an allowing list excepts can't be read, so it can't be written back either.
        Err(error) => Err(error.leaving(vec![path])),
        Ok(()) => Ok(()),
    }
}

fn write(dir: &Path, before: &DeviceList, list: &DeviceList) -> Result<()> {
    list.transition_from(before)
        .into_iter()
        .try_for_each(|(file, rule)| files::write(&dir.join(file), &rule))
}

/// Reads `devices.list`. Of a list that allows all but some, the kernel shows nothing but that.
fn parse(text: &str) -> Option<DeviceList> {
    let rules: Option<Vec<DeviceRule>> =
        text.lines().map(|line| format!("allow {line}").parse().ok()).collect();
    DeviceList::new(&rules?).ok()
}

impl DeviceList {
    /// The files and what to write to them to get from `before` to this list; what both allow is
    /// allowed all the while.
    fn transition_from(&self, before: &Self) -> Vec<(&'static str, String)> {
        let switch = |allows| if allows { "devices.allow" } else { "devices.deny" };
        let mut writes = Vec::new();
        let none = DeviceList::default().exceptions;
        let anew = self.allows || before.allows;
        if anew {
            writes.push((switch(self.allows), "a *:* rwm".to_owned()));
        }
        let old = if anew { &none } else { &before.exceptions };
        for (about, access) in old {
            let kept = self.exceptions.get(about).copied().unwrap_or_default();
            let dropped = access.without(kept);
            if !dropped.is_empty() {
                writes.push((switch(self.allows), format!("{about} {dropped}")));
            }
        }
        for (about, access) in &self.exceptions {
            let had: DeviceAccess = old.get(about).copied().unwrap_or_default();
            let new = access.without(had);
            if !new.is_empty() {
                writes.push((switch(!self.allows), format!("{about} {new}")));
            }
        }
        writes
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::list;
    use super::*;

    #[test]
    fn what_stays_allowed_is_never_taken_away() {
        let before = parse("c 1:3 rwm\nc 1:5 rwm\nb *:* m\n").unwrap();
        let after = list(&["allow c 1:3 rw", "allow b *:* m", "allow c 1:7 r"]).unwrap();
        assert_eq!(
            after.transition_from(&before),
            [
                ("devices.deny", "c 1:3 m".to_owned()),
                ("devices.deny", "c 1:5 rwm".to_owned()),
                ("devices.allow", "c 1:7 r".to_owned()),
            ]
        );
        assert_eq!(after.transition_from(&after), []);
    }

    #[test]
    fn a_change_of_the_default_begins_anew() {
        let all = parse("a *:* rwm\n").unwrap();
        let some = list(&["allow c 1:3 rw"]).unwrap();
        let deny_all = ("devices.deny", "a *:* rwm".to_owned());
        let allow_all = ("devices.allow", "a *:* rwm".to_owned());
        assert_eq!(
            some.transition_from(&all),
            [deny_all, ("devices.allow", "c 1:3 rw".to_owned())]
        );
        let but = list(&["allow a *:* rwm", "deny b 8:0 w"]).unwrap();
        let expected = [allow_all, ("devices.deny", "b 8:0 w".to_owned())];
        assert_eq!(but.transition_from(&some), expected);
        assert_eq!(but.transition_from(&but), expected);
    }

    #[test]
    fn lists_of_the_kernel() {
        assert_eq!(parse("").unwrap(), DeviceList::default());
        assert!(parse("nonsense\n").is_none());
    }
}
