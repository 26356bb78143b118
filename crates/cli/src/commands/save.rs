//! `sandbar save`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use clap::ValueEnum;
use rustix::stdio::stdout;
use rustix::termios::isatty;
use sandbar_image::SaveFormat;

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::stdio;
use crate::whole::{WholeDirectory, WholeFile};

/// Write images to an archive, for 'load' here and elsewhere
#[derive(Debug, clap::Args)]
pub(crate) struct Save {
    /// The archive or directory; standard output if none
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// docker-archive (usual) oci-archive oci-dir docker-dir
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "docker-archive",
        hide_possible_values = true,
        hide_default_value = true
    )]
    format: Format,
    /// The images
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// What can be written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// What 'docker save' writes
    DockerArchive,
    /// An OCI image layout as an archive
    OciArchive,
    /// An OCI image layout
    OciDir,
    /// One image's manifest and blobs, as Skopeo's 'dir:'
    DockerDir,
}

impl From<Format> for SaveFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::DockerArchive => Self::DockerArchive,
            Format::OciArchive => Self::OciArchive,
            Format::OciDir => Self::OciDirectory,
            Format::DockerDir => Self::DockerDirectory,
        }
    }
}

impl Save {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("save {}", self.images.join(", "));
        let store = context.images()?;
        let images: Vec<_> = self.images.iter().map(String::as_str).collect();
        let format = SaveFormat::from(self.format);
        match &self.output {
            Some(path) if format.is_directory() => {
                let making = format!("make the directory {}", path.display());
                let directory = WholeDirectory::create(path).doing(&making)?;
                store.save_to_directory(&images, format, &directory.path).doing(action)?;
                directory.keep().doing(making)?;
            }
            Some(path) => {
                let writing = format!("write {}", path.display());
                let mut file = WholeFile::create(path).doing(&writing)?;
                if isatty(&file.file) {
                    return Err(to_terminal(&action));
                }
                store.save(&images, format, &mut file.file).doing(action)?;
                file.keep().doing(writing)?;
            }
            None if format.is_directory() => {
                let message = format!("cannot {action} to standard output as a directory");
                return Err(Failure::new(message).hint("name the directory with -o"));
            }
            None if isatty(stdout()) => {
                return Err(to_terminal(&action));
            }
            None => {
                let own: OwnedFd = stdio::own(stdout())?;
                let mut out = BufWriter::new(File::from(own));
                store.save(&images, format, &mut out).doing(action)?;
                out.flush().map_err(Failure::of_output)?;
            }
        }
        Ok(Exit::SUCCESS)
    }
}

fn to_terminal(action: &str) -> Failure {
    let message = format!("cannot {action} to a terminal");
    Failure::new(message).hint("name a file with -o, or pipe it on")
}
