//! Connections to hosts, each with its own TLS settings and proxy, and one request over them.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ureq::http::{Method, Request as HttpRequest, Response as HttpResponse};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body as AnswerBody, SendBody};

use crate::certificates;
use crate::error::{Error, ErrorKind, Result};
use crate::patience::Patience;
use crate::proxies::Proxies;
use crate::url::{Origin, Url};

/// The answer to a request: its head, and a body to read.
pub(crate) type Answer = HttpResponse<AnswerBody>;

/// What is sent; made anew for every attempt.
pub(crate) enum Body<'a> {
    None,
    Bytes(&'a [u8]),
    Stream { size: u64, open: &'a dyn Fn() -> io::Result<Box<dyn Read + 'a>> },
}

/// One request, but for who asks.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body<'a>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), body: Body::None }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: Body<'a>) -> Self {
        self.body = body;
        self
    }
}

/// Keeps connections open for as long as it lives, for any number of threads.
#[derive(Debug)]
pub(crate) struct Connections {
    pub(crate) patience: Patience,
    proxies: Proxies,
    certificates: Vec<PathBuf>,
    agents: Mutex<HashMap<(Origin, bool), Agent>>,
}

impl Connections {
    pub(crate) fn new(patience: Patience, proxies: Proxies, certificates: Vec<PathBuf>) -> Self {
        Self { patience, proxies, certificates, agents: Mutex::default() }
    }

    /// Makes `request` once, without following redirections.
    pub(crate) fn send(
        &self,
        request: &Request<'_>,
        authorization: Option<&str>,
        verify: bool,
    ) -> Result<Answer> {
        let origin = &request.url.origin;
        let agent = self.agent(origin, verify)?;
        let mut head =
            HttpRequest::builder().method(request.method.clone()).uri(request.url.to_string());
        for (name, value) in &request.headers {
            head = head.header(*name, value);
        }
        if let Some(authorization) = authorization {
            head = head.header("authorization", authorization);
        }
        let unfit = |e| Error::protocol(format!("{origin}: a request can't be written")).because(e);
        let answer = match &request.body {
            Body::None => agent.run(head.body(()).map_err(unfit)?),
            Body::Bytes(bytes) => agent.run(head.body(*bytes).map_err(unfit)?),
            Body::Stream { size, open } => {
                let mut source = open().map_err(|e| {
                    Error::new(ErrorKind::Unreadable, "what is to be sent can't be read").because(e)
                })?;
                let body = SendBody::from_reader(&mut source);
                agent.run(head.header("content-length", *size).body(body).map_err(unfit)?)
            }
        };
        answer.map_err(|e| explain(origin, e))
    }

    fn agent(&self, origin: &Origin, verify: bool) -> Result<Agent> {
        let key = (origin.clone(), verify);
        if let Some(agent) = lock(&self.agents).get(&key) {
            return Ok(agent.clone());
        }
        let mut settings = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .accept_encoding("identity")
            .user_agent(concat!("sandbar/", env!("CARGO_PKG_VERSION")))
            .proxy(self.proxies.to(origin).cloned())
            .timeout_connect(Some(self.patience.connect))
            .timeout_per_read(Some(self.patience.stall))
            .timeout_per_write(Some(self.patience.stall));
        if origin.secure {
            let tls = certificates::settings(&self.certificates, &origin.authority, verify)?;
            settings = settings.tls_config(tls);
        }
        let agent = Agent::with_parts(settings.build(), DefaultConnector::default(), Names);
        Ok(lock(&self.agents).entry(key).or_insert(agent).clone())
    }
}

/// The system's resolver, which says what it could not find.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &ureq::http::Uri,
        config: &ureq::config::Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        DefaultResolver::default().resolve(uri, config, timeout).map_err(|error| match error {
            ureq::Error::Io(_) => ureq::Error::HostNotFound,
            other => other,
        })
    }
}

/// What `error` means to who wanted to speak to `origin`.
pub(crate) fn explain(origin: &Origin, error: ureq::Error) -> Error {
    let (kind, why) = match &error {
        ureq::Error::HostNotFound => (ErrorKind::UnknownHost, "its name has no address"),
        ureq::Error::Timeout(ureq::Timeout::Connect) => {
            (ErrorKind::Refused, "no connection in time")
        }
        ureq::Error::Timeout(_) => (ErrorKind::Stalled, "nothing came for too long"),
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => (ErrorKind::Tls, "no trusted TLS"),
        ureq::Error::ConnectProxyFailed(_) => (ErrorKind::Refused, "its proxy does not connect"),
        ureq::Error::ConnectionFailed => (ErrorKind::Refused, "no connection"),
        ureq::Error::Io(e) => of_io(e),
        _ => (ErrorKind::Protocol, "it does not speak HTTP as it should"),
    };
    Error::new(kind, format!("{origin}: {why}")).because(error)
}

fn of_io(error: &io::Error) -> (ErrorKind, &'static str) {
    use io::ErrorKind as Io;
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if tls.is_some() {
        return (ErrorKind::Tls, "no trusted TLS");
    }
    match error.kind() {
        Io::ConnectionRefused | Io::HostUnreachable | Io::NetworkUnreachable => {
            (ErrorKind::Refused, "no connection")
        }
        Io::TimedOut | Io::WouldBlock => (ErrorKind::Stalled, "nothing came for too long"),
        Io::UnexpectedEof => (ErrorKind::Truncated, "the connection ended too early"),
        _ => (ErrorKind::Io, "the connection broke"),
    }
}

/// A lock whose holders leave nothing half-done, so that a panic under it spoils nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
