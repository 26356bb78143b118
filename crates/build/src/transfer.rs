//! `COPY`, `ADD` and `WORKDIR`: files that are written into a stage.

use sandbar_image::Changes;

use crate::builder::{Builder, Place};
use crate::cache::Key;
use crate::canvas::Canvas;
use crate::copying::{Copying, Plan};
use crate::dockerfile::{Document, Origin as Written, Step, Transfer, expand_document};
use crate::error::{Error, Kind, Result};
use crate::ignore::Ignore;
use crate::layers::{Layers, upper};
use crate::mode::Mode;
use crate::owner;
use crate::remote::{self, Remote};
use crate::request::Event;
use crate::selection::{self, Origin, Selection};
use crate::stage::Built;
use crate::tree::split;

/// Something that is copied.
enum Source<'a> {
    Files(Selection<'a>),
    Remote(Remote),
    Text { name: String, text: String },
}

impl Builder<'_> {
    /// `COPY` and `ADD`.
    pub(crate) fn transfer(
        &mut self,
        built: &mut Built,
        step: &Step,
        transfer: &Transfer,
        place: Place<'_>,
    ) -> Result<()> {
        let plan = self.plan(built, transfer)?;
        let from = match &transfer.from {
            Some(from) => {
                let from = self.expand(built, from)?;
                let tree = self.source(&from, built)?.tree(&self.store, &self.work)?;
                Some((tree, format!("'{from}'")))
            }
            None => None,
        };
        let origin = match &from {
            Some((tree, what)) => Origin { tree, ignore: None, what, is_roots: false },
            None => self.context.origin(),
        };
        let mut sources = self.sources(built, transfer, origin, &plan)?;
        let mut key = self.key(if transfer.unpacks { "ADD" } else { "COPY" }, &built.layers);
        plan.add_to(&mut key, transfer);
        for source in &mut sources {
            source.add_to(self, &mut key)?;
        }
        let is_empty = sources.is_empty();
        self.once(built, key, (place, &step.text), &step.text, |built| {
            self.write(built, transfer, &plan, sources)
        })?;
        if is_empty {
            let text = format!("line {}: nothing in {} fits", step.line, origin.what);
            self.tell(Event::Note(&text))?;
        }
        Ok(())
    }

    /// The layers of an image that an earlier build made.
    pub(crate) fn layers(&self, image: Option<&sandbar_image::ImageId>) -> Result<Layers> {
        match image {
            Some(image) => Layers::of(image, &self.store, &self.work),
            None => Ok(Layers::default()),
        }
    }

    fn plan(&self, built: &Built, transfer: &Transfer) -> Result<Plan> {
        let word = |word: &String| self.expand(built, word);
        let destination = word(&transfer.destination)?;
        let into = destination.is_empty()
            || destination.ends_with('/')
            || destination == "."
            || destination.ends_with("/.");
        let chmod = transfer.chmod.as_ref().map(word).transpose()?;
        let mode = |text: String| Mode::parse(&text).map_err(|why| Error::new(Kind::Invalid, why));
        let exclude: Vec<String> = transfer.exclude.iter().map(word).collect::<Result<_>>()?;
        Ok(Plan {
            to: built.config.absolute(&destination).as_bytes()[1..].to_vec(),
            into,
            chown: transfer.chown.as_ref().map(word).transpose()?,
            mode: chmod.map(mode).transpose()?,
            exclude: Ignore::of(exclude.iter().map(String::as_str)),
        })
    }

    fn sources<'t>(
        &self,
        built: &Built,
        transfer: &Transfer,
        origin: Origin<'t>,
        plan: &Plan,
    ) -> Result<Vec<Source<'t>>> {
        let mut sources = Vec::new();
        for written in &transfer.sources {
            match written {
                Written::Document(document) => {
                    let text = self.document(built, document)?;
                    sources.push(Source::Text { name: document.name.clone(), text });
                }
                Written::Path(path) => {
                    let path = self.expand(built, path)?;
                    if remote::is_address(&path) {
                        let remote = Remote::new(&path, transfer, |word| self.expand(built, word))?;
                        sources.push(Source::Remote(remote));
                        continue;
                    }
                    if transfer.checksum.is_some() {
                        let message = format!("ADD --checksum: '{path}' is no address");
                        return Err(Error::new(Kind::Invalid, message));
                    }
                    for found in origin.find(&path)? {
                        let mut files = origin.select(found, &plan.exclude)?;
                        files.below = transfer.parents.then(|| below(&files.base, &path));
                        sources.push(Source::Files(files));
                    }
                }
            }
        }
        Ok(sources)
    }

    fn document(&self, built: &Built, document: &Document) -> Result<String> {
        if !document.expands {
            return Ok(document.content.clone());
        }
        let lookup = |name: &str| built.scope.lookup(&self.globals, &built.config, name);
        expand_document(&document.content, &lookup)
            .map_err(|why| Error::new(Kind::Invalid, format!("<<{}: {why}", document.name)))
    }

    fn write(
        &self,
        built: &Built,
        transfer: &Transfer,
        plan: &Plan,
        sources: Vec<Source<'_>>,
    ) -> Result<Layers> {
        let mut canvas = match transfer.link {
            true => Canvas::plain(&upper(&self.work)?)?,
            false => built.layers.canvas(&self.store, &self.work)?,
        };
        let owner = match &plan.chown {
            Some(text) if transfer.link => {
                Some(owner::resolve(text, &built.layers.tree(&self.store, &self.work)?)?)
            }
            Some(text) => Some(owner::resolve(text, &canvas.tree()?)?),
            None => None,
        };
        let several = sources.len() > 1;
        let copying = Copying { plan, owner, several, now: self.request.epoch };
        for source in sources {
            match source {
                Source::Files(files) if transfer.unpacks && !files.is_directory() => {
                    copying.add(&mut canvas, &files)?;
                }
                Source::Files(files) => copying.copy(&mut canvas, &files)?,
                Source::Text { name, text } => copying.text(&mut canvas, &name, &text)?,
                Source::Remote(mut remote) => {
                    let (file, modified) = remote.file(self)?;
                    copying.fetched(&mut canvas, &remote.name, file, modified)?;
                }
            }
        }
        let upper = canvas.finish()?;
        let changes = Changes::of(&upper)?.no_newer_than(self.request.epoch);
        built.layers.with(&changes, &self.store, &self.work)
    }

    /// `WORKDIR`: made if it is missing, for the user that is set.
    pub(crate) fn workdir(
        &mut self,
        built: &mut Built,
        path: &str,
        text: &str,
        place: Place<'_>,
    ) -> Result<()> {
        let path = self.expand(built, path)?;
        let path = built.config.absolute(&path);
        built.config.settings.working_dir.clone_from(&path);
        let mut key = self.key("WORKDIR", &built.layers);
        key.add("path", &path);
        key.add("user", &built.config.settings.user);
        self.once(built, key, (place, text), text, |built| {
            let path = &path.as_bytes()[1..];
            let mut canvas = built.layers.canvas(&self.store, &self.work)?;
            if canvas.has_directory(path) {
                return Ok(built.layers.clone());
            }
            let user = &built.config.settings.user;
            let owner = match user.as_str() {
                "" => (0, 0),
                user => owner::resolve(user, &canvas.tree()?)?,
            };
            canvas.directory(path, owner)?;
            let upper = canvas.finish()?;
            let changes = Changes::of(&upper)?.no_newer_than(self.request.epoch);
            built.layers.with(&changes, &self.store, &self.work)
        })
    }
}

/// What of a path that was found is a path in the image, too (`--parents`): all, or what comes after `/./`.
fn below(found: &[u8], written: &str) -> Vec<u8> {
    let pivot = written.trim_start_matches("./").split_once("/./");
    let skipped = pivot.map_or(0, |(before, _)| selection::clean(before).len());
    let names: Vec<&[u8]> = found.split(|byte| *byte == b'/').skip(skipped).collect();
    names.join(&b'/')
}

impl Plan {
    fn add_to(&self, key: &mut Key, transfer: &Transfer) {
        key.add("to", &self.to);
        key.add("into", [u8::from(self.into), u8::from(transfer.link)]);
        key.add("chown", self.chown.as_deref().unwrap_or_default());
        key.add("chmod", format!("{:?}", self.mode));
    }
}

impl Source<'_> {
    fn add_to(&mut self, builder: &Builder<'_>, key: &mut Key) -> Result<()> {
        match self {
            Self::Remote(remote) => remote.add_to(builder, key),
            Self::Files(files) => {
                // What a file is called counts, as it may be called so in the image; a directory is not.
                let name = if files.is_directory() { b"" } else { split(&files.base).1 };
                key.add("name", name);
                if let Some(below) = &files.below {
                    key.add("below", below);
                }
                key.add_digest("files", |hash| files.digest(hash))
            }
            Self::Text { name, text } => {
                key.add("name", &*name);
                key.add("text", &*text);
                Ok(())
            }
        }
    }
}
