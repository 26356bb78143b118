//! `sandbar images`.

use jiff::Timestamp;
use sandbar_image::{Reference, Summary};
use serde_json::{Value, json};

use super::Format;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::table::Table;
use crate::{human, output};

/// List images
#[derive(Debug, clap::Args)]
pub(crate) struct Images {
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

impl Images {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let images = context.images()?.list().doing("list the images")?;
        if self.quiet {
            let ids = images.iter().map(|image| self.id(image) + "\n");
            output::text(&ids.collect::<String>())?;
        } else if self.format == Format::Json {
            output::json(&images.iter().map(object).collect())?;
        } else {
            output::text(&self.table(&images, Timestamp::now()).render())?;
        }
        Ok(Exit::SUCCESS)
    }

    fn id(&self, image: &Summary) -> String {
        if self.no_trunc { image.id.to_string() } else { image.id.short() }
    }

    fn table(&self, images: &[Summary], now: Timestamp) -> Table {
        let mut table = Table::new(&["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
        for image in images {
            let mut row = |(repository, tag): (String, String)| {
                let created = image.created.map(|then| human::ago(then, now));
                table.row([
                    repository,
                    tag,
                    self.id(image),
                    created.unwrap_or_else(|| "N/A".to_owned()),
                    human::size(image.size),
                ]);
            };
            if image.references.is_empty() {
                row(("<none>".to_owned(), "<none>".to_owned()));
            }
            image.references.iter().map(columns).for_each(row);
        }
        table
    }
}

/// A name's first two columns.
fn columns(reference: &Reference) -> (String, String) {
    let repository = format!("{}/{}", reference.registry(), reference.repository());
    (repository, reference.tag().unwrap_or("<none>").to_owned())
}

/// An image as Podman's `images --format json` shows it.
fn object(image: &Summary) -> Value {
    json!({
        "Id": image.id,
        "RepoTags": image.references.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "Created": image.created.map(Timestamp::as_second),
        "CreatedAt": image.created,
        "Size": image.size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbar_image::Home;

    fn image(names: &[&str]) -> Summary {
        let id = format!("sha256:{}", "ab".repeat(32));
        let parse = |name: &&str| Reference::parse(name, Home::Localhost).unwrap();
        Summary {
            id: id.parse().unwrap(),
            references: names.iter().map(parse).collect(),
            size: 1_240_000,
            created: None,
        }
    }

    #[test]
    fn every_name_has_a_row() {
        let images = Images { quiet: false, no_trunc: false, format: Format::Table };
        let all = [image(&["a", "docker.io/library/b:1"]), image(&[])];
        let table = images.table(&all, Timestamp::UNIX_EPOCH).render();
        let rows: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]);
        assert_eq!(rows[1], ["localhost/a", "latest", "abababababab", "N/A", "1.24MB"]);
        assert_eq!(rows[2][..2], ["docker.io/library/b", "1"]);
        assert_eq!(rows[3][..2], ["<none>", "<none>"]);
    }

    #[test]
    fn json_has_what_podmans_has() {
        let object = object(&image(&["a"]));
        assert_eq!(object["RepoTags"], json!(["localhost/a:latest"]));
        assert_eq!(object["Size"], 1_240_000);
        assert_eq!(object["Created"], Value::Null);
    }
}
