//! `sandbar inspect`.

use sandbar_engine::{Engine, Kind};
use serde_json::Value;

use super::each::show_each;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::inspect;

/// Show all there is to know of containers, pods or images
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// Containers, else pods, else images
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Inspect {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        show_each(&self.names, |name| look(&engine, context, name))
    }
}

/// A container, else a pod, else an image.
fn look(engine: &Engine, context: &Context, name: &str) -> Result<Value> {
    let action = format!("inspect {name}");
    match engine.container(name) {
        Err(error) if error.kind() == Kind::NotFound => {}
        found => {
            let container = found.doing(&action)?;
            let spec = container.spec().doing(&action)?;
            return Ok(inspect::container(&container, &spec, context.roots()));
        }
    }
    match engine.pod(name) {
        Err(error) if error.kind() == Kind::NotFound => {}
        found => return Ok(inspect::pod(&found.doing(&action)?)),
    }
    let store = engine.images().doing(&action)?;
    match store.find(name) {
        Err(error)
            if matches!(
                error.kind(),
                sandbar_image::ErrorKind::NotFound | sandbar_image::ErrorKind::InvalidReference
            ) =>
        {
            let message = format!("cannot {action}: no container, pod or image is called that");
            Err(Failure::new(message)
                .hint("see 'sandbar ps -a', 'sandbar pod ps' and 'sandbar images'"))
        }
        found => {
            let image = found.doing(&action)?;
            let references = store.references(&image.id).doing(&action)?;
            inspect::image(&image, &references).doing(&action)
        }
    }
}
