//! Instructions that change what an image says, and no file of it.

use sandbar_spec::SignalNumber;
use serde_json::json;

use crate::builder::{Builder, Place};
use crate::dockerfile::{Instruction, expand, split};
use crate::error::{Error, Kind, Result};
use crate::stage::Built;

impl Builder<'_> {
    /// Does such an instruction.
    pub(crate) fn configure(
        &mut self,
        built: &mut Built,
        instruction: &Instruction,
        text: &str,
        place: Place<'_>,
    ) -> Result<()> {
        if let Instruction::Arg(arguments) = instruction {
            self.tell_step(place, text, false)?;
            return self.declare(built, arguments);
        }
        self.change(built, instruction)?;
        let (cached, created) = self.done_in_configuration(built, text)?;
        self.tell_step(place, text, cached)?;
        built.note(text, created, false);
        Ok(())
    }

    fn change(&self, built: &mut Built, instruction: &Instruction) -> Result<()> {
        // Variables are those from before the instruction.
        let before = built.clone();
        let word = |word: &str| self.expand(&before, word);
        let settings = &mut built.config.settings;
        match instruction {
            Instruction::Env(pairs) => {
                for (name, value) in pairs {
                    built.config.set_env(&word(name)?, &word(value)?);
                }
            }
            Instruction::Label(pairs) => {
                for (name, value) in pairs {
                    settings.labels.insert(word(name)?, word(value)?);
                }
            }
            Instruction::Expose(ports) => {
                let ports = ports_of(&word(ports)?)?.into_iter();
                settings.exposed_ports.extend(ports.map(|port| (port, json!({}))));
            }
            Instruction::User(user) => settings.user = word(user)?,
            Instruction::Volume(paths) => {
                for path in paths {
                    let path = word(path)?;
                    if path.is_empty() {
                        return Err(Error::new(Kind::Invalid, "VOLUME: a path is needed"));
                    }
                    settings.volumes.insert(path, json!({}));
                }
            }
            Instruction::StopSignal(signal) => {
                let signal = word(signal)?;
                let known = signal.parse::<SignalNumber>();
                known.map_err(|why| Error::new(Kind::Invalid, format!("STOPSIGNAL: {why}")))?;
                settings.stop_signal = signal;
            }
            Instruction::Cmd(command) => built.config.set_cmd(command),
            Instruction::Entrypoint(command) => built.config.set_entrypoint(command),
            Instruction::Shell(words) => settings.shell.clone_from(words),
            Instruction::Healthcheck(check, command) => {
                built.config.set_healthcheck(check.clone(), command.as_ref());
            }
            Instruction::Onbuild(trigger) => settings.on_build.push(trigger.clone()),
            Instruction::Maintainer(author) => built.config.author = Some(author.clone()),
            // What declares variables, and what changes files, is done elsewhere.
            Instruction::Arg(_)
            | Instruction::Run(_)
            | Instruction::Transfer(_)
            | Instruction::Workdir(_) => {}
        }
        Ok(())
    }

    fn declare(&mut self, built: &mut Built, arguments: &[(String, Option<String>)]) -> Result<()> {
        for (name, default) in arguments {
            let default = match default {
                Some(default) => Some(self.expand(built, default)?),
                None => None,
            };
            built.scope.declare(&mut self.globals, name, default);
        }
        Ok(())
    }

    /// A word with its variables replaced.
    pub(crate) fn expand(&self, built: &Built, word: &str) -> Result<String> {
        let lookup = |name: &str| built.scope.lookup(&self.globals, &built.config, name);
        expand(word, self.file.escape, &lookup).map_err(|why| {
            let shown: String = word.chars().take(200).collect();
            Error::new(Kind::Invalid, format!("'{shown}': {why}"))
        })
    }
}

/// The most ports of one range: each is a line of the configuration.
const MOST_PORTS: u16 = 1000;

/// `80`, `53/udp`, `8000-8010`, as the configuration has them.
fn ports_of(text: &str) -> Result<Vec<String>> {
    let wrong = |word: &str| {
        let message = format!("EXPOSE {word}: a port is needed, as in 80, 53/udp or 8000-8010");
        Error::new(Kind::Invalid, message)
    };
    let mut ports = Vec::new();
    for word in split(text, '\\') {
        let (range, protocol) = word.split_once('/').unwrap_or((&word, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(wrong(&word));
        }
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        match (port(first), port(last)) {
            (Some(first), Some(last)) if last >= first && last - first < MOST_PORTS => {
                ports.extend((first..=last).map(|port| format!("{port}/{protocol}")));
            }
            _ => return Err(wrong(&word)),
        }
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_written_out() {
        assert_eq!(
            ports_of("80 53/UDP 7-9").unwrap(),
            ["80/tcp", "53/udp", "7/tcp", "8/tcp", "9/tcp"]
        );
        for text in ["0", "x", "9-7", "80/icmp", "1-65535"] {
            assert!(ports_of(text).is_err(), "{text}");
        }
    }
}
