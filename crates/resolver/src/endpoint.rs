//! A pod on a network: its addresses there, and what it is called.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::lines::{address, domain_name, words};

/// A pod's end at a network. As text, one word and its value a line:
///
/// ```
/// let text = "address 10.85.0.2\naddress fd00:85::2\nname web\nname blog-web-1\n";
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
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for address in &self.addresses {
            writeln!(f, "address {address}")?;
        }
        for name in &self.names {
            writeln!(f, "name {name}")?;
        }
        Ok(())
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
                _ => return Err(Error::invalid(format!("unknown line '{word} {value}'"))),
            }
        }
        Ok(endpoint)
    }
}
