//! Tokens: proof for one scope, from the service that a registry names
//! ([distribution, token](https://distribution.github.io/distribution/spec/auth/token/),
//! [OAuth2](https://distribution.github.io/distribution/spec/auth/oauth/)).

use serde::Deserialize;
use ureq::http::Method;

use crate::answer::{expect, whole};
use crate::client::Client;
use crate::connections::{Body, Request};
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::peer::Peer;
use crate::url::{Url, escape};

/// The longest answer of a token service, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// What a registry asks for.
pub(crate) struct Wanted<'a> {
    pub(crate) realm: &'a str,
    pub(crate) service: Option<&'a str>,
    pub(crate) scope: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Client {
    /// Asks the service for a token. The credentials go there, as the protocol has it, wherever that is; so it must have
    /// TLS and a certificate that fits, unless the registry itself is trusted without. Where the service redirects to,
    /// nobody goes.
    pub(crate) fn token(
        &self,
        peer: &Peer,
        wanted: &Wanted<'_>,
        credentials: Option<Credentials>,
    ) -> Result<String> {
        let at = format!("{} wants a token", peer.origin);
        let realm = Url::parse(wanted.realm).map_err(|e| e.within(&at))?;
        if !peer.trust.allows(&realm.origin) {
            return Err(Error::protocol(format!("{at} from {realm}, which has no TLS")));
        }
        let origin = realm.origin.clone();
        let verify = peer.trust.verifies(&origin);
        let (answer, basic);
        match credentials {
            Some(Credentials::IdentityToken(token)) => {
                let form = form(wanted, &token);
                let request = Request::new(Method::POST, realm)
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(Body::Bytes(form.as_bytes()));
                answer = self.connections.send(&request, None, verify);
            }
            credentials => {
                let mut url = realm;
                for (name, value) in parameters(wanted) {
                    url = url.with(name, value);
                }
                if let Some(Credentials::Password { user, .. }) = &credentials {
                    url = url.with("account", user);
                }
                basic = credentials.map(|credentials| format!("Basic {}", credentials.encoded()));
                let request = Request::new(Method::GET, url);
                answer = self.connections.send(&request, basic.as_deref(), verify);
            }
        }
        let answer = answer.and_then(|answer| expect(&origin, answer, &[200]));
        let bytes =
            answer.and_then(|answer| whole(&origin, answer, LONGEST)).map_err(|e| e.within(&at))?;
        read(&bytes).ok_or_else(|| Error::protocol(format!("{at}: {origin} gives none")))
    }
}

fn parameters<'a>(wanted: &Wanted<'a>) -> Vec<(&'static str, &'a str)> {
    let mut parameters: Vec<_> =
        wanted.service.map(|service| ("service", service)).into_iter().collect();
    // Several scopes are separated by spaces in the challenge, and are parameters of their own in the request.
    parameters.extend(wanted.scope.split_whitespace().map(|scope| ("scope", scope)));
    parameters
}

fn form(wanted: &Wanted<'_>, token: &str) -> String {
    let service = wanted.service.unwrap_or_default();
    [
        ("grant_type", "refresh_token"),
        ("service", service),
        ("scope", wanted.scope),
        ("client_id", "sandbar"),
        ("refresh_token", token),
    ]
    .map(|(name, value)| format!("{name}={}", escape(value)))
    .join("&")
}

/// The token, if it is one word: it becomes part of a header.
fn read(bytes: &[u8]) -> Option<String> {
    let answer: Answer = serde_json::from_slice(bytes).ok()?;
    let token = answer.token.filter(|token| !token.is_empty()).or(answer.access_token)?;
    (!token.is_empty() && token.bytes().all(|c| c.is_ascii_graphic())).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_word_under_either_name() {
        for (text, token) in [
            (r#"{"token": "a"}"#, Some("a")),
            (r#"{"token": "", "access_token": "b"}"#, Some("b")),
            (r#"{"token": "a\r\nx: y"}"#, None),
            (r#"{"token": ""}"#, None),
            ("[]", None),
        ] {
            assert_eq!(read(text.as_bytes()).as_deref(), token, "{text}");
        }
    }
}
