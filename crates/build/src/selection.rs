//! What is copied of a tree: a file, or a directory with all in it that is not left out.

use std::io::Read;

use rustix::fs::{FileType, Stat};
use sha2::{Digest as _, Sha256};

use crate::attributes;
use crate::error::{Error, Kind, Result};
use crate::ignore::Ignore;
use crate::pattern::{is_pattern, matches};
use crate::tree::{Tree, joined, shown};

/// Where something is copied from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) tree: &'a Tree,
    /// What of it is not there, for a context.
    pub(crate) ignore: Option<&'a Ignore>,
    /// What it is, in words.
    pub(crate) what: &'a str,
    /// Whether all is root's, whoever's it is there.
    pub(crate) is_roots: bool,
}

/// A file or a directory, and what is in it, in order.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    pub(crate) origin: Origin<'a>,
    /// Where it is in the tree.
    pub(crate) base: Vec<u8>,
    pub(crate) nodes: Vec<Node>,
    /// Where below its destination it goes, with the directories that lead there (`--parents`).
    pub(crate) below: Option<Vec<u8>>,
}

/// Something in a selection.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where it is below the selection's base, which is what is empty here.
    pub(crate) path: Vec<u8>,
    pub(crate) stat: Stat,
}

impl Node {
    pub(crate) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }
}

impl<'a> Origin<'a> {
    /// The paths that a source stands for: itself, which must be there, or all that fit if it is a pattern, be it none
    /// (as `yarn.lock*` for a file that some projects have).
    pub(crate) fn find(self, source: &str) -> Result<Vec<Vec<u8>>> {
        let mut found = vec![Vec::new()];
        let mut is_literal = true;
        for component in clean(source) {
            let mut next = Vec::new();
            is_literal &= !is_pattern(component);
            for directory in found {
                if !is_pattern(component) {
                    next.push(joined(&directory, component.as_bytes()));
                    continue;
                }
                let is_directory =
                    |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
                if !self.tree.stat(&directory)?.as_ref().is_some_and(is_directory) {
                    continue;
                }
                if component == "**" {
                    self.directories(directory, &mut next)?;
                    continue;
                }
                let names = self.tree.names(&directory)?;
                let fits = |name: &Vec<u8>| matches(component, &String::from_utf8_lossy(name));
                next.extend(names.into_iter().filter(fits).map(|name| joined(&directory, &name)));
            }
            found = next;
        }
        let mut there = Vec::new();
        for path in found {
            if let Some(stat) = self.tree.stat(&path)?
                && !self.is_left_out(&path, &stat)
            {
                there.push(path);
            }
        }
        if there.is_empty() && is_literal {
            let what = self.what;
            let message = match self.ignore {
                Some(_) => format!("'{source}' is not in {what}, or .dockerignore leaves it out"),
                None => format!("'{source}' is not in {what}"),
            };
            return Err(Error::new(Kind::NotFound, message));
        }
        Ok(there)
    }

    /// A directory and all below it.
    fn directories(self, directory: Vec<u8>, all: &mut Vec<Vec<u8>>) -> Result<()> {
        for name in self.tree.names(&directory)? {
            let path = joined(&directory, &name);
            let stat = self.tree.stat_itself(&path)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                self.directories(path, all)?;
            }
        }
        all.push(directory);
        Ok(())
    }

    /// Whether a file is left out, or a directory with all that is in it.
    fn is_left_out(self, path: &[u8], stat: &Stat) -> bool {
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        self.ignore.is_some_and(|ignore| {
            let may_have_more = is_directory && ignore.has_exceptions();
            let is_asked = !path.is_empty() && !may_have_more;
            is_asked && ignore.excludes(&String::from_utf8_lossy(path))
        })
    }

    /// What is at `base` and below it, less what is left out.
    pub(crate) fn select(self, base: Vec<u8>, exclude: &Ignore) -> Result<Selection<'a>> {
        let missing = || {
            let message = format!("{} is not in {}", shown(&base), self.what);
            Error::new(Kind::NotFound, message)
        };
        let stat = self.tree.stat(&base)?.ok_or_else(missing)?;
        let top = Node { path: Vec::new(), stat };
        let is_directory = top.kind() == FileType::Directory;
        let mut selection = Selection { origin: self, base, nodes: vec![top], below: None };
        if is_directory {
            selection.walk(&[], exclude)?;
        }
        Ok(selection)
    }
}

impl Selection<'_> {
    fn walk(&mut self, directory: &[u8], exclude: &Ignore) -> Result<()> {
        let tree = self.origin.tree;
        for name in tree.names(&joined(&self.base, directory))? {
            let path = joined(directory, &name);
            let at = joined(&self.base, &path);
            let (below, whole) = (String::from_utf8_lossy(&path), String::from_utf8_lossy(&at));
            let ignored = self.origin.ignore.filter(|ignore| ignore.excludes(&whole));
            let left_out = ignored.is_some() || exclude.excludes(&below);
            let may_have_more = match ignored {
                Some(ignore) => ignore.has_exceptions(),
                None => exclude.has_exceptions(),
            };
            let stat = tree.stat_itself(&at)?;
            let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if left_out && !(is_directory && may_have_more) {
                continue;
            }
            let before = self.nodes.len();
            self.nodes.push(Node { path: path.clone(), stat });
            if is_directory {
                self.walk(&path, exclude)?;
            }
            if left_out && self.nodes.len() == before + 1 {
                self.nodes.pop();
            }
        }
        Ok(())
    }

    /// Where a node is in the tree.
    pub(crate) fn at(&self, node: &Node) -> Vec<u8> {
        joined(&self.base, &node.path)
    }

    /// Whose a node is to be.
    pub(crate) fn owner(&self, node: &Node) -> (u32, u32) {
        match self.origin.is_roots {
            true => (0, 0),
            false => (node.stat.st_uid, node.stat.st_gid),
        }
    }

    /// Whether it is a directory.
    pub(crate) fn is_directory(&self) -> bool {
        self.nodes.first().is_some_and(|top| top.kind() == FileType::Directory)
    }

    /// Opens a node's file. What links led to the base may be links; nothing below it is one.
    pub(crate) fn open(&self, node: &Node) -> Result<std::fs::File> {
        self.origin.tree.file(&self.at(node))
    }

    /// Adds to a digest all that makes a copy what it is, which times do not.
    pub(crate) fn digest(&self, hash: &mut Sha256) -> Result<()> {
        for node in &self.nodes {
            let (uid, gid) = self.owner(node);
            let head = [node.path.len() as u64, node.stat.st_mode.into(), uid.into(), gid.into()];
            head.iter().for_each(|number| hash.update(number.to_le_bytes()));
            hash.update(&node.path);
            match node.kind() {
                FileType::RegularFile => self.digest_file(node, hash)?,
                FileType::Symlink => {
                    let target = self.origin.tree.target(&self.at(node))?;
                    hash.update((target.len() as u64).to_le_bytes());
                    hash.update(target);
                }
                FileType::CharacterDevice | FileType::BlockDevice => {
                    hash.update(node.stat.st_rdev.to_le_bytes());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn digest_file(&self, node: &Node, hash: &mut Sha256) -> Result<()> {
        let failed = |error: std::io::Error| {
            let message = format!("{} can't be read", shown(&self.at(node)));
            Error::new(Kind::System, message).because(error)
        };
        let mut file = self.open(node)?;
        for (name, value) in attributes::of(&file)? {
            hash.update(format!("{name}={}:", value.len()));
            hash.update(value);
        }
        // A content of its own, so that none passes for another's end and beginning.
        let (mut content, mut buffer) = (Sha256::new(), vec![0; 128 << 10]);
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => break,
                count => content.update(&buffer[..count]),
            }
        }
        hash.update(content.finalize());
        Ok(())
    }
}

/// The names of a path as seen from the tree's root: nothing leads above it.
pub(crate) fn clean(path: &str) -> Vec<&str> {
    let mut clean = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(clean.pop()),
            name => clean.push(name),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> (tempfile::TempDir, Tree) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file).unwrap();
        }
        let tree = Tree::at(directory.path()).unwrap();
        (directory, tree)
    }

    fn names(paths: impl IntoIterator<Item = Vec<u8>>) -> Vec<String> {
        paths.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn what_is_left_out_takes_its_directory_along_unless_something_stays() {
        let (_directory, tree) = tree(&["a/b/no", "a/b/yes", "a/c/no", "d"]);
        let ignore = Ignore::parse("a\n!a/b/yes\n");
        let origin =
            Origin { tree: &tree, ignore: Some(&ignore), what: "the context", is_roots: true };
        let all = origin.select(Vec::new(), &Ignore::default()).unwrap();
        let paths = names(all.nodes.into_iter().map(|node| node.path));
        assert_eq!(paths, ["", "a", "a/b", "a/b/yes", "d"]);
        assert_eq!(names(origin.find("a/b/*").unwrap()), ["a/b/yes"]);
        let error = origin.find("a/c/no").unwrap_err().to_string();
        assert!(error.contains(".dockerignore"), "{error}");
    }

    #[test]
    fn patterns_are_of_the_tree_and_never_of_what_is_above() {
        let (_directory, tree) = tree(&["x/1.c", "x/2.c", "x/y/3.c", "z.h"]);
        let origin = Origin { tree: &tree, ignore: None, what: "it", is_roots: false };
        for (source, found) in [
            ("x/*.c", vec!["x/1.c", "x/2.c"]),
            ("../../z.h", vec!["z.h"]),
            ("/", vec![""]),
            ("[xz]*", vec!["x", "z.h"]),
            ("**/*.c", vec!["x/y/3.c", "x/1.c", "x/2.c"]),
            ("*.rs", vec![]),
        ] {
            assert_eq!(names(origin.find(source).unwrap()), found, "{source}");
        }
        assert!(origin.find("x/9").is_err());
    }

    #[test]
    fn the_same_files_have_the_same_digest_whenever_they_were_made() {
        let digest = |files: &[&str]| {
            let (directory, tree) = tree(files);
            let later = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
            let file = std::fs::File::open(directory.path().join("a/1")).unwrap();
            file.set_modified(later).unwrap();
            let origin = Origin { tree: &tree, ignore: None, what: "it", is_roots: true };
            let mut hash = Sha256::new();
            let all = origin.select(Vec::new(), &Ignore::default()).unwrap();
            all.digest(&mut hash).unwrap();
            hash.finalize()
        };
        assert_eq!(digest(&["a/1", "b"]), digest(&["b", "a/1"]));
        assert_ne!(digest(&["a/1", "b"]), digest(&["a/1", "c"]));
    }
}
