//! `sandbar manifest annotate`.

use super::of_member;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// Say what an image of a manifest list is for
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "sandbar manifest annotate [OPTIONS] <LIST> <IMAGE>",
    group = clap::ArgGroup::new("what").required(true).multiple(true)
)]
pub(crate) struct Annotate {
    /// Its operating system
    #[arg(long, group = "what")]
    os: Option<String>,
    /// Its architecture, as in arm64
    #[arg(long, group = "what")]
    arch: Option<String>,
    /// The architecture's variant, as in v7
    #[arg(long, group = "what")]
    variant: Option<String>,
    /// The list
    list: String,
    /// The image, or its manifest's digest as 'inspect' shows it
    image: String,
}

impl Annotate {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("annotate {} in {}", self.image, self.list);
        let [os, arch, variant] = [&self.os, &self.arch, &self.variant].map(Option::as_deref);
        let changed = context
            .images()?
            .annotate_in_list(&self.list, &self.image, |platform| platform.with(os, arch, variant));
        output::line(changed.map_err(|error| of_member(&action, error))?.digest)?;
        Ok(Exit::SUCCESS)
    }
}
