//! Copying what was selected into a stage, as `COPY` and `ADD` ask for it.

use std::collections::BTreeMap;
use std::fs::File;

use jiff::Timestamp;
use rustix::fs::{FileType, Timespec};

use crate::archive::{self, Owners};
use crate::attributes;
use crate::canvas::{Attributes, Canvas, Content};
use crate::error::{Error, Kind, Result};
use crate::ignore::Ignore;
use crate::mode::Mode;
use crate::selection::{Node, Selection};
use crate::tree::{joined, split};

/// What a transfer is, all variables replaced.
pub(crate) struct Plan {
    /// Where to, from the image's root, without a slash at its beginning.
    pub(crate) to: Vec<u8>,
    /// Whether that is said to be a directory.
    pub(crate) into: bool,
    pub(crate) chown: Option<String>,
    pub(crate) mode: Option<Mode>,
    pub(crate) exclude: Ignore,
}

/// Copies a file, then called `file`, or all that is in a directory, to where nothing is.
pub(crate) fn copy_all(canvas: &mut Canvas, files: &Selection<'_>) -> Result<()> {
    let to = if files.is_directory() { b"".to_vec() } else { b"file".to_vec() };
    let plan = Plan { to, into: false, chown: None, mode: None, exclude: Ignore::default() };
    Copying { plan: &plan, owner: None, several: false, now: None }.copy(canvas, files)
}

/// How things are copied.
pub(crate) struct Copying<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) owner: Option<(u32, u32)>,
    /// Whether there is more to copy than one thing.
    pub(crate) several: bool,
    /// When it is, if that is said.
    pub(crate) now: Option<Timestamp>,
}

impl Copying<'_> {
    /// Copies a file, or all that is in a directory.
    pub(crate) fn copy(&self, canvas: &mut Canvas, files: &Selection<'_>) -> Result<()> {
        if !files.is_directory() {
            let to = match &files.below {
                Some(below) => joined(&self.plan.to, below),
                None => self.file_place(canvas, split(&files.base).1)?,
            };
            self.lead_to(canvas, files, split(&to).0)?;
            return files.nodes.iter().try_for_each(|node| self.node(canvas, files, node, &to));
        }
        let to = joined(&self.plan.to, files.below.as_deref().unwrap_or_default());
        self.lead_to(canvas, files, &to)?;
        canvas.directory(&to, self.owner.unwrap_or((0, 0)))?;
        // Names of one file stay names of one file.
        let mut links: BTreeMap<_, Vec<u8>> = BTreeMap::new();
        for node in files.nodes.iter().skip(1) {
            let path = joined(&to, &node.path);
            let is_file = node.kind() == FileType::RegularFile && node.stat.st_nlink > 1;
            let identity = is_file.then_some((node.stat.st_dev, node.stat.st_ino));
            match identity.and_then(|identity| links.get(&identity)) {
                Some(first) => {
                    let attributes = self.attributes(files, node);
                    canvas.put(&path, Content::Link(first), &attributes)?;
                }
                None => self.node(canvas, files, node, &path)?,
            }
            if let Some(identity) = identity {
                links.entry(identity).or_insert(path);
            }
        }
        Ok(())
    }

    /// Makes the directories that lead to `to` as they are where it comes from, if they are copied, too.
    fn lead_to(&self, canvas: &mut Canvas, files: &Selection<'_>, to: &[u8]) -> Result<()> {
        let Some(below) = &files.below else { return Ok(()) };
        canvas.directory(&self.plan.to, self.owner.unwrap_or((0, 0)))?;
        let start = files.base.len().saturating_sub(below.len());
        let ends = below.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in ends.chain([below.len()]) {
            let (Some(from), Some(path)) = (files.base.get(..start + end), below.get(..end)) else {
                continue;
            };
            let path = joined(&self.plan.to, path);
            if path.len() > to.len() || canvas.has_directory(&path) {
                continue;
            }
            if let Some(stat) = files.origin.tree.stat(from)? {
                let node = Node { path: Vec::new(), stat };
                canvas.put(&path, Content::Directory, &self.attributes(files, &node))?;
            }
        }
        Ok(())
    }

    /// What mode something has that would have `usual`.
    fn mode(&self, usual: u32, is_directory: bool) -> u32 {
        self.plan.mode.as_ref().map_or(usual, |mode| mode.of(usual, is_directory))
    }

    /// What a copy of a node has, but for extended attributes.
    fn attributes(&self, files: &Selection<'_>, node: &Node) -> Attributes {
        Attributes {
            mode: self.mode(node.stat.st_mode & 0o7777, node.kind() == FileType::Directory),
            owner: self.owner.unwrap_or_else(|| files.owner(node)),
            mtime: Timespec { tv_sec: node.stat.st_mtime, tv_nsec: 0 },
            extended: Vec::new(),
        }
    }

    /// Unpacks an archive; copies what is none.
    pub(crate) fn add(&self, canvas: &mut Canvas, files: &Selection<'_>) -> Result<()> {
        let Some(node) = files.nodes.first().filter(|node| node.kind() == FileType::RegularFile)
        else {
            return self.copy(canvas, files);
        };
        let name = String::from_utf8_lossy(&files.base).into_owned();
        let file = files.open(node)?;
        let (input, is_archive) = archive::look(&file).map_err(|error| error.within(&name))?;
        if !is_archive {
            drop(input);
            return self.copy(canvas, files);
        }
        canvas.directory(&self.plan.to, self.owner.unwrap_or((0, 0)))?;
        let owners = self.owner.map_or(Owners::Archives, Owners::Are);
        archive::unpack(input, canvas, &self.plan.to, owners, &name)
    }

    pub(crate) fn text(&self, canvas: &mut Canvas, name: &str, text: &str) -> Result<()> {
        let to = self.file_place(canvas, name.as_bytes())?;
        let now = self.now.unwrap_or_else(Timestamp::now);
        let attributes = Attributes {
            mode: self.mode(0o644, false),
            owner: self.owner.unwrap_or((0, 0)),
            mtime: Timespec { tv_sec: now.as_second(), tv_nsec: 0 },
            extended: Vec::new(),
        };
        canvas.put(&to, Content::File(&mut text.as_bytes()), &attributes)
    }

    /// Copies what was fetched: its owner's alone, as Docker has it.
    pub(crate) fn fetched(
        &self,
        canvas: &mut Canvas,
        name: &str,
        mut file: File,
        modified: Option<Timestamp>,
    ) -> Result<()> {
        let to = self.file_place(canvas, name.as_bytes())?;
        let time = modified.or(self.now).unwrap_or_else(Timestamp::now);
        let attributes = Attributes {
            mode: self.mode(0o600, false),
            owner: self.owner.unwrap_or((0, 0)),
            mtime: Timespec { tv_sec: time.as_second(), tv_nsec: 0 },
            extended: Vec::new(),
        };
        canvas.put(&to, Content::Copy(&mut file), &attributes)
    }

    /// Where a file goes: into a directory, or to just the path that was said.
    fn file_place(&self, canvas: &mut Canvas, name: &[u8]) -> Result<Vec<u8>> {
        let to = &self.plan.to;
        let owner = self.owner.unwrap_or((0, 0));
        if self.plan.into || to.is_empty() || canvas.has_directory(to) {
            canvas.directory(to, owner)?;
            return Ok(joined(to, name));
        }
        if self.several {
            let to = String::from_utf8_lossy(to);
            let message = format!("several files fit, so '/{to}' must end with '/'");
            return Err(Error::new(Kind::Invalid, message));
        }
        canvas.directory(split(to).0, owner)?;
        Ok(to.clone())
    }

    fn node(
        &self,
        canvas: &mut Canvas,
        files: &Selection<'_>,
        node: &Node,
        to: &[u8],
    ) -> Result<()> {
        let mut attributes = self.attributes(files, node);
        match node.kind() {
            FileType::Directory => canvas.put(to, Content::Directory, &attributes),
            FileType::RegularFile => {
                let mut file = files.open(node)?;
                attributes.extended = attributes::of(&file)?;
                canvas.put(to, Content::Copy(&mut file), &attributes)
            }
            FileType::Symlink => {
                let target = files.origin.tree.target(&files.at(node))?;
                canvas.put(to, Content::Symlink(&target), &attributes)
            }
            // Nobody's once its program has ended.
            FileType::Socket => Ok(()),
            kind => canvas.put(to, Content::Special(kind, node.stat.st_rdev), &attributes),
        }
    }
}
