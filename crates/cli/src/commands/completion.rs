//! `sandbar completion`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::{Cli, Exit};
use crate::failure::Result;
use crate::output;

/// Print a shell's completions of this command
#[derive(Debug, clap::Args)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn execute(self) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "sandbar", &mut script);
        output::text(&String::from_utf8_lossy(&script))?;
        Ok(Exit::SUCCESS)
    }
}
