//! What a resolver has to know of its network.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::lines::{address, domain_name, words};
use crate::subnet::Subnet;

/// A network whose pods find each other by name. As text, one word and its value a line:
///
/// ```
/// let text = "network blog\nlisten 10.85.0.1\nlisten fd00:85::1\n\
///             subnet 10.85.0.0/24\nsubnet fd00:85::/64\ninternal\n";
/// let network: sandbar_resolver::Network = text.parse()?;
/// assert_eq!(network.to_string(), text);
/// # Ok::<(), sandbar_resolver::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name, by which its pods are found too: `NAME.NETWORK`.
    pub name: String,
    /// The gateway's addresses, at whose port 53 is listened.
    pub listen: Vec<IpAddr>,
    /// Where its pods' addresses are from: whoever asks from elsewhere gets no answer.
    pub subnets: Vec<Subnet>,
    /// Whether no question may leave it: what is not a name of the network does not exist then, but for pods that
    /// have [another way out](crate::Endpoint::forwards).
    pub internal: bool,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "network {}", self.name)?;
        for address in &self.listen {
            writeln!(f, "listen {address}")?;
        }
        for subnet in &self.subnets {
            writeln!(f, "subnet {subnet}")?;
        }
        if self.internal { writeln!(f, "internal") } else { Ok(()) }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut name = None;
        let (mut listen, mut subnets, mut internal) = (Vec::new(), Vec::new(), false);
        for (word, value) in words(text) {
            match word {
                "network" => name = Some(domain_name(word, value)?),
                "listen" => listen.push(address(word, value)?),
                "subnet" => subnets.push(value.parse()?),
                "internal" if value.is_empty() => internal = true,
                _ => return Err(Error::invalid(format!("unknown line '{word} {value}'"))),
            }
        }
        let name = name.ok_or_else(|| Error::invalid("no line 'network NAME'"))?;
        if listen.is_empty() {
            return Err(Error::invalid("no line 'listen ADDRESS'"));
        }
        Ok(Self { name, listen, subnets, internal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        let error = |text: &str| text.parse::<Network>().unwrap_err().to_string();
        assert_eq!(error("network a\nport 54\n"), "unknown line 'port 54'");
        assert_eq!(error("network a\n"), "no line 'listen ADDRESS'");
        assert_eq!(error("listen 10.0.0.1"), "no line 'network NAME'");
        assert_eq!(error("network a\nlisten b"), "listen 'b': no IP address");
    }
}
