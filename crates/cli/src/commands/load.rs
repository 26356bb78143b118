//! `sandbar load`.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::stdio::stdin;
use rustix::termios::isatty;

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::{output, stdio};

/// Load images from an archive of 'docker save' or of an OCI layout
#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// The archive; standard input if none
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
}

impl Load {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let (action, file) = match self.input {
            Some(path) => {
                let action = format!("load {}", path.display());
                (action.clone(), File::open(&path).doing(action)?)
            }
            None => ("load standard input".to_owned(), standard_input("load")?),
        };
        for loaded in context.images()?.load_file(file).doing(&action)? {
            if loaded.references.is_empty() {
                output::line(format_args!("Loaded image ID: {}", loaded.id))?;
            }
            for reference in loaded.references {
                output::line(format_args!("Loaded image: {reference}"))?;
            }
        }
        Ok(Exit::SUCCESS)
    }
}

/// Standard input, unless somebody would have to type an archive.
pub(super) fn standard_input(command: &str) -> Result<File> {
    if isatty(stdin()) {
        let message = format!("cannot {command} an archive from a terminal");
        return Err(Failure::new(message).hint("name a file, or pipe the archive in"));
    }
    let own: OwnedFd = stdio::own(stdin())?;
    Ok(own.into())
}
