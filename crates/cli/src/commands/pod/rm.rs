//! `sandbar pod rm`.

use sandbar_engine::{Engine, Kind};

use crate::cli::Exit;
use crate::commands::each::each;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Remove pods with all their containers
#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    /// End what runs first; one that is gone already is as it should be
    #[arg(short, long)]
    force: bool,
    /// The pods
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Rm {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        each(&self.names, |name| match self.remove(&engine, name) {
            Err(error) if self.force && error.kind() == Kind::NotFound => Ok(()),
            removed => {
                removed.doing(format_args!("remove the pod {name}"))?;
                output::line(name)
            }
        })
    }

    fn remove(
        &self,
        engine: &Engine,
        name: &str,
    ) -> std::result::Result<(), sandbar_engine::Error> {
        let removed = engine.pod(name).and_then(|pod| engine.remove_pod(&pod, self.force));
        match removed {
            // Half a pod, or one whose records can't be read, still has an id.
            Err(error) if self.force && may_be_half(error.kind()) => {
                match engine.remove_remains(name) {
                    Err(nothing) if nothing.kind() == Kind::NotFound => Err(error),
                    cleared => cleared,
                }
            }
            removed => removed,
        }
    }
}

const fn may_be_half(kind: Kind) -> bool {
    matches!(kind, Kind::NotFound | Kind::System)
}
