//! Finding pods and containers: by name, by id, or by the beginning of an id.

use std::path::Path;

use sandbar_spec::layout::PodDirectory;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::pod::Pod;
use crate::{names, pod};

impl Engine {
    /// The pod called `name`, or whose id begins with it.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Ambiguous`].
    pub fn pod(&self, name: &str) -> Result<Pod, Error> {
        if let Some(directory) = names::owner_of(&self.roots.pod_names(), name)
            && let Some(pod) = Pod::read(&PodDirectory::at(directory))?
        {
            return Ok(pod);
        }
        let ids = directories(&self.roots.pods());
        let found = by_prefix(&ids, name, "pod")?;
        Pod::read(&PodDirectory::at(self.roots.pods().join(found)))?
            .ok_or_else(|| not_found("pod", name))
    }

    /// All pods, the oldest first.
    ///
    /// # Errors
    /// None today: a pod whose records on disk are broken is left out.
    pub fn pods(&self) -> Result<Vec<Pod>, Error> {
        let mut pods = Vec::new();
        for id in directories(&self.roots.pods()) {
            // One whose records are broken hides no other; `pod rm -f` clears it.
            let pod = Pod::read(&PodDirectory::at(self.roots.pods().join(id)));
            pods.extend(pod.unwrap_or_default());
        }
        pods.sort_by_key(|pod| pod.config.created_at);
        Ok(pods)
    }

    /// The container called `name`, or whose id begins with it.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Ambiguous`].
    pub fn container(&self, name: &str) -> Result<Container, Error> {
        if let Some(directory) = names::owner_of(&self.roots.container_names(), name)
            && let Some(container) = self.read_container(&directory)?
        {
            return Ok(container);
        }
        let mut ids = Vec::new();
        for pod in directories(&self.roots.pods()) {
            let containers = PodDirectory::at(self.roots.pods().join(pod)).containers();
            ids.extend(directories(&containers).into_iter().map(|id| (id, containers.clone())));
        }
        let names: Vec<String> = ids.iter().map(|(id, _)| id.clone()).collect();
        let found = by_prefix(&names, name, "container")?;
        let directory =
            ids.iter().find(|(id, _)| id == found).map(|(id, containers)| containers.join(id));
        let container = match directory {
            Some(directory) => self.read_container(&directory)?,
            None => None,
        };
        container.ok_or_else(|| not_found("container", name))
    }

    /// All containers, the oldest first, pods' pauses among them.
    ///
    /// # Errors
    /// A record on disk that is not what it must be.
    pub fn containers(&self) -> Result<Vec<Container>, Error> {
        let pods = self.pods()?;
        let mut containers: Vec<Container> =
            pods.into_iter().flat_map(|pod| pod.containers).collect();
        containers.sort_by_key(|container| container.config.created_at);
        Ok(containers)
    }

    /// The container in `directory`, read with its pod alone.
    fn read_container(&self, directory: &Path) -> Result<Option<Container>, Error> {
        let id = directory.file_name().and_then(|name| name.to_str()?.parse().ok());
        let pod = directory.parent().and_then(Path::parent).map(Path::to_owned);
        let (Some(id), Some(directory_of_pod)) = (id, pod.map(PodDirectory::at)) else {
            return Ok(None);
        };
        let Some(config) = sandbar_supervisor::read_record(&directory_of_pod.config())? else {
            return Ok(None);
        };
        let connections = pod::connections(&directory_of_pod)?;
        Container::read(&directory_of_pod, &id, &config, &connections)
    }
}

/// The names of what is in a directory.
pub(crate) fn directories(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

pub(crate) fn not_found(what: &str, name: &str) -> Error {
    Error::new(Kind::NotFound, format!("there is no {what} '{name}'"))
}

/// The one id that begins with `prefix`.
pub(crate) fn by_prefix<'a>(ids: &'a [String], prefix: &str, what: &str) -> Result<&'a str, Error> {
    let hexadecimal = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut found = ids.iter().filter(|id| hexadecimal && id.starts_with(prefix));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => {
            let message = format!("the ids of several {what}s begin with '{prefix}'");
            Err(Error::new(Kind::Ambiguous, message))
        }
        (None, _) => Err(not_found(what, prefix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_by_a_beginning_that_is_its_alone() {
        let ids = ["abc1".to_owned(), "abd2".to_owned()];
        assert_eq!(by_prefix(&ids, "abc", "pod").unwrap(), "abc1");
        assert_eq!(by_prefix(&ids, "ab", "pod").unwrap_err().kind(), Kind::Ambiguous);
        for none in ["", "x", "abc12", "../a"] {
            assert_eq!(by_prefix(&ids, none, "pod").unwrap_err().kind(), Kind::NotFound);
        }
    }
}
