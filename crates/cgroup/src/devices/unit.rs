//! Device rules as properties of a unit of systemd (`DevicePolicy=` and `DeviceAllow=`, `systemd.resource-control(5)`).

use super::{DeviceKind, DeviceList};
use crate::systemd::{Property, Value};

impl DeviceList {
    /// What systemd is told of the list. Of a list that allows all but some it knows no more than that, and of an
    /// exception for one minor number of every major one nothing.
    pub(crate) fn properties(&self) -> Vec<Property> {
        let (policy, allowed) = match self.allows {
            true => ("auto", Vec::new()),
            false => (
                "strict",
                self.exceptions
                    .iter()
                    .filter_map(|(about, access)| {
                        let kind = match about.kind {
                            DeviceKind::Block => "block",
                            DeviceKind::Char => "char",
                            DeviceKind::All => return None,
                        };
                        let devices = match (about.major, about.minor) {
                            (None, None) => format!("{kind}-*"),
                            (Some(major), None) => format!("{kind}-{major}"),
                            (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
                            (None, Some(_)) => return None,
                        };
                        Some((devices, access.to_string()))
                    })
                    .collect(),
            ),
        };
        vec![
            Property::new("DevicePolicy", policy),
            Property { name: "DeviceAllow".into(), value: Value::Pairs(allowed) },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_is_named_as_systemd_names_devices() {
        let rules = ["allow c *:* m", "allow c 136:* rw", "allow b 8:1 r"];
        let list = super::super::tests::list(&rules).unwrap();
        let pair = |devices: &str, access: &str| (devices.to_owned(), access.to_owned());
        let [policy, allowed] = <[Property; 2]>::try_from(list.properties()).unwrap();
        assert_eq!(policy.value, Value::Text("strict".into()));
        let Value::Pairs(mut pairs) = allowed.value else { panic!("{allowed:?}") };
        pairs.sort();
        assert_eq!(
            pairs,
            [pair("/dev/block/8:1", "r"), pair("char-*", "m"), pair("char-136", "rw")]
        );
        let all = super::super::tests::list(&["allow a *:* rwm"]).unwrap();
        assert_eq!(all.properties()[0].value, Value::Text("auto".into()));
    }
}
