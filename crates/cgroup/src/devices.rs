//! Which devices a cgroup's processes may use.
//!
//! A list of rules, of which later ones count more, is brought into the form that both versions
//! can hold: a default, and exceptions from it. It is what version 1's kernel keeps, and what a
//! program for version 2 decides by. See
//! <https://docs.kernel.org/admin-guide/cgroup-v1/devices.html>.

mod program;
mod rule;
#[cfg(feature = "systemd")]
mod unit;
mod v1;
mod v2;

use std::collections::BTreeMap;

use rule::Numbered;
pub use rule::{DeviceAccess, DeviceKind, DeviceRule};

use crate::error::Cause;
use crate::{Cgroup, Result};

/// What every container may use: nodes of any device; null, zero, full, random, urandom; the terminal of the
/// process, that of its devpts, and those of devpts.
const USUAL: [&str; 10] = [
    "allow c *:* m",
    "allow b *:* m",
    "allow c 1:3 rwm",
    "allow c 1:5 rwm",
    "allow c 1:7 rwm",
    "allow c 1:8 rwm",
    "allow c 1:9 rwm",
    "allow c 5:0 rwm",
    "allow c 5:2 rwm",
    "allow c 136:* rwm",
];

/// Which devices may be used: all but some, or none but some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceList {
    allows: bool,
    exceptions: BTreeMap<Numbered, DeviceAccess>,
}

impl DeviceList {
    /// What `rules` come to, the last of which counts the most; what none is about is denied.
    ///
    /// # Errors
    /// [`InvalidLimit`](crate::ErrorKind::InvalidLimit) for a number no device can have, and for
    /// rules that neither version can hold: those that except one device from a wildcard that is
    /// an exception itself.
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a DeviceRule>) -> Result<Self> {
        let mut list = Self::default();
        list.extend(rules)?;
        Ok(list)
    }

    /// Adds rules that count more than those before: a runtime's own, which every container has.
    ///
    /// # Errors
    /// As for [`new`](Self::new); the list is then of no use.
    pub fn extend<'a>(&mut self, rules: impl IntoIterator<Item = &'a DeviceRule>) -> Result<()> {
        rules.into_iter().try_for_each(|rule| self.apply(rule))
    }

    /// Adds what every container may use: the devices of its own `/dev`, its terminals, and nodes of any device,
    /// which can be made but not opened. It is runc's and Docker's list.
    ///
    /// # Errors
    /// As for [`new`](Self::new), where the rules before leave no room for one of these.
    pub fn allow_usual(&mut self) -> Result<()> {
        let rules: Vec<DeviceRule> =
            USUAL.iter().map(|rule| rule.parse()).collect::<Result<_>>()?;
        self.extend(&rules)
    }

    fn apply(&mut self, rule: &DeviceRule) -> Result<()> {
        rule.check()?;
        if rule.is_all() {
            *self = Self { allows: rule.allow, exceptions: BTreeMap::new() };
            return Ok(());
        }
        for about in rule.numbered() {
            if rule.allow == self.allows {
                self.drop_exceptions(about, rule)?;
            } else {
                let access = self.exceptions.entry(about).or_default();
                *access = access.union(rule.access);
            }
        }
        Ok(())
    }

    /// Makes the default hold again for what `rule` is about.
    fn drop_exceptions(&mut self, about: Numbered, rule: &DeviceRule) -> Result<()> {
        for (exception, access) in &mut self.exceptions {
            if about.covers(exception) {
                *access = access.without(rule.access);
            } else if about.meets(exception) && access.meets(rule.access) {
                let why = "it excepts a device from an earlier rule with a wildcard, and cgroups \
                           can't hold that";
                let (limit, value) = ("device rule".into(), rule.to_string());
                return Err(Cause::InvalidLimit { limit, value, why }.into());
            }
        }
        self.exceptions.retain(|_, access| !access.is_empty());
        Ok(())
    }
}

impl Cgroup {
    /// Sets which devices may be used; on failure all is as it was, or the error says what is not.
    pub(crate) fn set_devices(&self, list: &DeviceList) -> Result<()> {
        if self.hierarchy().is_v2() { v2::set(self, list) } else { v1::set(self, list) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn list(rules: &[&str]) -> Result<DeviceList> {
        let rules: Vec<DeviceRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        DeviceList::new(&rules)
    }

    fn exceptions(list: &DeviceList) -> Vec<String> {
        list.exceptions.iter().map(|(about, access)| format!("{about} {access}")).collect()
    }

    #[test]
    fn nothing_said_denies_all() {
        assert_eq!(list(&[]).unwrap(), DeviceList::default());
        assert_eq!(list(&["deny a *:* rwm"]).unwrap(), DeviceList::default());
    }

    #[test]
    fn exceptions_add_up_and_are_taken_back() {
        let some = list(&["deny a *:* rwm", "allow c 1:3 r", "allow c 1:3 w", "allow b *:* m"]);
        let some = some.unwrap();
        assert!(!some.allows);
        assert_eq!(exceptions(&some), ["b *:* m", "c 1:3 rw"]);
        let less = list(&["allow c 1:3 rwm", "deny c 1:3 w", "allow c 1:5 r", "deny c *:5 rwm"]);
        assert_eq!(exceptions(&less.unwrap()), ["c 1:3 rm"]);
        let all_but = list(&["allow c 1:3 r", "allow a *:* rwm", "deny b 8:0 w"]).unwrap();
        assert!(all_but.allows);
        assert_eq!(exceptions(&all_but), ["b 8:0 w"]);
    }

    #[test]
    fn a_runtime_adds_its_own_to_those_asked_for() {
        let mut asked = list(&["deny a *:* rwm", "allow c 1:3 r"]).unwrap();
        asked.extend(&["allow c 1:3 w".parse().unwrap()]).unwrap();
        assert_eq!(exceptions(&asked), ["c 1:3 rw"]);
    }

    #[test]
    fn the_usual_devices_are_allowed_whatever_was_denied() {
        let mut none = DeviceList::default();
        none.allow_usual().unwrap();
        let shown = exceptions(&none);
        assert!(!none.allows);
        for device in ["b *:* m", "c *:* m", "c 1:3 rwm", "c 136:* rwm"] {
            assert!(shown.contains(&device.to_owned()), "{shown:?}");
        }
        assert!(!shown.iter().any(|rule| rule.starts_with("c 1:1 ")), "/dev/mem");
        let mut all = list(&["allow a *:* rwm"]).unwrap();
        all.allow_usual().unwrap();
        assert!(all.allows);
    }

    #[test]
    fn a_later_wildcard_takes_back_what_it_covers() {
        let list = list(&["allow c 1:3 rwm", "allow c 5:* rwm", "deny c *:* rwm"]).unwrap();
        assert_eq!(list, DeviceList::default());
    }

    #[test]
    fn a_rule_for_both_types_that_is_not_for_all_is_two() {
        let list = list(&["allow a 1:3 r"]).unwrap();
        assert_eq!(exceptions(&list), ["b 1:3 r", "c 1:3 r"]);
    }

    #[test]
    fn a_hole_in_a_wildcard_is_refused() {
        for rules in [["allow c *:* rwm", "deny c 1:3 r"], ["allow c 1:* w", "deny c *:3 rwm"]] {
            let error = list(&rules).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidLimit);
            assert!(error.to_string().starts_with("device rule of deny c "), "{error}");
        }
        let other = list(&["allow c *:* r", "deny c 1:3 m"]).unwrap();
        assert_eq!(exceptions(&other), ["c *:* r"]);
    }
}
