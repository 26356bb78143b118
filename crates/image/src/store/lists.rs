//! Manifest lists on disk: one file each. They keep no image from being removed.

use std::collections::BTreeSet;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::record::{decode, encode};
use super::{Staging, Store};
use crate::digest::{Digest, ImageId};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest_list::{ManifestList, Member, sound};
use crate::platform::Platform;
use crate::reference::Reference;

/// A reference may be longer than a file's name; its digest never is, and holds no slash.
fn file_name(reference: &Reference) -> String {
    Digest::of(reference.to_string().as_bytes()).hex()
}

impl Store {
    /// Makes a manifest list with these members. With `amend` they are added to one that is there.
    ///
    /// # Errors
    /// [`ErrorKind::Referenced`] if there is one of that name, without `amend`; [`ErrorKind::InvalidReference`] if that
    /// has a digest; [`ErrorKind::Io`].
    pub fn create_list(&self, name: &Reference, members: Vec<Member>, amend: bool) -> Result<()> {
        name.require_digest_of(&[])?;
        let _changing = self.change_lists()?;
        let mut list = match self.list_of(name)? {
            Some(_) if !amend => {
                let message = format!("there is a manifest list {name} already");
                return Err(Error::new(ErrorKind::Referenced, message));
            }
            Some(list) => list,
            None => ManifestList { name: name.clone(), members: Vec::new() },
        };
        list.add(members);
        self.write_list(&list)
    }

    /// Adds members to a list; one that is there already, by its digest, is replaced.
    ///
    /// # Errors
    /// As [`Store::find_list`]; [`ErrorKind::Io`].
    pub fn add_to_list(&self, name: &str, members: Vec<Member>) -> Result<ManifestList> {
        let _changing = self.change_lists()?;
        let mut list = self.find_list(name)?;
        list.add(members);
        self.write_list(&list)?;
        Ok(list)
    }

    /// Takes a member out of a list. It is called by its manifest's digest, or by an image's name or id.
    ///
    /// # Errors
    /// As [`Store::find_list`]; [`ErrorKind::NotFound`] also if it is not in there; [`ErrorKind::Ambiguous`] if several
    /// are called so.
    pub fn remove_from_list(&self, name: &str, member: &str) -> Result<Member> {
        let _changing = self.change_lists()?;
        let mut list = self.find_list(name)?;
        let at = self.position(&list, member)?;
        let removed = list.members.remove(at);
        self.write_list(&list)?;
        Ok(removed)
    }

    /// Has a member of a list be for what `change` makes of what it is for. It is called as in
    /// [`Store::remove_from_list`].
    ///
    /// # Errors
    /// As [`Store::remove_from_list`].
    pub fn annotate_in_list(
        &self,
        name: &str,
        member: &str,
        change: impl FnOnce(&Platform) -> Platform,
    ) -> Result<Member> {
        let _changing = self.change_lists()?;
        let mut list = self.find_list(name)?;
        let at = self.position(&list, member)?;
        list.members[at].platform = change(&list.members[at].platform);
        self.write_list(&list)?;
        Ok(list.members.swap_remove(at))
    }

    /// Which member is called so.
    fn position(&self, list: &ManifestList, member: &str) -> Result<usize> {
        let image = self.find(member).ok().map(|image| image.id);
        let names = Reference::candidates(member).unwrap_or_default();
        let is_it = |known: &Member| {
            known.digest.to_string() == member
                || image.is_some() && known.image == image
                || known.from.as_ref().is_some_and(|from| names.contains(from))
        };
        let mut found = (0..list.members.len()).filter(|at| is_it(&list.members[*at]));
        match (found.next(), found.next()) {
            (Some(at), None) => Ok(at),
            (None, _) => {
                let message = format!("{member} is not in the manifest list {}", list.name);
                Err(Error::new(ErrorKind::NotFound, message))
            }
            (Some(_), Some(_)) => {
                let message = format!("several in the manifest list {} are of {member}", list.name);
                Err(Error::new(ErrorKind::Ambiguous, message))
            }
        }
    }

    /// The manifest list called `name`. A short name is tried as `localhost/NAME` first, then at `docker.io`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::InvalidReference`], [`ErrorKind::Corrupt`], [`ErrorKind::Io`].
    pub fn find_list(&self, name: &str) -> Result<ManifestList> {
        for reference in Reference::candidates(name)? {
            if let Some(list) = self.list_of(&reference)? {
                return Ok(list);
            }
        }
        Err(Error::new(ErrorKind::NotFound, format!("there is no manifest list {name}")))
    }

    /// All manifest lists, in the order of their names.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], [`ErrorKind::Io`].
    pub fn lists(&self) -> Result<Vec<ManifestList>> {
        let mut all = Vec::new();
        for file in self.names(&self.lists)? {
            if let Some(bytes) = self.read_whole(&self.lists, &file)? {
                all.push(decode::<ManifestList>(&bytes, || format!("lists/{file}"))?);
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Removes a manifest list. What it names stays.
    ///
    /// # Errors
    /// As [`Store::find_list`].
    pub fn remove_list(&self, name: &str) -> Result<ManifestList> {
        let _changing = self.change_lists()?;
        let list = self.find_list(name)?;
        match rustix::fs::unlinkat(&self.lists, file_name(&list.name), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(list),
            Err(errno) => Err(Error::call("unlinkat", format!("the list {}", list.name), errno)),
        }
    }

    /// The images that some list has as members.
    pub(super) fn listed(&self) -> Result<BTreeSet<ImageId>> {
        let lists = self.lists()?;
        Ok(lists.iter().flat_map(|list| &list.members).filter_map(|it| it.image).collect())
    }

    fn list_of(&self, name: &Reference) -> Result<Option<ManifestList>> {
        match self.read_whole(&self.lists, &file_name(name))? {
            Some(bytes) => decode(&bytes, || format!("the manifest list {name}")).map(Some),
            None => Ok(None),
        }
    }

    fn write_list(&self, list: &ManifestList) -> Result<()> {
        for member in &list.members {
            sound(&member.platform)?;
        }
        let staging = Staging::new(self)?;
        self.write_whole(&staging, &self.lists, &file_name(&list.name), &encode(list)?)
    }

    /// Keeps others from changing lists, for the moment that it takes.
    fn change_lists(&self) -> Result<std::os::fd::OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.root, "lists", flags, Mode::empty())
            .and_then(|fd| {
                rustix::io::retry_on_intr(|| {
                    rustix::fs::flock(&fd, FlockOperation::LockExclusive)
                })?;
                Ok(fd)
            })
            .map_err(|e| Error::call("flock", self.path.join("lists").display(), e))
    }
}
