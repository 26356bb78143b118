//! What is done about the image of a new container that is not here, or might be newer elsewhere.

use clap::ValueEnum;
use sandbar_engine::{Engine, Source};
use sandbar_image::{ErrorKind, Image, Platform, Store};

use super::RegistryAccess;
use crate::failure::{Doing, Failure, Result};
use crate::progress::Screen;
use crate::{output, remote};

/// Whether and how the image is pulled.
#[derive(Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Pulling {
    // The values are said here: clap's list of them would be too wide.
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true,
        help = "missing, always, newer or never [default: missing]"
    )]
    pull: When,
    /// That of another platform, as in linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Show nothing of a pull
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryAccess,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum When {
    /// When it is not here.
    #[default]
    Missing,
    /// Each time: all that is here already is used.
    Always,
    /// Each time, but what is here does if the registry does not give it.
    Newer,
    /// Not at all.
    Never,
}

impl Pulling {
    /// Refuses what could only be ignored.
    pub(crate) fn check(&self, source: &Source) -> Result<()> {
        match source {
            Source::Rootfs(_) if *self != Self::default() => {
                let message = "a directory is not pulled, and has no platform";
                Err(Failure::new(message).hint("leave --rootfs out, or the options of pulls"))
            }
            _ => Ok(()),
        }
    }

    /// Brings the image of `source` before it is looked for here, where that was asked for; `source` then names what was
    /// brought.
    pub(crate) fn before(&self, engine: &Engine, source: &mut Source, action: &str) -> Result<()> {
        let Source::Image(name) = source else { return Ok(()) };
        if matches!(self.pull, When::Missing | When::Never) && self.platform.is_none() {
            return Ok(());
        }
        let store = engine.images().doing(action)?;
        let here = match store.find(name) {
            Ok(image) => Some(self.look(&image, name, action)?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::of(action, error)),
        };
        let pulled = match (self.pull, here) {
            (When::Missing | When::Never, Some(Here::Fits)) | (_, Some(Here::ById)) => {
                return Ok(());
            }
            (When::Never, Some(Here::IsFor(platform))) => {
                return Err(Failure::new(format!(
                    "cannot {action}: the image that is here is for {platform}"
                ))
                .hint("leave --pull never out"));
            }
            // Said when it is not found.
            (When::Never, None) => return Ok(()),
            (_, None) if remote::is_id(name) => return Ok(()),
            (When::Newer, Some(Here::Fits)) => match self.pull(&store, name) {
                Err(failure) => {
                    output::note(&format!("what is here is used: {}", failure.message()));
                    return Ok(());
                }
                pulled => pulled?,
            },
            _ => self.pull(&store, name).map_err(|failure| failure.within(action))?,
        };
        *name = pulled;
        Ok(())
    }

    /// Brings the image called `name`, which is not here, if it may be brought; gives its full name.
    pub(crate) fn missing(&self, engine: &Engine, name: &str, action: &str) -> Result<String> {
        let message = format!("cannot {action}: there is no image '{name}' here");
        let hint = "'sandbar pull', 'load' and 'import' bring images in; see 'sandbar images'";
        if self.pull == When::Never || remote::is_id(name) {
            return Err(Failure::new(message).hint(hint));
        }
        let store = engine.images().doing(action)?;
        self.pull(&store, name).map_err(|failure| {
            let told = failure.message();
            let message = format!("{message}, and it can't be brought: {told}");
            failure.saying(message).or_hint(hint)
        })
    }

    fn pull(&self, store: &Store, name: &str) -> Result<String> {
        let client = self.registry.client(&format!("pull {name}"))?;
        let screen = Screen::on_terminal(self.quiet);
        let tell = |progress| screen.tell(progress);
        let pulled = remote::pull(&client, store, name, self.platform.as_ref(), &tell)?;
        let full = pulled.references.first();
        Ok(full.map_or_else(|| pulled.id.to_string(), ToString::to_string))
    }

    /// What an image that is here means to who asks for it.
    fn look(&self, image: &Image, name: &str, action: &str) -> Result<Here> {
        let is_for = Platform::of_config(&image.config);
        let fits = self.platform.as_ref().is_none_or(|wanted| wanted.has_machine_of(&is_for));
        match (image.reference.is_some(), fits) {
            (true, true) => Ok(Here::Fits),
            (true, false) => Ok(Here::IsFor(is_for)),
            (false, true) if matches!(self.pull, When::Missing | When::Never) => Ok(Here::ById),
            (false, true) => {
                let message = format!("cannot {action}: {name} is an id, and can't be pulled");
                Err(Failure::new(message).hint("give its name, or leave --pull out"))
            }
            (false, false) => Err(Failure::new(format!(
                "cannot {action}: {name} is the id of an image for {is_for}"
            ))
            .hint("give its name, or leave --platform out")),
        }
    }
}

/// An image that is here.
enum Here {
    /// And is what was asked for.
    Fits,
    /// And was asked for by its id.
    ById,
    /// But for another platform.
    IsFor(Platform),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        pulling: Pulling,
    }

    #[test]
    fn a_directory_is_not_pulled() {
        let check = |line: &str| {
            let pulling = Line::try_parse_from(line.split(' ')).unwrap().pulling;
            pulling.check(&Source::Rootfs("/".into()))
        };
        check("run").unwrap();
        for option in ["--pull always", "--platform linux/arm64", "--tls-verify", "-q"] {
            check(&format!("run {option}")).unwrap_err();
        }
    }
}
