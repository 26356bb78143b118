//! The whole file: arguments before the first stage, and the stages.

use std::collections::BTreeSet;

use super::instruction::{Arguments, Instruction, parse_line};
use super::lines::{Line, lines};
use super::words::{self, first};
use crate::error::{Error, Kind, Result};
use crate::scope::Globals;

/// A Dockerfile, understood.
#[derive(Debug)]
pub(crate) struct Dockerfile {
    /// `ARG`s before the first `FROM`, which `FROM`s can use.
    pub(crate) globals: Vec<(usize, Arguments)>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) escape: char,
}

/// What begins with a `FROM`.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Where its `FROM` is.
    pub(crate) line: usize,
    pub(crate) text: String,
    /// An image, a stage or `scratch`.
    pub(crate) base: String,
    pub(crate) name: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) steps: Vec<Step>,
}

/// An instruction of a stage.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) instruction: Instruction,
}

impl Dockerfile {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let lines = lines(text)?;
        let mut file = Self { globals: Vec::new(), stages: Vec::new(), escape: lines.escape };
        for line in &lines.lines {
            if first(&line.text).0.eq_ignore_ascii_case("FROM") {
                let stage = stage(line)?;
                if let Some(name) = &stage.name
                    && file.stages.iter().any(|other| other.name.as_ref() == Some(name))
                {
                    let message = format!("FROM: a stage '{name}' is there already");
                    return Err(Error::syntax(line.number, message));
                }
                file.stages.push(stage);
                continue;
            }
            let instruction = parse_line(line, lines.escape)?;
            match (file.stages.last_mut(), instruction) {
                (Some(stage), instruction) => {
                    let text = line.text.clone();
                    stage.steps.push(Step { line: line.number, text, instruction });
                }
                (None, Instruction::Arg(arguments)) => file.globals.push((line.number, arguments)),
                (None, _) => {
                    let message = "only ARG may come before the first FROM";
                    return Err(Error::syntax(line.number, message));
                }
            }
        }
        match file.stages.is_empty() {
            true => Err(Error::new(Kind::Invalid, "there is no FROM, so nothing to build")),
            false => Ok(file),
        }
    }

    /// The stage of a name or number, among the first `before`.
    pub(crate) fn stage(&self, name: &str, before: usize) -> Option<usize> {
        let stages = self.stages.get(..before)?;
        let lower = name.to_ascii_lowercase();
        stages
            .iter()
            .position(|stage| stage.name.as_ref() == Some(&lower))
            .or_else(|| name.parse().ok().filter(|number| *number < before))
    }

    /// The stages that `target` needs, in order, itself the last.
    pub(crate) fn needed(&self, target: usize, globals: &Globals) -> Result<Vec<usize>> {
        let mut needed = BTreeSet::from([target]);
        let mut next = vec![target];
        while let Some(index) = next.pop() {
            let Some(stage) = self.stages.get(index) else { continue };
            let mut names = vec![globals.expand(&stage.base, stage.line, self.escape)?];
            for step in &stage.steps {
                names.extend(step.instruction.sources());
            }
            let found = names.iter().filter_map(|name| self.stage(name, index));
            next.extend(found.filter(|stage| needed.insert(*stage)));
        }
        Ok(needed.into_iter().collect())
    }

    /// The stage that is asked for; the last one if none is.
    pub(crate) fn target(&self, name: Option<&str>) -> Result<usize> {
        let Some(name) = name else { return Ok(self.stages.len() - 1) };
        self.stage(name, self.stages.len()).ok_or_else(|| {
            let names: Vec<_> =
                self.stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
            let known = if names.is_empty() { "none has a name".into() } else { names.join(", ") };
            Error::new(Kind::NotFound, format!("there is no stage '{name}' ({known})"))
        })
    }
}

/// What an image's `ONBUILD` says, done for the line that builds on it.
pub(crate) fn parse_trigger(line: usize, text: &str, escape: char) -> Result<Step> {
    let written = Line { number: line, text: text.to_owned(), documents: Vec::new() };
    let instruction = parse_line(&written, escape)?;
    Ok(Step { line, text: written.text, instruction })
}

fn stage(line: &Line) -> Result<Stage> {
    let wrong = |why: &str| Error::syntax(line.number, format!("FROM: {why}"));
    let (flags, rest) = words::flags(first(&line.text).1);
    let mut platform = None;
    for (flag, value) in flags {
        match (flag.as_str(), value) {
            ("platform", Some(value)) => platform = Some(value),
            _ => return Err(wrong(&format!("the option --{flag} is not supported"))),
        }
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (base, name) = match words[..] {
        [base] => (base, None),
        [base, word, name] if word.eq_ignore_ascii_case("AS") => (base, Some(name)),
        _ => return Err(wrong("an image is needed, then nothing or AS and a name")),
    };
    let name = name.map(str::to_ascii_lowercase);
    if let Some(name) = &name {
        let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(usual) {
            return Err(wrong(&format!("'{name}' is no name of a stage")));
        }
    }
    Ok(Stage {
        line: line.number,
        text: line.text.clone(),
        base: base.to_owned(),
        name,
        platform,
        steps: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_found_by_name_and_number() {
        let text = "ARG A=1\nFROM x AS One\nRUN a\nFROM --platform=linux/amd64 one\nCMD b";
        let file = Dockerfile::parse(text).unwrap();
        assert_eq!(file.globals.len(), 1);
        assert_eq!(file.stages[1].platform.as_deref(), Some("linux/amd64"));
        assert_eq!(file.stages[0].steps[0].line, 3);
        assert_eq!(
            (file.stage("ONE", 1), file.stage("one", 0), file.stage("0", 1)),
            (Some(0), None, Some(0))
        );
        assert_eq!(file.target(None).unwrap(), 1);
        assert!(file.target(Some("two")).unwrap_err().to_string().contains("one"));
    }

    #[test]
    fn a_file_without_order_is_refused() {
        for (text, why) in [
            ("", "no FROM"),
            ("RUN a\nFROM x", "line 1"),
            ("FROM x\n\nCOYP a b", "line 3: unknown instruction 'COYP'"),
            ("FROM x AS a\nFROM y AS A", "line 2"),
            ("FROM x y", "AS"),
            ("FROM x AS 1", "'1'"),
            ("FROM --colour=red x", "--colour"),
        ] {
            let error = Dockerfile::parse(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
