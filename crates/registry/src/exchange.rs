//! One request and its answer, with all that lies between: proof of who asks, and redirections.
//!
//! Two rules keep secrets where they belong. What proves who asks goes to the origin (scheme, host and port) of the
//! registry and nowhere else, so a redirection elsewhere goes without. And only the registry is asked for what it
//! wants as proof: a 401 of anybody else's is an error (CVE-2020-15157).

use std::thread;

use ureq::http::{Method, StatusCode};

use crate::answer::{header, refusal};
use crate::challenge::Challenge;
use crate::client::Client;
use crate::connections::{Answer, Request, lock};
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, Result};
use crate::peer::{Peer, Who};
use crate::token::Wanted;

/// How many redirections are followed.
pub(crate) const MOST_REDIRECTIONS: usize = 5;

/// What a request is to be allowed to do, as tokens have it: `repository:a/b:pull`; empty for the registry as such.
pub(crate) type Scope = str;

impl Client {
    /// Does `work` until it succeeds, fails for good, or has failed often enough.
    pub(crate) fn patiently<T>(
        &self,
        attempts: u32,
        mut work: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let patience = &self.connections.patience;
        let mut failures = 0;
        loop {
            let error = match work() {
                Err(error) if error.passes() => error,
                result => return result,
            };
            failures += 1;
            let pause = error.retry_after().unwrap_or_else(|| patience.after(failures));
            if failures >= attempts || pause > patience.longest_pause {
                return Err(error);
            }
            thread::sleep(pause);
        }
    }

    /// Makes a request once, proves who asks if that is wanted, and follows redirections of what is only read.
    pub(crate) fn ask(
        &self,
        peer: &Peer,
        mut request: Request<'_>,
        scope: &Scope,
    ) -> Result<Answer> {
        let key = (peer.origin.clone(), scope.to_owned());
        let mut authorization = lock(&self.authorizations).get(&key).cloned();
        let mut proved = false;
        let mut redirections = 0;
        loop {
            let at_home = request.url.origin == peer.origin;
            let proof = authorization.as_deref().filter(|_| at_home);
            let verify = peer.trust.verifies(&request.url.origin);
            let answer = self.connections.send(&request, proof, verify)?;
            match answer.status() {
                StatusCode::UNAUTHORIZED if at_home && !proved => {
                    proved = true;
                    let proof = self.prove(peer, answer, scope)?;
                    lock(&self.authorizations).insert(key.clone(), proof.clone());
                    authorization = Some(proof);
                }
                StatusCode::UNAUTHORIZED => {
                    lock(&self.authorizations).remove(&key);
                    return Err(refusal(&request.url.origin, answer));
                }
                status if is_redirection(status) => {
                    redirections += 1;
                    if redirections > MOST_REDIRECTIONS {
                        let message = format!("{} redirects too often", peer.origin);
                        return Err(Error::new(ErrorKind::RedirectLoop, message));
                    }
                    redirect(peer, &mut request, &answer)?;
                }
                status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                    return Err(refusal(&request.url.origin, answer));
                }
                _ => return Ok(answer),
            }
        }
    }

    /// The value of an `Authorization` header, as the 401 `answer` wants it.
    fn prove(&self, peer: &Peer, answer: Answer, scope: &Scope) -> Result<String> {
        let wanted = answer.headers().get_all("www-authenticate");
        let challenge = Challenge::read(wanted.iter().filter_map(|value| value.to_str().ok()));
        let credentials = self.credentials(peer)?;
        match (challenge, credentials) {
            (Some(Challenge::Bearer { realm, service, scope: wanted }), credentials) => {
                // What the registry names may be more than we know of; it may also name nothing.
                let wanted = wanted.filter(|wanted| !wanted.is_empty());
                let scope = wanted.as_deref().unwrap_or(scope);
                let service = service.as_deref();
                let token =
                    self.token(peer, &Wanted { realm: &realm, service, scope }, credentials)?;
                Ok(format!("Bearer {token}"))
            }
            (Some(Challenge::Basic), Some(credentials @ Credentials::Password { .. })) => {
                Ok(format!("Basic {}", credentials.encoded()))
            }
            (Some(Challenge::Basic), _) => Err(refusal(&peer.origin, answer)
                .within(format!("no credentials for {}", peer.source.registry))),
            (None, _) => Err(refusal(&peer.origin, answer)),
        }
    }

    fn credentials(&self, peer: &Peer) -> Result<Option<Credentials>> {
        match &peer.who {
            Who::Keyring => self.keyring.find(&peer.source.registry, &peer.source.repository),
            Who::Given(credentials) => Ok(Some(credentials.clone())),
            Who::Anonymous => Ok(None),
        }
    }
}

pub(crate) fn is_redirection(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Turns `request` to where `answer` points.
fn redirect(peer: &Peer, request: &mut Request<'_>, answer: &Answer) -> Result<()> {
    let from = &request.url;
    if request.method != Method::GET && request.method != Method::HEAD {
        let message = format!("{} redirects what is sent to it", from.origin);
        return Err(Error::protocol(message));
    }
    let location = header(answer, "location")
        .ok_or_else(|| Error::protocol(format!("{} redirects to nowhere", from.origin)))?;
    let to = from.join(location).map_err(|e| e.within(format!("{} redirects", from.origin)))?;
    if !peer.trust.allows(&to.origin) {
        let message = format!("{} redirects to {}, which has no TLS", from.origin, to.origin);
        return Err(Error::protocol(message));
    }
    request.url = to;
    Ok(())
}
