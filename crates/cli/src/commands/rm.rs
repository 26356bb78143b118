//! `sandbar rm`.

use sandbar_engine::Kind;

use super::each::each;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Remove containers
#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    /// End them first; one that is gone already is as it should be
    #[arg(short, long)]
    force: bool,
    /// The containers
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Rm {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        each(&self.names, |name| {
            let removed = engine
                .container(name)
                .and_then(|container| engine.remove_container(&container, self.force));
            match removed {
                Err(error) if self.force && error.kind() == Kind::NotFound => Ok(()),
                removed => {
                    removed.doing(format_args!("remove {name}"))?;
                    output::line(name)
                }
            }
        })
    }
}
