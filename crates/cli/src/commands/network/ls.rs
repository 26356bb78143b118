//! `sandbar network ls`.

use sandbar_spec::NetworkConfig;

use crate::cli::Exit;
use crate::commands::Format;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::table::Table;
use crate::{inspect, output};

/// List networks
#[derive(Debug, clap::Args)]
#[command(visible_alias = "list")]
pub(crate) struct Ls {
    /// Their names alone
    #[arg(short, long)]
    quiet: bool,
    /// Show ids whole
    #[arg(long)]
    no_trunc: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    format: Format,
}

impl Ls {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        let networks = engine.networks().doing("list the networks")?;
        for broken in engine.broken_networks() {
            output::failure(&Failure::of("show a network", broken));
        }
        if self.quiet {
            let names = networks.iter().map(|network| format!("{}\n", network.name));
            output::text(&names.collect::<String>())?;
        } else if self.format == Format::Json {
            output::json(&networks.iter().map(|network| inspect::network(network, &[])).collect())?;
        } else {
            output::text(&self.table(&networks).render())?;
        }
        Ok(Exit::SUCCESS)
    }

    fn table(&self, networks: &[NetworkConfig]) -> Table {
        let mut table = Table::new(&["NETWORK ID", "NAME", "DRIVER", "SUBNET"]);
        for network in networks {
            let id = if self.no_trunc { network.id.as_str() } else { network.id.short() };
            let subnet6 = network.ipv6.map(|ipv6| ipv6.subnet.to_string());
            let subnets = [Some(network.ipv4.subnet.to_string()), subnet6];
            table.row([
                id.to_owned(),
                network.name.to_string(),
                "bridge".to_owned(),
                subnets.into_iter().flatten().collect::<Vec<_>>().join(", "),
            ]);
        }
        table
    }
}
