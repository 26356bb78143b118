//! Addresses on the web, as far as registries need them: where a request goes, and whose it is.

use std::fmt;

use ureq::http::Uri;

use crate::error::{Error, Result, shown};

/// An absolute `http` or `https` address without user information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) origin: Origin,
    /// Begins with a slash; with the query, if any.
    path: String,
}

/// Scheme, host and port: what credentials are for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(crate) secure: bool,
    /// `host` or `host:port`, in lower case, without a port that goes without saying.
    pub(crate) authority: String,
}

impl Origin {
    pub(crate) fn new(secure: bool, authority: &str) -> Self {
        let usual = if secure { ":443" } else { ":80" };
        let authority = authority.to_ascii_lowercase();
        let authority = authority.strip_suffix(usual).unwrap_or(&authority).to_owned();
        Self { secure, authority }
    }

    pub(crate) fn url(&self, path: impl Into<String>) -> Url {
        Url { origin: self.clone(), path: path.into() }
    }

    /// The host without its port, and without the brackets of IPv6.
    pub(crate) fn host(&self) -> &str {
        host_of(&self.authority)
    }

    /// Whether this is this machine: nobody else hears what is said to it.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.authority)
    }
}

/// The host of `host:port`, without the brackets of IPv6.
pub(crate) fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.split(':').next().unwrap_or(authority)
}

pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = host_of(authority);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Url {
    /// Reads an absolute address, as a realm is one.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::protocol(format!("\"{}\" {why}", shown(text)));
        let uri: Uri = text.parse().map_err(|e| bad("is not an address").because(e))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("is neither http nor https")),
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.is_empty() || authority.contains('@') {
            return Err(bad("has no host, or a user's name in it"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self { origin: Origin::new(secure, authority), path: path.to_owned() })
    }

    /// What `location`, as in a header of that name, means here
    /// ([RFC 3986, 4.2](https://www.rfc-editor.org/rfc/rfc3986#section-4.2)): an address or an absolute path.
    pub(crate) fn join(&self, location: &str) -> Result<Self> {
        let scheme = if self.origin.secure { "https" } else { "http" };
        if location.starts_with("//") {
            Self::parse(&format!("{scheme}:{location}"))
        } else if location.starts_with('/') {
            Self::parse(&format!("{scheme}://{}{location}", self.origin.authority))
        } else {
            Self::parse(location)
        }
    }

    /// With one more parameter; `value` is escaped.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(name);
        self.path.push('=');
        self.path.push_str(&escape(value));
        self
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(crate) fn escape(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const RESERVED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, RESERVED).to_string()
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.authority)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read_against_where_it_came_from() {
        let here = Url::parse("https://R.io:443/v2/a/blobs/x").unwrap();
        for (location, there) in [
            ("/b?c=d", "https://r.io/b?c=d"),
            ("//s.io/b", "https://s.io/b"),
            ("http://s.io:80/b", "http://s.io/b"),
            ("https://s.io:8443", "https://s.io:8443/"),
        ] {
            assert_eq!(here.join(location).unwrap().to_string(), there);
        }
        for location in ["file:///etc/passwd", "b", "", "https://u:p@s.io/", "ftp://s.io/", "/a b"]
        {
            here.join(location).expect_err(location);
        }
        assert_eq!(here.with("a", "b c&d").to_string(), "https://r.io/v2/a/blobs/x?a=b%20c%26d");
    }

    #[test]
    fn loopback_is_told_from_what_looks_like_it() {
        for (authority, is) in [
            ("localhost:5000", true),
            ("127.0.0.1", true),
            ("127.8.0.1:1", true),
            ("[::1]:5000", true),
            ("localhost.evil.io", false),
            ("127.0.0.1.evil.io", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(authority), is, "{authority}");
        }
    }
}
