//! The whole build: stages in order, and what comes of the last one.

use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;
use sandbar_engine::Engine;
use sandbar_image::{ErrorKind, ImageId, Platform, Store};

use crate::cache::{FinishedKey, Key, Record, Steps};
use crate::config::ImageConfig;
use crate::context::Context;
use crate::dockerfile::{Dockerfile, Instruction, Stage, Step, parse_trigger};
use crate::error::{Error, Kind, Result};
use crate::layers::Layers;
use crate::request::{Event, Host, Request};
use crate::scope::{Globals, Scope};
use crate::stage::Built;
use crate::workspace::Workspace;

/// What of a step is shown of a long one.
const LONGEST: usize = 200;

/// A build on its way.
pub(crate) struct Builder<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) request: &'a Request,
    pub(crate) host: &'a dyn Host,
    pub(crate) store: Store,
    pub(crate) work: Workspace,
    pub(crate) context: Context,
    pub(crate) file: Rc<Dockerfile>,
    pub(crate) globals: Globals,
    steps: Steps,
    built: BTreeMap<usize, Rc<Built>>,
}

/// Builds an image, and names it.
///
/// # Errors
/// [`Kind::Invalid`], [`Kind::NotFound`], [`Kind::Unsupported`] for what is asked; [`Kind::Failed`] if a command
/// failed; [`Kind::Interrupted`]; [`Kind::System`]. No name was given to anything then.
pub fn build(engine: &Engine, request: &Request, host: &dyn Host) -> Result<ImageId> {
    let store = engine.images()?;
    let work = Workspace::open(engine)?;
    let (context, source) = Context::open(request, &work)?;
    let steps = Steps::open(engine.roots())?;
    steps.sweep(&store)?;
    let build = || {
        let file = Dockerfile::parse(&source.text)?;
        let platform = request.platform.clone().unwrap_or_else(Platform::host);
        let mut arguments = request.arguments.clone();
        if let Some(epoch) = request.epoch {
            let epoch = epoch.as_second().to_string();
            arguments.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert(epoch);
        }
        let globals = Globals::of(&file, &arguments, &platform)?;
        let file = Rc::new(file);
        let built = BTreeMap::new();
        let mut builder =
            Builder { engine, request, host, store, work, context, file, globals, steps, built };
        builder.run()
    };
    build().map_err(|error| error.in_file(&source.name))
}

impl Builder<'_> {
    fn run(&mut self) -> Result<ImageId> {
        let file = Rc::clone(&self.file);
        let target = file.target(self.request.target.as_deref())?;
        for index in file.needed(target, &self.globals)? {
            self.stage(index)?;
        }
        let mut built = Built::clone(&*self.stage(target)?);
        if !self.request.labels.is_empty() {
            self.label(&mut built)?;
        }
        let unused: Vec<_> = self.globals.unused().map(str::to_owned).collect();
        for name in unused {
            self.tell(Event::Note(&format!(
                "--build-arg {name}: no ARG of a stage that was built"
            )))?;
        }
        self.publish(&built)
    }

    /// Makes the image, and names it.
    fn publish(&self, built: &Built) -> Result<ImageId> {
        let mut names = self.request.names.iter();
        let image = match &built.untouched {
            Some(image) => *image,
            None => {
                let configure = |layers: &[_]| Ok(built.config.encode(layers));
                self.store.extend(built.layers.image.as_ref(), None, configure, names.next())?
            }
        };
        for name in names {
            self.store.tag(&image.to_string(), name)?;
        }
        Ok(image)
    }

    /// `--label`, as if it were the last line.
    fn label(&self, built: &mut Built) -> Result<()> {
        let labels = &self.request.labels;
        built.config.settings.labels.extend(labels.clone());
        let words: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let created = self.done_in_configuration(built, "LABEL")?.1;
        built.note(&format!("LABEL {}", words.join(" ")), created, false);
        Ok(())
    }

    /// A stage, built now if it was not yet.
    pub(crate) fn stage(&mut self, index: usize) -> Result<Rc<Built>> {
        if let Some(built) = self.built.get(&index) {
            return Ok(Rc::clone(built));
        }
        let file = Rc::clone(&self.file);
        let stage = &file.stages[index];
        let built = Rc::new(self.build_stage(stage, index)?);
        self.built.insert(index, Rc::clone(&built));
        Ok(built)
    }

    fn build_stage(&mut self, stage: &Stage, index: usize) -> Result<Built> {
        let name = stage.name.clone().unwrap_or_else(|| match self.file.stages.len() {
            1 => String::new(),
            _ => format!("stage-{index}"),
        });
        let mut built = self.begin(stage, index, &name).map_err(|error| error.at(stage.line))?;
        for trigger in std::mem::take(&mut built.config.settings.on_build) {
            let step = parse_trigger(stage.line, &trigger, self.file.escape)
                .map_err(|error| error.within("ONBUILD of the base image"))?;
            built.untouched = None;
            let place = Place { name: &name, number: 1, total: stage.steps.len() + 1 };
            self.step(&mut built, &step, place).map_err(|error| error.at(stage.line))?;
        }
        for (number, step) in stage.steps.iter().enumerate() {
            let place = Place { name: &name, number: number + 2, total: stage.steps.len() + 1 };
            self.step(&mut built, step, place).map_err(|error| error.at(step.line))?;
        }
        Ok(built)
    }

    /// `FROM`.
    fn begin(&mut self, stage: &Stage, index: usize, name: &str) -> Result<Built> {
        let escape = self.file.escape;
        let base = self.globals.expand(&stage.base, stage.line, escape)?;
        if base.is_empty() {
            let message = format!("FROM {}: nothing is left of the image's name", stage.base);
            return Err(Error::new(Kind::Invalid, message));
        }
        let platform = match &stage.platform {
            Some(text) => Some(platform(&self.globals.expand(text, stage.line, escape)?)?),
            None => None,
        };
        let place = Place { name, number: 1, total: stage.steps.len() + 1 };
        self.tell_step(place, &stage.text, false)?;
        if let Some(earlier) = self.file.stage(&base, index) {
            let mut built = Built::clone(&*self.stage(earlier)?);
            built.config.begin_stage();
            built.index = index;
            return Ok(built);
        }
        let asked = platform.clone().or_else(|| self.request.platform.clone());
        let platform = asked.clone().unwrap_or_else(Platform::host);
        if base == "scratch" {
            return Ok(Built {
                layers: Layers::default(),
                config: ImageConfig::scratch(&platform),
                scope: Scope::default(),
                untouched: None,
                index,
                platform,
            });
        }
        let image = self.image(&base, asked.as_ref())?;
        let layers = Layers::of(&image, &self.store, &self.work)?;
        let config = ImageConfig::of(self.store.configuration(&image)?).ok_or_else(|| {
            Error::new(Kind::System, format!("the configuration of {base} can't be understood"))
        })?;
        let platform = config.platform();
        let (scope, untouched) = (Scope::default(), Some(image));
        Ok(Built { layers, config, scope, untouched, index, platform })
    }

    /// An image by its name, pulled if it is not there, or not for `platform` though that was asked for.
    pub(crate) fn image(&self, name: &str, platform: Option<&Platform>) -> Result<ImageId> {
        let host = Platform::host();
        if !self.request.pulls {
            match self.store.find(name) {
                Ok(found) => {
                    let is_for = ImageConfig::of(self.store.configuration(&found.id)?)
                        .map(|config| config.platform());
                    let fits = |asked: &Platform| {
                        is_for.as_ref().is_some_and(|it| it.has_machine_of(asked))
                    };
                    if platform.is_none_or(fits) {
                        return Ok(found.id);
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.host.pull(name, platform.unwrap_or(&host)).map_err(|cause| {
            Error::new(Kind::NotFound, format!("the image {name} can't be had")).because(cause)
        })
    }

    /// What is called `from` by a stage: an earlier one, or an image.
    pub(crate) fn source(&mut self, from: &str, at: &Built) -> Result<Layers> {
        match self.file.stage(from, at.index) {
            Some(stage) => Ok(self.stage(stage)?.layers.clone()),
            None if from == "scratch" => Ok(Layers::default()),
            None => {
                let image = self.image(from, Some(&at.platform))?;
                Layers::of(&image, &self.store, &self.work)
            }
        }
    }

    /// Does what may make a layer, unless the same was done before, and notes it in the history as `noted`.
    pub(crate) fn once(
        &self,
        built: &mut Built,
        key: Key,
        (place, text): (Place<'_>, &str),
        noted: &str,
        make: impl FnOnce(&Built) -> Result<Layers>,
    ) -> Result<()> {
        let key = key.finish();
        let done = self.done_before(&key)?;
        self.tell_step(place, text, done.is_some())?;
        let before = built.layers.digests.len();
        let created = match done {
            Some(record) => {
                built.layers = self.layers(record.image.as_ref())?;
                record.created
            }
            None => {
                built.layers = make(built)?;
                self.keep(&key, &built.layers)?
            }
        };
        built.note(noted, created, built.layers.digests.len() > before);
        Ok(())
    }

    /// What a step did before, unless it shall be done again.
    fn done_before(&self, key: &FinishedKey) -> Result<Option<Record>> {
        match self.request.uses_cache {
            true => self.steps.find(&self.store, &self.work, key),
            false => Ok(None),
        }
    }

    /// Keeps what a step has made, and says when that was.
    fn keep(&self, key: &FinishedKey, layers: &Layers) -> Result<Timestamp> {
        let created = self.request.epoch.unwrap_or_else(Timestamp::now);
        self.steps.keep(&self.work, key, &Record { image: layers.image, created })?;
        Ok(created)
    }

    /// When what changes the configuration alone was first done: so that the same file gives the same image.
    pub(crate) fn done_in_configuration(
        &self,
        built: &Built,
        text: &str,
    ) -> Result<(bool, Timestamp)> {
        let mut key = self.key(text, &built.layers);
        key.add("configuration", built.config.encode(&built.layers.digests));
        let key = key.finish();
        match self.done_before(&key)? {
            Some(record) => Ok((true, record.created)),
            None => Ok((false, self.keep(&key, &built.layers)?)),
        }
    }

    /// The key of an instruction above some layers.
    pub(crate) fn key(&self, instruction: &str, above: &Layers) -> Key {
        let mut key = Key::new(instruction);
        for layer in &above.digests {
            key.add("layer", layer.to_string());
        }
        if let Some(epoch) = self.request.epoch {
            key.add("epoch", epoch.to_string());
        }
        key
    }

    pub(crate) fn tell(&self, event: Event<'_>) -> Result<()> {
        self.host.tell(event).map_err(|cause| {
            Error::new(Kind::System, "how the build goes on can't be told").because(cause)
        })
    }

    /// Says that a step begins, or was done before.
    pub(crate) fn tell_step(&self, place: Place<'_>, text: &str, cached: bool) -> Result<()> {
        let Place { name: stage, number, total } = place;
        let text = &shortened(text, LONGEST);
        self.tell(Event::Step { stage, number, total, text, cached })
    }

    fn step(&mut self, built: &mut Built, step: &Step, place: Place<'_>) -> Result<()> {
        match &step.instruction {
            Instruction::Run(run) => self.run_step(built, step, run, place),
            Instruction::Transfer(transfer) => self.transfer(built, step, transfer, place),
            Instruction::Workdir(path) => self.workdir(built, path, &step.text, place),
            other => self.configure(built, other, &step.text, place),
        }
    }
}

/// Where in a build a step is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) name: &'a str,
    pub(crate) number: usize,
    pub(crate) total: usize,
}

/// A text, or its beginning if it is longer than so many characters.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A machine that images can be built for; `arm64` alone is Linux's.
fn platform(text: &str) -> Result<Platform> {
    let platform: Platform = match text.contains('/') {
        true => text.parse()?,
        false => format!("linux/{text}").parse()?,
    };
    match platform.os() {
        "linux" => Ok(platform),
        os => Err(Error::new(Kind::Unsupported, format!("platform {text}: {os} is not linux"))),
    }
}
