//! `sandbar pod ps`.

use std::cmp::Reverse;

use jiff::Timestamp;
use sandbar_engine::Pod;
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::commands::Format;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::table::Table;
use crate::{human, output};

/// List pods
#[derive(Debug, clap::Args)]
pub(crate) struct Ps {
    /// Also those that 'run' made around single containers
    #[arg(short, long)]
    all: bool,
    /// Their ids alone
    #[arg(short, long)]
    quiet: bool,
    /// Show ids whole
    #[arg(long)]
    no_trunc: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    format: Format,
}

impl Ps {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let mut pods = context.engine()?.pods().doing("list the pods")?;
        pods.retain(|pod| self.all || !pod.config.implicit);
        pods.sort_by_key(|pod| Reverse(pod.config.created_at));
        if self.quiet {
            let ids = pods.iter().map(|pod| self.id(pod) + "\n");
            output::text(&ids.collect::<String>())?;
        } else if self.format == Format::Json {
            output::json(&pods.iter().map(object).collect())?;
        } else {
            output::text(&self.table(&pods, Timestamp::now()).render())?;
        }
        Ok(Exit::SUCCESS)
    }

    fn id(&self, pod: &Pod) -> String {
        let id = &pod.config.id;
        if self.no_trunc { id.as_str() } else { id.short() }.to_owned()
    }

    fn table(&self, pods: &[Pod], now: Timestamp) -> Table {
        let headings = ["POD ID", "NAME", "STATUS", "CREATED", "INFRA ID", "# OF CONTAINERS"];
        let mut table = Table::new(&headings);
        for pod in pods {
            let pause = pod.config.pause.as_ref();
            let pause = pause.map(|id| if self.no_trunc { id.as_str() } else { id.short() });
            table.row([
                self.id(pod),
                pod.config.name.to_string(),
                pod.state().to_string(),
                human::ago(pod.config.created_at, now),
                pause.unwrap_or_default().to_owned(),
                pod.containers.len().to_string(),
            ]);
        }
        table
    }
}

/// A pod as Podman's `pod ps --format json` shows it.
fn object(pod: &Pod) -> Value {
    let containers = pod.containers.iter().map(|container| {
        json!({
            "Id": container.config.id,
            "Names": container.config.name,
            "Status": human::state(container.status.state),
        })
    });
    json!({
        "Id": pod.config.id,
        "Name": pod.config.name,
        "Status": pod.state().to_string(),
        "Created": pod.config.created_at,
        "InfraId": pod.config.pause,
        "Containers": containers.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::sample;

    #[test]
    fn the_columns_are_podmans() {
        let ps = Ps { all: false, quiet: false, no_trunc: false, format: Format::Table };
        let table = ps.table(&[sample::pod()], sample::now()).render();
        let lines: Vec<&str> = table.lines().collect();
        let headings = "POD ID NAME STATUS CREATED INFRA ID # OF CONTAINERS";
        let row = "cdcdcdcdcdcd shop Running 3 minutes ago efefefefefef 1";
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!((words(lines[0]), words(lines[1])), (headings.into(), row.into()));
    }

    #[test]
    fn json_names_the_containers() {
        let object = object(&sample::pod());
        assert_eq!(object["Name"], "shop");
        assert_eq!(object["Containers"][0]["Names"], "web");
        assert_eq!(object["Containers"][0]["Status"], "running");
    }
}
