//! Searches: by the first version of the protocol where a registry still has that, as Docker Hub does; else by looking
//! through the names of all repositories.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::Method;

use crate::answer::{expect, header, whole};
use crate::client::Client;
use crate::connections::Request;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::location::Location;
use crate::peer::{Peer, Who};
use crate::url::{Origin, Url};

/// The longest page, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;
/// How many pages are read at most, of 1,000 names each if the registry gives that many.
const MOST_PAGES: usize = 100;

/// A repository that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its full name, without a tag.
    pub name: String,
    /// What its owner says of it, on one line.
    pub description: String,
    /// How many people like it, where that is counted.
    pub stars: Option<u64>,
    /// Whether the registry itself vouches for it.
    pub official: bool,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    description: Option<String>,
    star_count: Option<u64>,
    #[serde(default)]
    is_official: bool,
}

#[derive(Deserialize)]
struct Catalog {
    repositories: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

impl Client {
    /// Repositories of `registry` that have to do with `term`, `most` of them at most.
    ///
    /// # Errors
    /// As the registry refuses: many let nobody search.
    pub fn search(&self, registry: &str, term: &str, most: usize) -> Result<Vec<Found>> {
        let within = |e: Error| e.within(format!("search in {registry}"));
        let mut peer = self.peer(self.configuration.registry(registry)?).map_err(within)?;
        let hub = peer.source.registry == "docker.io";
        if hub {
            // Only that host has the search, and it wants to know nothing of who asks.
            peer.origin = Origin::new(true, "index.docker.io");
            peer.who = Who::Anonymous;
        }
        let found = match self.search_first_version(&peer, term, most) {
            Err(e) if !hub && matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Protocol) => {
                self.search_catalog(&peer, term, most)
            }
            found => found,
        };
        found.map_err(within)
    }

    /// All tags of a repository, in the registry's order.
    ///
    /// # Errors
    /// As the registry refuses.
    pub fn tags(&self, location: &Location) -> Result<Vec<String>> {
        self.of_any(location, |peer| {
            let path = format!("/v2/{}/tags/list?n=1000", peer.source.repository);
            let mut found = Vec::new();
            self.pages(peer, &path, &peer.scope("pull"), |page: Tags| {
                found.extend(page.tags.unwrap_or_default().iter().map(|tag| shown(tag)));
                true
            })?;
            Ok(found)
        })
    }

    fn search_first_version(&self, peer: &Peer, term: &str, most: usize) -> Result<Vec<Found>> {
        let url = peer.origin.url("/v1/search").with("q", term);
        let url = url.with("n", &most.clamp(1, 100).to_string());
        let (results, _): (Results, _) = self.page(peer, &url, "")?;
        let registry = &peer.source.registry;
        let found = results.results.into_iter().take(most).map(|entry| Found {
            name: shown(&format!("{registry}/{}", entry.name)),
            description: shown(&entry.description.unwrap_or_default()),
            stars: entry.star_count,
            official: entry.is_official,
        });
        Ok(found.collect())
    }

    fn search_catalog(&self, peer: &Peer, term: &str, most: usize) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        self.pages(peer, "/v2/_catalog?n=1000", "registry:catalog:*", |page: Catalog| {
            let names = page.repositories.unwrap_or_default();
            found.extend(names.into_iter().filter(|name| name.contains(term)).map(|name| Found {
                name: shown(&format!("{}/{name}", peer.source.registry)),
                description: String::new(),
                stars: None,
                official: false,
            }));
            found.len() < most
        })?;
        found.truncate(most);
        Ok(found)
    }

    /// Reads page after page, until there is none or `more` says that it is enough.
    fn pages<T: DeserializeOwned>(
        &self,
        peer: &Peer,
        first: &str,
        scope: &str,
        mut more: impl FnMut(T) -> bool,
    ) -> Result<()> {
        let mut url = peer.origin.url(first);
        for _ in 0..MOST_PAGES {
            let (page, next) = self.page(peer, &url, scope)?;
            let enough = !more(page);
            match next {
                Some(next) if !enough => url = next,
                _ => return Ok(()),
            }
        }
        let message = format!("{} has more than {MOST_PAGES} pages of them", peer.origin);
        Err(Error::new(ErrorKind::TooLarge, message))
    }

    /// One page, and where the next is: at the same registry, if there is one.
    fn page<T: DeserializeOwned>(
        &self,
        peer: &Peer,
        url: &Url,
        scope: &str,
    ) -> Result<(T, Option<Url>)> {
        self.patiently(peer.attempts, || {
            let answer = self.ask(peer, Request::new(Method::GET, url.clone()), scope)?;
            let answer = expect(&peer.origin, answer, &[200])?;
            let next = header(&answer, "link").and_then(next).map(|next| url.join(next));
            let next = next.transpose()?.filter(|next| next.origin == peer.origin);
            let bytes = whole(&peer.origin, answer, LONGEST)?;
            let page = serde_json::from_slice(&bytes).map_err(|e| {
                Error::protocol(format!("{}: what it lists is not understood", peer.origin))
                    .because(e)
            })?;
            Ok((page, next))
        })
    }
}

/// The address in `<ADDRESS>; rel="next"` ([RFC 8288](https://www.rfc-editor.org/rfc/rfc8288)).
fn next(link: &str) -> Option<&str> {
    let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = |p: &str| matches!(p.trim(), r#"rel="next""# | "rel=next");
    parameters.split(';').any(next).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_next_page_is_next() {
        assert_eq!(
            next(r#"</v2/_catalog?last=b&n=2>; rel="next""#),
            Some("/v2/_catalog?last=b&n=2")
        );
        assert_eq!(next("</x>; title=a; rel=next"), Some("/x"));
        for link in ["</x>; rel=prev", "/x; rel=next", "", "<"] {
            assert_eq!(next(link), None, "{link}");
        }
    }
}
