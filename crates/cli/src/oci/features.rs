//! `sandbar oci features` (`features.md` of the runtime specification).

use serde_json::json;

use crate::cli::Exit;
use crate::failure::Result;
use crate::output;

/// Show what is supported, as JSON
#[derive(Debug, clap::Args)]
pub(super) struct Features {}

impl Features {
    pub(super) fn execute(self) -> Result<Exit> {
        let Self {} = self;
        output::json(&json!({
            "ociVersionMin": "1.0.0",
            "ociVersionMax": "1.3.0",
            "hooks": [
                "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
            ],
            "annotations": { "io.sandbar.version": env!("CARGO_PKG_VERSION") },
        }))?;
        Ok(Exit::SUCCESS)
    }
}
