//! `sandbar pull`.

use sandbar_image::Platform;

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::Result;
use crate::options::RegistryAccess;
use crate::progress::Screen;
use crate::{output, remote};

/// Fetch an image from a registry, and print its id
#[derive(Debug, clap::Args)]
pub(crate) struct Pull {
    /// The image of another platform, as in linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Show nothing but the id
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryAccess,
    /// The image, as in docker.io/library/nginx:1.27
    image: String,
}

impl Pull {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let client = self.registry.client(&format!("pull {}", self.image))?;
        let store = context.images()?;
        let platform = self.platform.as_ref();
        let screen = Screen::on_terminal(self.quiet);
        let tell = |progress| screen.tell(progress);
        let pulled = remote::pull(&client, &store, &self.image, platform, &tell)?;
        output::line(pulled.id)?;
        Ok(Exit::SUCCESS)
    }
}
