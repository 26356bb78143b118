//! What goes wrong, where the caller reads it: standard error, and the file of `--log`.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use crate::failure::Failure;
use crate::output;

/// How lines of the file of `--log` look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// `time="…" level=… msg="…"`
    Text,
    /// An object a line
    Json,
}

/// Where messages go.
#[derive(Debug)]
pub(super) struct Log {
    file: Option<PathBuf>,
    format: Format,
    debug: bool,
}

impl Log {
    pub(super) fn new(file: Option<PathBuf>, format: Format, debug: bool) -> Self {
        Self { file, format, debug }
    }

    /// Says why a command failed.
    pub(super) fn failure(&self, failure: &Failure) {
        let lines = failure.lines();
        self.write("error", lines.strip_prefix("sandbar: ").unwrap_or(&lines).trim_end());
        output::failure(failure);
    }

    /// Says what did not go as asked, though the command goes on.
    pub(super) fn warn(&self, text: &str) {
        self.write("warning", text);
        if self.file.is_none() {
            output::note(text);
        }
    }

    /// Says what was done without.
    pub(super) fn told(&self, text: &str) {
        if self.debug {
            self.write("debug", text);
        }
    }

    /// A log that can't be written must not keep a container from running.
    fn write(&self, level: &str, text: &str) {
        let Some(path) = self.file.as_ref().filter(|_| !text.is_empty()) else { return };
        let time = jiff::Timestamp::now().to_string();
        let line = match self.format {
            Format::Json => json!({ "level": level, "msg": text, "time": time }).to_string(),
            Format::Text => format!("time={time:?} level={level} msg={text:?}"),
        };
        if let Ok(mut file) = File::options().append(true).create(true).open(path) {
            let _unwritten = writeln!(file, "{line}");
        }
    }
}
