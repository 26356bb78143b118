//! `sandbar version`.

use serde_json::{Value, json};

use super::TextFormat;
use crate::cli::Exit;
use crate::failure::Result;
use crate::output;

/// Show the versions of Sandbar and its parts
#[derive(Debug, clap::Args)]
pub(crate) struct Version {
    /// How to print
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    format: TextFormat,
}

impl Version {
    pub(crate) fn execute(self) -> Result<Exit> {
        match self.format {
            TextFormat::Json => output::json(&object())?,
            TextFormat::Text => output::text(&text())?,
        }
        Ok(Exit::SUCCESS)
    }
}

/// Sandbar's own.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

fn object() -> Value {
    json!({
        "Version": VERSION,
        "PauseVersion": sandbar_pause::VERSION,
        "OsArch": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

fn text() -> String {
    format!(
        "Version:   {VERSION}\nPause:     {}\nOS/Arch:   {}/{}\n",
        sandbar_pause::VERSION,
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}
