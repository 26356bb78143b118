//! A file at an address: no registry's, but by the same connections, proxies and authorities.

use std::io::Read;

use ureq::http::Method;

use crate::answer::{expect, header, stream};
use crate::client::Client;
use crate::connections::Request;
use crate::error::{Error, ErrorKind, Result};
use crate::exchange::{MOST_REDIRECTIONS, is_redirection};
use crate::url::Url;

/// A file on its way.
pub struct Fetched {
    /// What is in it. Its end before that of the file is an error.
    pub reader: Box<dyn Read + Send>,
    /// When it was last changed, as its server says it (`Last-Modified`).
    pub modified: Option<String>,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetched").field("modified", &self.modified).finish_non_exhaustive()
    }
}

impl Client {
    /// Opens the file at `url`, http or https. Nobody is told who asks. Redirections are followed, but never from TLS
    /// to where there is none.
    ///
    /// # Errors
    /// As its server refuses.
    pub fn fetch(&self, url: &str) -> Result<Fetched> {
        let first = Url::parse(url)?;
        self.patiently(self.connections.patience.attempts, || {
            let mut request = Request::new(Method::GET, first.clone());
            for _ in 0..=MOST_REDIRECTIONS {
                let origin = request.url.origin.clone();
                let answer = self.connections.send(&request, None, true)?;
                if !is_redirection(answer.status()) {
                    let answer = expect(&origin, answer, &[200])?;
                    let modified = header(&answer, "last-modified").map(str::to_owned);
                    return Ok(Fetched { reader: Box::new(stream(answer)), modified });
                }
                let location = header(&answer, "location")
                    .ok_or_else(|| Error::protocol(format!("{origin} redirects to nowhere")))?;
                let to = request.url.join(location)?;
                if origin.secure && !to.origin.secure {
                    let to = &to.origin;
                    let message = format!("{origin} redirects to {to}, which has no TLS");
                    return Err(Error::protocol(message));
                }
                request.url = to;
            }
            let message = format!("{} redirects too often", first.origin);
            Err(Error::new(ErrorKind::RedirectLoop, message))
        })
    }
}
