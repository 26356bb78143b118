//! `sandbar commit`.

use std::path::Path;

use jiff::Timestamp;
use oci_spec::runtime::Mount;
use sandbar_engine::CommitOptions;
use sandbar_image::{Home, ImageId, Reference};

use crate::amended::Amended;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::output;
use crate::values::Change;

/// Make an image of what a container wrote, and print its id
///
/// The image has its own image's layers and settings, one layer more, and the
/// changes that are asked for. What 'run' was told (-e, --user, a command) is
/// no part of it, and neither are volumes.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Commit {
    /// What it is for, in the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Who made it
    #[arg(short, long, value_name = "NAME")]
    author: Option<String>,
    /// A line of a Dockerfile, as in 'CMD /bin/sh'
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<Change>,
    /// Unless false, it stands still meanwhile
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        hide_possible_values = true,
        hide_default_value = true,
        action = clap::ArgAction::Set
    )]
    pause: bool,
    /// Say nothing of volumes that are left out
    #[arg(short, long)]
    quiet: bool,
    /// The container
    container: String,
    /// The image's name
    name: Option<String>,
}

impl Commit {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("commit {}", self.container);
        let reference = self.name.map(|name| Reference::parse(&name, Home::Localhost));
        let reference = reference.transpose().doing(&action)?;
        let epoch = source_date_epoch()?;
        let engine = context.engine()?;
        let container = engine.container(&self.container).doing(&action)?;
        // A container without an image is the engine's to refuse.
        let base = match &container.config.image_id {
            Some(id) => {
                let id: ImageId = id.parse().doing(&action)?;
                engine.images().doing(&action)?.configuration(&id).doing(&action)?
            }
            None => serde_json::Map::new(),
        };
        let amended = Amended {
            base,
            changes: &self.change,
            message: self.message,
            author: self.author,
            created: epoch.unwrap_or_else(Timestamp::now),
        };
        let options = CommitOptions { pause: self.pause, newest: epoch, reference };
        let id = engine
            .commit_container(&container, &options, |layers| amended.configuration(layers))
            .doing(&action)?;
        if !self.quiet {
            let spec = container.spec().doing(&action)?;
            let targets = spec.mounts().iter().flatten().map(Mount::destination);
            for volume in targets.filter(|target| is_volume(target)) {
                output::note(&format!("the volume {} is no part of the image", volume.display()));
            }
        }
        output::line(id)?;
        Ok(Exit::SUCCESS)
    }
}

/// Whether what is mounted there is somebody's, and not every container's.
fn is_volume(target: &Path) -> bool {
    let kernels = ["/proc", "/sys", "/dev"].iter().any(|top| target.starts_with(top));
    let pods = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].map(Path::new);
    !kernels && !pods.contains(&target)
}

/// The time that everything made is to have, for the same content to be the same image
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn source_date_epoch() -> Result<Option<Timestamp>> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds = text.to_str().and_then(|text| text.parse::<i64>().ok());
    match seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()) {
        Some(time) => Ok(Some(time)),
        None => {
            let message = format!("SOURCE_DATE_EPOCH is '{}', and no time", text.display());
            Err(Failure::new(message).hint("give it in seconds since 1970, or unset it"))
        }
    }
}
