//! `sandbar search`.

use sandbar_registry::{Client, Configuration, ErrorKind, Found};
use serde_json::{Value, json};

use super::Format;
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};
use crate::options::RegistryAccess;
use crate::output;
use crate::table::Table;

/// The longest description in a table, unless all of it is wanted.
const DESCRIPTION: usize = 50;

/// Look for images in registries
#[derive(Debug, clap::Args)]
pub(crate) struct Search {
    /// The most to show, of each registry
    #[arg(long, value_name = "NUMBER", default_value_t = 25)]
    limit: usize,
    /// Show the tags of a repository
    #[arg(long)]
    list_tags: bool,
    /// Show descriptions whole
    #[arg(long)]
    no_trunc: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    format: Format,
    #[command(flatten)]
    registry: RegistryAccess,
    /// What to look for: nginx, quay.io/nginx
    term: String,
}

impl Search {
    pub(crate) fn execute(self) -> Result<Exit> {
        let client = self.registry.client(&format!("search for {}", self.term))?;
        if self.list_tags {
            return self.tags(&client);
        }
        let (registries, term) = match self.term.split_once('/') {
            Some((first, term)) if is_registry(first) => (vec![first.to_owned()], term),
            _ => {
                let configuration = Configuration::load().doing("find the usual registries")?;
                (configuration.search_registries(), self.term.as_str())
            }
        };
        if registries.is_empty() {
            let message = format!("cannot search for {}: no registry is searched", self.term);
            return Err(Failure::new(message).hint("name one, as in docker.io/nginx"));
        }
        let (mut found, mut failed) = (Vec::new(), None);
        for registry in registries {
            match client.search(&registry, term, self.limit) {
                Ok(here) => found.extend(here.into_iter().map(|found| (registry.clone(), found))),
                Err(error) => {
                    let failure = Failure::of(format_args!("search for {}", self.term), error);
                    output::failure(&failure);
                    failed.get_or_insert_with(|| failure.said());
                }
            }
        }
        match self.format {
            Format::Json => output::json(&found.iter().map(object).collect())?,
            Format::Table if found.is_empty() && failed.is_some() => {}
            Format::Table => output::text(&self.table(&found).render())?,
        }
        failed.map_or(Ok(Exit::SUCCESS), Err)
    }

    fn table(&self, found: &[(String, Found)]) -> Table {
        let mut table = Table::new(&["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]);
        for (_, found) in found {
            let stars = found.stars.map(|stars| stars.to_string()).unwrap_or_default();
            let official = if found.official { "[OK]" } else { "" };
            let description = self.shown(&found.description);
            table.row([found.name.clone(), description, stars, official.to_owned()]);
        }
        table
    }

    fn shown(&self, description: &str) -> String {
        if self.no_trunc || description.chars().count() <= DESCRIPTION {
            return description.to_owned();
        }
        description.chars().take(DESCRIPTION - 1).chain(['…']).collect()
    }

    /// The tags of the first of the places that the name may mean and that has it.
    fn tags(&self, client: &Client) -> Result<Exit> {
        let action = format!("list the tags of {}", self.term);
        let last = self.term.rsplit('/').next().unwrap_or_default();
        if last.contains([':', '@']) {
            let message = format!("cannot {action}: it names one already");
            return Err(Failure::new(message).hint("name the repository alone"));
        }
        let mut refused = None;
        for location in client.resolve(&self.term).doing(&action)? {
            let name = format!("{}/{}", location.registry(), location.repository());
            match client.tags(&location) {
                Ok(mut tags) => {
                    tags.truncate(self.limit);
                    self.print_tags(&name, &tags)?;
                    return Ok(Exit::SUCCESS);
                }
                // A short name may be meant elsewhere.
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unauthorized) =>
                {
                    refused = Some(error);
                }
                Err(error) => return Err(Failure::of(action, error)),
            }
        }
        Err(match refused {
            Some(error) => Failure::of(action, error),
            None => Failure::new(format!("cannot {action}: no registry is searched for it")),
        })
    }

    fn print_tags(&self, name: &str, tags: &[String]) -> Result<()> {
        match self.format {
            Format::Json => output::json(&json!([{ "Name": name, "Tags": tags }])),
            Format::Table => {
                let mut table = Table::new(&["NAME", "TAG"]);
                for tag in tags {
                    table.row([name.to_owned(), tag.clone()]);
                }
                output::text(&table.render())
            }
        }
    }
}

/// Whether a name's first part is a registry, as Docker tells.
fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

/// What was found, as Podman's `search --format json` shows it.
fn object((registry, found): &(String, Found)) -> Value {
    json!({
        "Index": registry,
        "Name": found.name,
        "Description": found.description,
        "Stars": found.stars,
        "Official": found.official,
    })
}
