//! `sandbar load`.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::stdio::stdin;
use rustix::termios::isatty;
use sandbar_image::Platform;

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::{output, stdio};

/// Load images from an archive or a directory
///
/// The formats are those that 'docker save', 'podman save' and 'skopeo copy'
/// write: docker-archive, oci-archive, oci and dir. Which one it is shows by
/// what is in it. An archive may be compressed (gzip, zstd), and a pipe.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Load {
    /// The archive or directory; standard input if none
    #[arg(short, long, value_name = "FILE|DIR")]
    input: Option<PathBuf>,
    /// The images for another platform, as in linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Print nothing but the images' ids
    #[arg(short, long)]
    quiet: bool,
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
        let platform = self.platform.as_ref();
        for loaded in context.images()?.load_file(file, platform).doing(&action)? {
            if self.quiet {
                output::line(loaded.id)?;
                continue;
            }
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
