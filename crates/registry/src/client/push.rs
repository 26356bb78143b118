//! Pushes: blobs first, then the manifests that name them.

use std::io::{self, Read};

use ureq::http::Method;

use crate::answer::{expect, header};
use crate::client::Client;
use crate::connections::{Body, Request};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::peer::Peer;
use crate::url::Url;

/// A blob to push.
pub struct Content<'a> {
    /// What it is known by.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// A repository of the same registry that is known to have it.
    pub also_in: Option<&'a str>,
    /// Opens it, from its first byte on; once for every attempt.
    pub open: &'a dyn Fn() -> io::Result<Box<dyn Read + 'a>>,
}

/// What it took for a registry to have a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Present,
    /// It was in another repository of the registry, and is now in this one.
    Mounted,
    /// It was sent.
    Sent,
}

impl Client {
    /// Sees to it that the repository has a blob, and sends it only if it must. Mirrors are not pushed to.
    ///
    /// # Errors
    /// As the registry refuses, and [`ErrorKind::Unreadable`] if what is to be sent can't be opened, which is not tried
    /// again.
    pub fn push_blob(&self, location: &Location, content: &Content<'_>) -> Result<Pushed> {
        self.to_home(location, |peer| {
            self.patiently(peer.attempts, || self.push_once(peer, content))
                .map_err(|e| e.within(content.digest))
        })
    }

    /// Whether the repository has a blob, or can have it from one of `others`, repositories of the same registry that
    /// may be known there or not. Nothing is sent, and nothing is left begun.
    ///
    /// # Errors
    /// As the registry refuses. That a blob can't be had from elsewhere is none.
    pub fn has_blob(
        &self,
        location: &Location,
        digest: Digest,
        others: &[&str],
    ) -> Result<Option<Pushed>> {
        self.to_home(location, |peer| {
            self.patiently(peer.attempts, || {
                if self.is_there(peer, digest)? {
                    return Ok(Some(Pushed::Present));
                }
                for &other in others.iter().filter(|other| **other != peer.source.repository) {
                    match self.begin(peer, digest, Some(other)) {
                        Ok(None) => return Ok(Some(Pushed::Mounted)),
                        Ok(Some(upload)) => self.cancel(peer, upload),
                        Err(error) if error.passes() => return Err(error),
                        // Who asks may not read there, or there is no such thing.
                        Err(_) => {}
                    }
                }
                Ok(None)
            })
            .map_err(|e| e.within(digest))
        })
    }

    /// Sends a manifest, under the location's tag or digest. Its digest is given back.
    ///
    /// # Errors
    /// As the registry refuses; [`ErrorKind::DigestMismatch`] if it is not what the location's digest promises, or if
    /// the registry takes it for something else.
    pub fn push_manifest(
        &self,
        location: &Location,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let differs = |what: &str, other: Digest| {
            let message = format!("{location}: {what} {other}, the manifest is {digest}");
            Error::new(ErrorKind::DigestMismatch, message)
        };
        if let Some(promised) = location.digest().filter(|promised| *promised != digest) {
            return Err(differs("its digest is", promised));
        }
        self.to_home(location, |peer| {
            let path = format!("/v2/{}/manifests/{}", peer.source.repository, location.version());
            self.patiently(peer.attempts, || {
                let request = Request::new(Method::PUT, peer.origin.url(path.as_str()))
                    .header("content-type", media_type)
                    .body(Body::Bytes(bytes));
                let answer = self.ask(peer, request, &peer.scope("pull,push"))?;
                let answer = expect(&peer.origin, answer, &[201])?;
                match header(&answer, "docker-content-digest").map(str::parse::<Digest>) {
                    Some(Ok(taken)) if taken != digest => Err(differs("the registry has", taken)),
                    _ => Ok(digest),
                }
            })
        })
    }

    fn to_home<T>(&self, location: &Location, ask: impl Fn(&Peer) -> Result<T>) -> Result<T> {
        let home = self.configuration.home(location)?;
        self.peer(home).and_then(|peer| ask(&peer)).map_err(|e| e.within(location))
    }

    fn push_once(&self, peer: &Peer, content: &Content<'_>) -> Result<Pushed> {
        let Content { digest, size, also_in, open } = *content;
        let scope = peer.scope("pull,push");
        if self.is_there(peer, digest)? {
            return Ok(Pushed::Present);
        }
        let Some(to) = self.begin(peer, digest, also_in)? else { return Ok(Pushed::Mounted) };
        let request = Request::new(Method::PUT, to.with("digest", &digest.to_string()))
            .header("content-type", "application/octet-stream")
            .body(Body::Stream { size, open });
        let answer = self.ask(peer, request, &scope)?;
        expect(&peer.origin, answer, &[201]).map(|_| Pushed::Sent)
    }

    fn is_there(&self, peer: &Peer, digest: Digest) -> Result<bool> {
        let there = peer.origin.url(format!("/v2/{}/blobs/{digest}", peer.source.repository));
        let answer = self.ask(peer, Request::new(Method::HEAD, there), &peer.scope("pull,push"))?;
        Ok(expect(&peer.origin, answer, &[200, 404])?.status() == 200)
    }

    /// Ends an upload that is not wanted. A registry that can't do so forgets it in time.
    fn cancel(&self, peer: &Peer, upload: Url) {
        let _ = self.ask(peer, Request::new(Method::DELETE, upload), &peer.scope("pull,push"));
    }

    /// Begins an upload, and says where to; nowhere, if the registry could mount the blob instead.
    fn begin(&self, peer: &Peer, digest: Digest, also_in: Option<&str>) -> Result<Option<Url>> {
        let repository = &peer.source.repository;
        let mut url = peer.origin.url(format!("/v2/{repository}/blobs/uploads/"));
        let mut scope = peer.scope("pull,push");
        if let Some(other) = also_in.filter(|other| other != repository) {
            url = url.with("mount", &digest.to_string()).with("from", other);
            scope = format!("{scope} repository:{other}:pull");
        }
        let request = Request::new(Method::POST, url.clone()).body(Body::Bytes(&[]));
        let answer = expect(&peer.origin, self.ask(peer, request, &scope)?, &[201, 202])?;
        if answer.status() == 201 {
            return Ok(None);
        }
        let location = header(&answer, "location").unwrap_or_default();
        let to = url
            .join(location)
            .map_err(|e| e.within(format!("{} begins an upload", peer.origin)))?;
        if !peer.trust.allows(&to.origin) {
            let message =
                format!("{} wants uploads at {}, which has no TLS", peer.origin, to.origin);
            return Err(Error::protocol(message));
        }
        Ok(Some(to))
    }
}
