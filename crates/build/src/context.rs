//! The files that can be copied, and the Dockerfile.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rustix::io::Errno;

use crate::archive::{self, Owners};
use crate::canvas::Canvas;
use crate::error::{Error, Kind, Result};
use crate::ignore::Ignore;
use crate::request::{ContextSource, DockerfileSource, Request};
use crate::selection::Origin;
use crate::tree::Tree;
use crate::workspace::Workspace;

/// The files that can be copied.
#[derive(Debug)]
pub(crate) struct Context {
    tree: Tree,
    ignore: Ignore,
}

/// A Dockerfile that was found.
#[derive(Debug)]
pub(crate) struct Source {
    /// What it is called in messages.
    pub(crate) name: String,
    pub(crate) text: String,
}

/// What a Dockerfile is called, where nothing else is said.
const USUAL: [&str; 2] = ["Dockerfile", "Containerfile"];

impl Context {
    /// Finds both.
    pub(crate) fn open(request: &Request, work: &Workspace) -> Result<(Self, Source)> {
        let (tree, in_stream) = match &request.context {
            ContextSource::Directory(path) => (directory(path)?, None),
            ContextSource::Stream(file) => stream(file, work)?,
        };
        let source = match (in_stream, &request.dockerfile) {
            (Some(text), DockerfileSource::Usual) => Source { name: "Dockerfile".to_owned(), text },
            (Some(_), _) => {
                let message = "standard input is a Dockerfile, and -f names another";
                return Err(Error::new(Kind::Invalid, message));
            }
            (None, asked) => dockerfile(asked, &tree, &request.context)?,
        };
        let ignore = ignore_file(request, &tree, &source.name)?;
        let ignore = ignore.map(|text| Ignore::parse(&text)).unwrap_or_default();
        Ok((Self { tree, ignore }, source))
    }

    /// It, as something to copy from.
    pub(crate) const fn origin(&self) -> Origin<'_> {
        Origin { tree: &self.tree, ignore: Some(&self.ignore), what: "the context", is_roots: true }
    }
}

fn directory(path: &Path) -> Result<Tree> {
    Tree::at(path).map_err(|errno| {
        let message = match errno {
            Errno::NOENT => format!("the context '{}' is not there", path.display()),
            Errno::NOTDIR => format!("the context '{}' is no directory", path.display()),
            errno => return Error::call("open", path.display(), errno),
        };
        Error::new(Kind::NotFound, message)
    })
}

/// An archive's files; or no file, and the Dockerfile that the stream is.
fn stream(file: &File, work: &Workspace) -> Result<(Tree, Option<String>)> {
    let place = work.directory()?;
    let (beginning, is_archive) = archive::look(file)?;
    let tree = || Tree::at(&place).map_err(|errno| Error::call("open", place.display(), errno));
    if is_archive {
        let mut canvas = Canvas::plain(&place)?;
        archive::unpack(beginning, &mut canvas, b"", Owners::Are((0, 0)), "the context")?;
        canvas.finish()?;
        return Ok((tree()?, None));
    }
    let mut text = String::new();
    let mut beginning = beginning;
    beginning.read_to_string(&mut text).map_err(|error| {
        let message = "standard input is neither an archive nor a Dockerfile";
        Error::new(Kind::Invalid, message).because(error)
    })?;
    Ok((tree()?, Some(text)))
}

fn dockerfile(asked: &DockerfileSource, tree: &Tree, context: &ContextSource) -> Result<Source> {
    let decode = |name: &str, bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).map_err(|error| {
            Error::new(Kind::Invalid, format!("{name} is not UTF-8")).because(error)
        })?;
        Ok(Source { name: name.to_owned(), text })
    };
    match (asked, context) {
        (DockerfileSource::Text(text), _) => {
            Ok(Source { name: "Dockerfile".to_owned(), text: text.clone() })
        }
        (DockerfileSource::Usual, _) => {
            for name in USUAL {
                if let Some(bytes) = tree.read(name.as_bytes())? {
                    return decode(name, bytes);
                }
            }
            Err(Error::new(
                Kind::NotFound,
                "there is no Dockerfile in the context: name it with -f",
            ))
        }
        (DockerfileSource::Path(path), ContextSource::Directory(_)) => {
            let bytes = std::fs::read(path).map_err(|error| {
                let message = format!("the Dockerfile '{}' can't be read", path.display());
                Error::new(Kind::NotFound, message).because(error)
            })?;
            decode(&path.display().to_string(), bytes)
        }
        (DockerfileSource::Path(path), ContextSource::Stream(_)) => {
            let name = path.display().to_string();
            let bytes = tree.read(name.as_bytes())?.ok_or_else(|| {
                Error::new(Kind::NotFound, format!("there is no '{name}' in the context"))
            })?;
            decode(&name, bytes)
        }
    }
}

/// The Dockerfile's own `NAME.dockerignore`, else the context's.
fn ignore_file(request: &Request, tree: &Tree, name: &str) -> Result<Option<String>> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let own = match (&request.dockerfile, &request.context) {
        (DockerfileSource::Path(path), ContextSource::Directory(_)) => {
            let mut beside = path.clone().into_os_string();
            beside.push(".dockerignore");
            std::fs::read(beside).ok()
        }
        (DockerfileSource::Text(_), _) => None,
        _ => tree.read(format!("{name}.dockerignore").as_bytes())?,
    };
    match own {
        Some(bytes) => Ok(Some(text(bytes))),
        None => Ok(tree.read(b".dockerignore")?.map(text)),
    }
}
