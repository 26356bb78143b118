//! `RUN`: a command in a container of the stage so far; what it wrote becomes a layer.

mod mounts;
mod stubs;

use sandbar_engine::{Container, ContainerOptions, Sharing, Source};
use sandbar_image::{Changes, Platform};
use sandbar_spec::{ExitCode, NetworkMode, Rootfs};

use self::mounts::Mounts;
use self::stubs::Stubs;
use crate::builder::{Builder, Place, shortened};
use crate::dockerfile::{Command, RunStep, Step};
use crate::error::{Error, Kind, Result};
use crate::layers::Layers;
use crate::request::Event;
use crate::signals::Signals;
use crate::stage::Built;
use crate::workspace::LABEL;

/// What of a command that failed is said.
const LONGEST: usize = 100;

/// The network of one `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    /// That of the build.
    Builds,
    None,
    Host,
}

impl Builder<'_> {
    /// `RUN`.
    pub(crate) fn run_step(
        &mut self,
        built: &mut Built,
        step: &Step,
        run: &RunStep,
        place: Place<'_>,
    ) -> Result<()> {
        let network = network(run.network.as_deref())?;
        let mut mounts = Mounts::of(self, built, &run.mounts)?;
        let words = words(built, run, &mut mounts);
        let arguments = built.scope.environment(&built.config);
        let mut key = self.key("RUN", &built.layers);
        for (name, list) in
            [("word", &words), ("argument", &arguments), ("variable", &built.config.settings.env)]
        {
            list.iter().for_each(|text| key.add(name, text));
        }
        key.add("user", &built.config.settings.user);
        key.add("directory", &built.config.settings.working_dir);
        key.add("platform", built.platform.to_string());
        key.add("network", format!("{network:?}"));
        key.add("hosts", format!("{:?}", self.request.pod.hosts));
        mounts.add_to(self, &mut key)?;
        let noted = history(&words, &arguments);
        self.once(built, key, (place, &step.text), &noted, |built| {
            let mut options = self.options(built, words, &arguments, network)?;
            // What they lock they keep locked until the command has ended.
            let _held = mounts.prepare(self, &mut options)?;
            self.layer(built, &options).map_err(|error| match error.kind() {
                Kind::Failed => error.within(shortened(&step.text, LONGEST)),
                _ => error,
            })
        })
    }

    fn options(
        &self,
        built: &Built,
        words: Vec<String>,
        arguments: &[String],
        network: Network,
    ) -> Result<ContainerOptions> {
        let source = match &built.layers.image {
            Some(image) => Source::Image(image.to_string()),
            None => Source::Rootfs(self.work.directory()?),
        };
        let settings = &built.config.settings;
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let mut options = ContainerOptions::new(source);
        options.entrypoint = Some(Vec::new());
        options.command = words;
        options.environment = self.globals.proxies().collect();
        options.environment.extend(settings.env.iter().chain(arguments).cloned());
        options.working_directory = some(&settings.working_dir).map(Into::into);
        options.user = some(&settings.user);
        options.own_pod = self.request.pod.clone();
        options.net.clone_from(&self.request.net);
        if network != Network::Builds {
            options.own_pod.memberships = Vec::new();
            (options.own_pod.network, options.net) = match network {
                Network::Host => (NetworkMode::Host, Some(Sharing::Host)),
                _ => (NetworkMode::None, Some(Sharing::Private)),
            };
        }
        options.labels.insert(LABEL.to_owned(), self.work.id.clone());
        Ok(options)
    }

    /// Runs, and makes what was written a layer.
    fn layer(&self, built: &Built, options: &ContainerOptions) -> Result<Layers> {
        let targets = options.volumes.iter().map(|volume| volume.target.as_path());
        let stubs = Stubs::before(&built.layers.tree(&self.store, &self.work)?, targets)?;
        let signals = Signals::take()?;
        let container = self.engine.create_container(options)?;
        let layers = self
            .watch(&container, &signals)
            .map_err(|error| explained(error, built))
            .and_then(|()| {
                let Rootfs::Overlay { upper, .. } = &container.config.rootfs else {
                    return Err(Error::new(Kind::System, "the container's root is no overlay"));
                };
                let changes = Changes::of(upper)?.no_newer_than(self.request.epoch);
                let changes = stubs.leave_out(changes, upper)?;
                built.layers.with(&changes, &self.store, &self.work)
            });
        let removed = self.engine.remove_container(&container, true);
        let layers = layers?;
        removed?;
        Ok(layers)
    }

    /// Runs it to its end, which must be a good one.
    fn watch(&self, container: &Container, signals: &Signals) -> Result<()> {
        let mut log = container.log()?;
        let (started, ending) = self.engine.start_and_watch(container, None, &log)?;
        for told in &started.told {
            self.tell(Event::Note(told))?;
        }
        loop {
            let ended = signals.wait(&[&ending, &log])?;
            while let Some(chunk) = log.next_chunk()? {
                self.tell(Event::Output(chunk.stream, &chunk.text))?;
            }
            if ended.first() == Some(&true) {
                break;
            }
        }
        match ending.wait()? {
            ExitCode::Known(0) => Ok(()),
            ExitCode::Known(code) => {
                Err(Error::new(Kind::Failed, format!("it ended with code {code}")))
            }
            ExitCode::Unknown => {
                let message = "how it ended is unknown: nobody was there to see it";
                Err(Error::new(Kind::Failed, message))
            }
        }
    }
}

fn network(text: Option<&str>) -> Result<Network> {
    match text {
        None | Some("default") => Ok(Network::Builds),
        Some("none") => Ok(Network::None),
        Some("host") => Ok(Network::Host),
        Some(other) => {
            let message = format!("RUN --network={other}: default, none and host are known");
            Err(Error::new(Kind::Invalid, message))
        }
    }
}

/// What is executed. A script of its own, which begins with `#!`, is mounted.
fn words(built: &Built, run: &RunStep, mounts: &mut Mounts) -> Vec<String> {
    let Command::Shell(line) = &run.command else { return built.config.words(&run.command) };
    let command = match &run.documents[..] {
        [] => line.clone(),
        [document] if is_document_alone(line) => {
            if document.content.starts_with("#!") {
                return vec![mounts.add_script(&document.name, &document.content)];
            }
            document.content.clone()
        }
        // The shell reads them.
        documents => documents.iter().fold(line.clone(), |text, document| {
            format!("{text}\n{}{}", document.content, document.name)
        }),
    };
    built.config.words(&Command::Shell(command))
}

/// Whether a line says nothing but that a here-document follows.
fn is_document_alone(line: &str) -> bool {
    line.starts_with("<<") && !line.contains(char::is_whitespace)
}

/// What the image's history says.
fn history(words: &[String], arguments: &[String]) -> String {
    let words = words.join(" ");
    match arguments.len() {
        0 => format!("RUN {words}"),
        count => format!("RUN |{count} {} {words}", arguments.join(" ")),
    }
}

/// Says of a program that is another machine's that it is.
fn explained(error: Error, built: &Built) -> Error {
    let host = Platform::host();
    if error.kind() != Kind::Failed || built.platform.has_machine_of(&host) {
        return error;
    }
    let platform = &built.platform;
    error.within(format_args!(
        "the image is for {platform}, whose programs run here ({host}) only where binfmt_misc has \
         a handler for them"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_a_script_or_the_shells() {
        assert!(is_document_alone("<<EOF") && is_document_alone("<<-'EOF'"));
        assert!(!is_document_alone("cat <<EOF") && !is_document_alone("<<EOF cat"));
        let words = ["/bin/sh".to_owned(), "-c".to_owned(), "make".to_owned()];
        assert_eq!(history(&words, &[]), "RUN /bin/sh -c make");
        assert_eq!(history(&words, &["A=1".to_owned()]), "RUN |1 A=1 /bin/sh -c make");
    }

    #[test]
    fn networks_are_three() {
        assert_eq!(network(Some("default")).unwrap(), Network::Builds);
        assert!(network(Some("bridge")).is_err());
    }
}
