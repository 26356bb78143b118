//! Proxies, as the environment names them: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`.

use std::net::IpAddr;

use crate::error::{Error, ErrorKind, Result, shown};
use crate::url::Origin;

/// Which proxy stands before which registry.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    https: Option<ureq::Proxy>,
    http: Option<ureq::Proxy>,
    exceptions: Vec<String>,
}

impl Proxies {
    /// Those of this process's environment.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if a variable holds no proxy's address.
    pub fn from_environment() -> Result<Self> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// Those of other variables; lower case counts before upper case, as with curl.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if a variable holds no proxy's address.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let either = |lower: &str| {
            variable(lower)
                .or_else(|| variable(&lower.to_ascii_uppercase()))
                .filter(|value| !value.is_empty())
        };
        let proxy = |name: &str| match either(name) {
            None => Ok(None),
            Some(value) => ureq::Proxy::new(&value).map(Some).map_err(|e| {
                // Its value may hold a password.
                let message = format!("{name} in the environment is not a proxy's address");
                Error::new(ErrorKind::Configuration, shown(&message)).because(e)
            }),
        };
        Ok(Self {
            https: proxy("https_proxy")?,
            http: proxy("http_proxy")?,
            exceptions: either("no_proxy")
                .unwrap_or_default()
                .split(',')
                .map(|exception| exception.trim().to_ascii_lowercase())
                .filter(|exception| !exception.is_empty())
                .collect(),
        })
    }

    /// The proxy on the way to `origin`. There is none to this machine itself.
    pub(crate) fn to(&self, origin: &Origin) -> Option<&ureq::Proxy> {
        let proxy = if origin.secure { &self.https } else { &self.http };
        let direct = || {
            origin.is_loopback() || self.exceptions.iter().any(|exception| fits(exception, origin))
        };
        proxy.as_ref().filter(|_| !direct())
    }
}

/// Whether `NO_PROXY`'s `exception` is for `origin`: `*`, a domain with all below it, an address, a network, each but
/// the last with an optional port.
fn fits(exception: &str, origin: &Origin) -> bool {
    if exception == "*" || exception == origin.authority {
        return true;
    }
    let host = origin.host();
    if let Ok(ip) = host.parse::<IpAddr>() {
        return match exception.split_once('/') {
            Some((network, bits)) => in_network(ip, network, bits),
            None => exception.trim_matches(['[', ']']).parse() == Ok(ip),
        };
    }
    let (exception, port) =
        exception.split_once(':').map_or((exception, None), |(e, p)| (e, Some(p)));
    let own_port = origin
        .authority
        .rsplit_once(':')
        .map_or(if origin.secure { "443" } else { "80" }, |(_, port)| port);
    let domain = exception.trim_start_matches('*').trim_start_matches('.');
    let below = || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    port.is_none_or(|port| port == own_port) && !domain.is_empty() && (host == domain || below())
}

fn in_network(ip: IpAddr, network: &str, bits: &str) -> bool {
    let wide = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()) << 96, 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    };
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    let ((ip, width), (network, other)) = (wide(ip), wide(network));
    width == other && bits <= width && (bits == 0 || ip >> (128 - bits) == network >> (128 - bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies> {
        Proxies::from_variables(|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn each_scheme_has_its_proxy_and_exceptions_have_none() {
        let proxies = proxies(&[
            ("HTTPS_PROXY", "http://p.io:3128"),
            ("no_proxy", "in.io, .dot.io,10.0.0.0/8,h.io:5000,[fd00::1],fd01::/16"),
        ])
        .unwrap();
        for (secure, authority, is) in [
            (true, "r.io", true),
            (false, "r.io", false),
            (true, "in.io", false),
            (true, "a.in.io", false),
            (true, "notin.io", true),
            (true, "a.dot.io", false),
            (true, "10.2.3.4:5000", false),
            (true, "11.2.3.4", true),
            (true, "h.io:5000", false),
            (true, "h.io", true),
            (true, "[fd00::1]:5000", false),
            (true, "[fd01::9]", false),
            (true, "[fd02::9]", true),
            (true, "localhost:5000", false),
        ] {
            let origin = Origin::new(secure, authority);
            assert_eq!(proxies.to(&origin).is_some(), is, "{authority}");
        }
    }

    #[test]
    fn a_proxy_that_is_none_is_an_error_and_its_password_not_told() {
        let error = proxies(&[("https_proxy", "gopher://u:secret@p.io")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
