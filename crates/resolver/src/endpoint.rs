//! A pod on a network: its addresses there, and what it is called.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::lines::{address, domain_name, file_name, words};

/// A pod's end at a network. As text, one word and its value a line:
///
/// ```
/// let text = "address 10.85.0.2\naddress fd00:85::2\nname web\nname blog-web-1\n\
///             on blog\non Internal\nforwards\n";
/// let endpoint: sandbar_resolver::Endpoint = text.parse()?;
/// assert_eq!(endpoint.to_string(), text);
/// # Ok::<(), sandbar_resolver::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its addresses on this network, of either family.
    pub addresses: Vec<IpAddr>,
    /// The pod's name, which a reverse look-up gives, then its containers' names and aliases. One name may be
    /// several endpoints': it has all their addresses.
    pub names: Vec<String>,
    /// Where the pod looks names up, if not on this network alone: the directories' names of all networks with
    /// names that it is on, this one's too. Of a name that several know, the first one's meaning counts.
    pub networks: Vec<String>,
    /// Whether its questions may leave an internal network, for it has a way out by another.
    pub forwards: bool,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for address in &self.addresses {
            writeln!(f, "address {address}")?;
        }
        for name in &self.names {
            writeln!(f, "name {name}")?;
        }
        for network in &self.networks {
            writeln!(f, "on {network}")?;
        }
        if self.forwards { writeln!(f, "forwards") } else { Ok(()) }
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut endpoint = Self::default();
        for (word, value) in words(text) {
            match word {
                "address" => endpoint.addresses.push(address(word, value)?),
                "name" => endpoint.names.push(domain_name(word, value)?),
                "on" => endpoint.networks.push(file_name(word, value)?.to_owned()),
                "forwards" if value.is_empty() => endpoint.forwards = true,
                _ => return Err(Error::invalid(format!("unknown line '{word} {value}'"))),
            }
        }
        Ok(endpoint)
    }
}
