//! Manifests and indexes, exactly as they are served.

use serde::Deserialize;
use ureq::http::Method;

use crate::answer::{expect, header, whole};
use crate::client::Client;
use crate::connections::{Answer, Request};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::location::Location;
use crate::peer::Peer;

/// The longest manifest, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// What a manifest may be, of those that can be run: OCI's and Docker's second version, and indexes of them.
const MEDIA_TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A manifest or an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What was served, to the byte.
    pub bytes: Vec<u8>,
    /// What both the registry and the manifest itself, if it says so, call its kind.
    pub media_type: String,
    /// The digest of the bytes: the one that was asked for, if one was.
    pub digest: Digest,
}

/// What a manifest says of itself.
#[derive(Deserialize)]
struct Own {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
}

impl Client {
    /// Fetches what a tag or digest names: a manifest, or an index of several.
    ///
    /// # Errors
    /// [`ErrorKind::DigestMismatch`] if it is not what its digest promises, [`ErrorKind::TooLarge`] past 4 MiB,
    /// [`ErrorKind::Protocol`] if its kind is not known or said in two ways, and as the registry refuses.
    pub fn manifest(&self, location: &Location) -> Result<Manifest> {
        self.of_any(location, |peer| {
            self.patiently(peer.attempts, || self.manifest_once(peer, location))
        })
    }

    fn manifest_once(&self, peer: &Peer, location: &Location) -> Result<Manifest> {
        let path = format!("/v2/{}/manifests/{}", peer.source.repository, location.version());
        let request = Request::new(Method::GET, peer.origin.url(path))
            .header("accept", MEDIA_TYPES.join(", "));
        let answer = self.ask(peer, request, &peer.scope("pull"))?;
        let answer = expect(&peer.origin, answer, &[200])?;
        let promised = match location.digest() {
            Some(digest) => Some(digest),
            None => promised(peer, &answer)?,
        };
        let said = header(&answer, "content-type").map(str::to_owned);
        let bytes = whole(&peer.origin, answer, LONGEST).map_err(|e| e.within("its manifest"))?;
        let digest = Digest::of(&bytes);
        if let Some(promised) = promised.filter(|promised| *promised != digest) {
            let message =
                format!("{} serves a manifest {digest} where it should be {promised}", peer.origin);
            return Err(Error::new(ErrorKind::DigestMismatch, message));
        }
        let media_type = media_type(peer, said.as_deref(), &bytes)?;
        Ok(Manifest { bytes, media_type, digest })
    }
}

/// The digest that the registry says it serves, if it is of a kind that we know.
fn promised(peer: &Peer, answer: &Answer) -> Result<Option<Digest>> {
    match header(answer, "docker-content-digest") {
        Some(text) if !text.starts_with("sha512:") => text.parse().map(Some).map_err(|e: Error| {
            Error::protocol(format!("{} sends a bad digest", peer.origin)).because(e)
        }),
        _ => Ok(None),
    }
}

/// What both header and manifest say that it is: of two kinds at once it is neither.
fn media_type(peer: &Peer, said: Option<&str>, bytes: &[u8]) -> Result<String> {
    let own: Own = serde_json::from_slice(bytes).map_err(|e| {
        Error::protocol(format!("{}: what it serves is no manifest", peer.origin)).because(e)
    })?;
    let header = said.and_then(|said| said.split(';').next()).map(str::trim);
    let said = header.filter(|said| MEDIA_TYPES.contains(said));
    match (said, own.media_type) {
        (Some(said), Some(own)) if said != own => Err(Error::protocol(format!(
            "{} says that its manifest is {said}, the manifest that it is {}",
            peer.origin,
            shown(&own)
        ))),
        (Some(said), _) => Ok(said.to_owned()),
        (None, Some(own)) if MEDIA_TYPES.contains(&own.as_str()) => Ok(own),
        (None, own) => Err(Error::protocol(format!(
            "{}: a manifest of the kind \"{}\" is not supported",
            peer.origin,
            shown(own.as_deref().or(header).unwrap_or("unknown"))
        ))),
    }
}
