//! `sandbar kill`.

use sandbar_spec::SignalNumber;

use super::each::each;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Send a signal to containers
#[derive(Debug, clap::Args)]
pub(crate) struct Kill {
    /// The signal
    #[arg(short, long, default_value_t = SignalNumber::KILL)]
    signal: SignalNumber,
    /// The containers
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Kill {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        each(&self.names, |name| {
            let action = format!("send {} to {name}", self.signal);
            let container = engine.container(name).doing(&action)?;
            engine.kill_container(&container, self.signal).doing(&action)?;
            output::line(name)
        })
    }
}
