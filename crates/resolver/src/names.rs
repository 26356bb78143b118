//! Who is called what, on one network.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::endpoint::Endpoint;

/// The names and addresses of all endpoints.
#[derive(Debug, Default)]
pub(crate) struct Names {
    by_name: HashMap<String, Vec<IpAddr>>,
    by_address: HashMap<IpAddr, String>,
    reaches: HashMap<IpAddr, Reach>,
}

/// What the pod of an address may ask beyond the names of this network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// As [`Endpoint::networks`].
    pub(crate) networks: Vec<String>,
    /// As [`Endpoint::forwards`].
    pub(crate) forwards: bool,
}

impl<'a> FromIterator<&'a Endpoint> for Names {
    fn from_iter<T: IntoIterator<Item = &'a Endpoint>>(endpoints: T) -> Self {
        let mut names = Self::default();
        for endpoint in endpoints {
            for name in &endpoint.names {
                let addresses = names.by_name.entry(name.clone()).or_default();
                for address in &endpoint.addresses {
                    if !addresses.contains(address) {
                        addresses.push(*address);
                    }
                }
            }
            if !endpoint.networks.is_empty() || endpoint.forwards {
                let networks = endpoint.networks.clone();
                let reach = Reach { networks, forwards: endpoint.forwards };
                names.reaches.extend(endpoint.addresses.iter().map(|it| (*it, reach.clone())));
            }
            if let Some(name) = endpoint.names.first() {
                for address in &endpoint.addresses {
                    names.by_address.entry(*address).or_insert_with(|| name.clone());
                }
            }
        }
        names
    }
}

impl Names {
    /// The addresses of all that are called `name`, which is in lower case; `None` if nobody is.
    pub(crate) fn addresses(&self, name: &str) -> Option<&[IpAddr]> {
        self.by_name.get(name).map(Vec::as_slice)
    }

    /// The first name of whoever has `address`.
    pub(crate) fn name(&self, address: IpAddr) -> Option<&str> {
        self.by_address.get(&address).map(String::as_str)
    }

    /// What whoever has `address` may ask.
    pub(crate) fn reach(&self, address: IpAddr) -> Reach {
        self.reaches.get(&address).cloned().unwrap_or_default()
    }
}
