//! `sandbar start`.

use super::attached::{start_attached, tell};
use super::each::each;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::output;

/// Start containers
#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    /// Stay and show what it prints
    #[arg(short, long)]
    attach: bool,
    /// Pass standard input on; implies --attach
    #[arg(short, long)]
    interactive: bool,
    /// The containers
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Start {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        if !self.attach && !self.interactive {
            return each(&self.names, |name| {
                let action = format!("start {name}");
                let container = engine.container(name).doing(&action)?;
                tell(&engine.start_container(&container, None).doing(&action)?);
                output::line(name)
            });
        }
        let [name] = self.names.as_slice() else {
            let message = "only one container can be started and attached to at once";
            return Err(Failure::new(message).hint("leave -a and -i out, and follow the logs"));
        };
        let action = format!("start {name}");
        let container = engine.container(name).doing(&action)?;
        if container.is_running() {
            let message = format!("{name} runs already");
            return Err(Failure::new(message).hint(format!("'sandbar logs -f {name}' shows it")));
        }
        start_attached(&engine, &container, self.interactive, &action)
    }
}
