//! Pushing a list: its members first, then the index that names them.

use super::{INDEX, ManifestList, Member};
use crate::compression::Compression;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::pull::{Cause, ManifestName, Remote};
use crate::push::{Destination, Push, PushProgress};
use crate::reference::Reference;
use crate::store::Store;

/// Gives the repository of a name.
pub type RemoteOf<'a> = dyn Fn(&Reference) -> std::result::Result<Box<dyn Remote + 'a>, Cause> + 'a;

/// How a list is pushed.
pub struct ListPush<'a> {
    /// The list's name there.
    pub to: &'a Reference,
    /// The repository there.
    pub destination: &'a dyn Destination,
    /// The repository that a member is in which is not in the store.
    pub remote: &'a RemoteOf<'a>,
    /// Whether members are pushed too; without it they must be there.
    pub members: bool,
    /// How all layers of images of the store are to be compressed.
    pub compression: Option<Compression>,
    /// Who is told.
    pub progress: &'a (dyn Fn(PushProgress) + Sync),
}

impl Store {
    /// Pushes a list as an index, and gives the index's digest.
    ///
    /// # Errors
    /// As [`Store::push`] and [`Store::pull`]; [`ErrorKind::NotFound`] if an image of it was removed;
    /// [`ErrorKind::Unsupported`] if it has no members.
    pub fn push_list(&self, list: &ManifestList, how: &ListPush<'_>) -> Result<Digest> {
        if list.members.is_empty() {
            let message = format!("the manifest list {} has no images", list.name);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let ListPush { to, destination, compression, progress, .. } = *how;
        let push = Push::new(self, to, destination, compression, progress)?;
        let mut pushed = list.clone();
        if how.members {
            for member in &mut pushed.members {
                self.push_member(&push, member, how)?;
            }
        }
        let index = pushed.index()?;
        let name = match (to.digest(), to.tag()) {
            (Some(digest), _) => ManifestName::Digest(digest),
            (None, tag) => ManifestName::Tag(tag.unwrap_or("latest").to_owned()),
        };
        push.put_manifest(&name, &index, INDEX)?;
        Ok(Digest::of(&index))
    }

    /// Pushes a member, which then is what it has become.
    fn push_member(&self, push: &Push<'_>, member: &mut Member, how: &ListPush<'_>) -> Result<()> {
        match (&member.image, &member.from) {
            (Some(id), _) => {
                let source = self.source(&id.to_string()).map_err(|e| {
                    e.within(format!("the list's image for {} is needed", member.platform))
                })?;
                let pushed = push.run(&source, Some(member.digest), None)?;
                member.digest = pushed.digest;
                member.size = pushed.size;
                member.media_type = pushed.media_type;
                Ok(())
            }
            (None, Some(from)) => {
                let remote = (how.remote)(from).map_err(|cause| {
                    Error::new(ErrorKind::Remote, format!("{from} can't be asked")).because(cause)
                })?;
                push.copy(member, from, how.to, &*remote)
            }
            (None, None) => {
                let message = format!("the list's member {} is of nowhere", member.digest);
                Err(Error::new(ErrorKind::Corrupt, message))
            }
        }
    }
}
