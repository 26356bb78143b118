//! `sandbar images`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sandbar_image::{Digest, Reference, Store, Summary};
use serde_json::{Value, json};

use super::Format;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::table::Table;
use crate::values::{ImageFilter, is_like};
use crate::{human, output};

/// List images
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Images {
    /// Those too that builds keep to go on from
    #[arg(short, long)]
    all: bool,
    /// Their ids alone
    #[arg(short, long)]
    quiet: bool,
    /// Show the digests by which they came
    #[arg(long)]
    digests: bool,
    /// Show ids whole
    #[arg(long)]
    no_trunc: bool,
    // Several of a kind are one of them; several kinds, all of them, as Docker has it.
    /// dangling=true, reference=…, before=…, since=…
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<ImageFilter>,
    /// How to print
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    format: Format,
    /// Those called so alone, as with --filter reference=
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// An image, and the manifests by which it came.
struct Listed {
    image: Summary,
    manifests: Vec<Digest>,
}

impl Images {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let store = context.images()?;
        let mut images = self.filtered(&store, store.list().doing("list the images")?)?;
        if !self.all {
            let steps = sandbar_build::images_of_steps(context.roots());
            images.retain(|image| !image.references.is_empty() || !steps.contains(&image.id));
        }
        let mut manifests = match self.digests || self.format == Format::Json {
            true => store.manifests().doing("list the images")?,
            false => BTreeMap::new(),
        };
        let images: Vec<_> = images
            .into_iter()
            .map(|image| {
                let manifests = manifests.remove(&image.id).unwrap_or_default();
                Listed { image, manifests }
            })
            .collect();
        if self.quiet {
            let ids = images.iter().map(|listed| self.id(&listed.image) + "\n");
            output::text(&ids.collect::<String>())?;
        } else if self.format == Format::Json {
            output::json(&images.iter().map(object).collect())?;
        } else {
            output::text(&self.table(&images, Timestamp::now()).render())?;
        }
        Ok(Exit::SUCCESS)
    }

    /// Those that the filters let through. Of names, only those that a pattern fits are shown.
    fn filtered(&self, store: &Store, mut images: Vec<Summary>) -> Result<Vec<Summary>> {
        let mut patterns: Vec<&str> = self.name.as_deref().into_iter().collect();
        for filter in &self.filter {
            let built = |name: &str| {
                let image = store.find(name).doing(format_args!("list the images by {name}"))?;
                Ok(image.created)
            };
            match filter {
                ImageFilter::Dangling(wanted) => {
                    images.retain(|image| image.references.is_empty() == *wanted);
                }
                ImageFilter::Before(name) => {
                    let time = built(name)?;
                    images.retain(|image| image.created < time);
                }
                ImageFilter::Since(name) => {
                    let time = built(name)?;
                    images.retain(|image| image.created > time);
                }
                ImageFilter::Reference(pattern) => patterns.push(pattern.as_str()),
            }
        }
        if !patterns.is_empty() {
            for image in &mut images {
                image.references.retain(|name| patterns.iter().any(|it| is_called(name, it)));
            }
            images.retain(|image| !image.references.is_empty());
        }
        Ok(images)
    }

    fn id(&self, image: &Summary) -> String {
        if self.no_trunc { image.id.to_string() } else { image.id.short() }
    }

    fn table(&self, images: &[Listed], now: Timestamp) -> Table {
        let mut headings = vec!["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
        if self.digests {
            headings.insert(2, "DIGEST");
        }
        let mut table = Table::new(&headings);
        for Listed { image, manifests } in images {
            let created = image.created.map(|then| human::ago(then, now));
            let rest = [
                self.id(image),
                created.unwrap_or_else(|| "N/A".to_owned()),
                human::size(image.size),
            ];
            let mut names: Vec<_> = image.references.iter().map(columns).collect();
            if names.is_empty() {
                names.push(("<none>".to_owned(), "<none>".to_owned()));
            }
            for (repository, tag) in names {
                let mut row = |digest: Option<String>| {
                    let name = [repository.clone(), tag.clone()].into_iter();
                    table.row(name.chain(digest).chain(rest.clone()));
                };
                match (self.digests, manifests.is_empty()) {
                    (false, _) => row(None),
                    (true, true) => row(Some("<none>".to_owned())),
                    (true, false) => manifests.iter().for_each(|it| row(Some(it.to_string()))),
                }
            }
        }
        table
    }
}

/// Whether a name, in full or as people shorten it, is like a pattern.
fn is_called(name: &Reference, pattern: &str) -> bool {
    let full = name.to_string();
    let (repository, _) = columns(name);
    let forms = [full.as_str(), repository.as_str()];
    let short = |form: &str| {
        ["localhost/", "docker.io/library/", "docker.io/"]
            .iter()
            .filter_map(|usual| form.strip_prefix(usual))
            .any(|form| is_like(pattern, form))
    };
    forms.iter().any(|form| is_like(pattern, form) || short(form))
}

/// A name's first two columns. The tag of a name with a digest says nothing: by it alone nothing is found.
pub(super) fn columns(reference: &Reference) -> (String, String) {
    let repository = format!("{}/{}", reference.registry(), reference.repository());
    let tag = reference.tag().filter(|_| reference.digest().is_none());
    (repository, tag.unwrap_or("<none>").to_owned())
}

/// An image as Podman's `images --format json` shows it.
fn object(Listed { image, manifests }: &Listed) -> Value {
    json!({
        "Id": image.id,
        "RepoTags": image.references.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "Digests": manifests.iter().map(ToString::to_string).collect::<Vec<_>>(),
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
        let listed = |names| Listed { image: image(names), manifests: Vec::new() };
        let all = [listed(&["a", "docker.io/library/b:1"]), listed(&[])];
        let table = Images::default().table(&all, Timestamp::UNIX_EPOCH).render();
        let rows: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]);
        assert_eq!(rows[1], ["localhost/a", "latest", "abababababab", "N/A", "1.24MB"]);
        assert_eq!(rows[2][..2], ["docker.io/library/b", "1"]);
        assert_eq!(rows[3][..2], ["<none>", "<none>"]);
        let pinned = format!("r.io/a:1@sha256:{}", "cd".repeat(32));
        let parsed = Reference::parse(&pinned, Home::Localhost).unwrap();
        assert_eq!(columns(&parsed), ("r.io/a".to_owned(), "<none>".to_owned()));
    }

    #[test]
    fn a_name_is_found_as_people_write_it() {
        for (name, pattern) in [
            ("docker.io/library/nginx:1", "nginx"),
            ("docker.io/library/nginx:1", "nginx:*"),
            ("docker.io/me/app", "me/*"),
            ("localhost/a", "a"),
            ("quay.io/me/app", "quay.io/*/app"),
        ] {
            let name = Reference::parse(name, Home::Localhost).unwrap();
            assert!(is_called(&name, pattern), "{name} {pattern}");
            assert!(!is_called(&name, "b*") && !is_called(&name, "app*"));
        }
    }

    #[test]
    fn json_has_what_podmans_has() {
        let object = object(&Listed { image: image(&["a"]), manifests: Vec::new() });
        assert_eq!(object["RepoTags"], json!(["localhost/a:latest"]));
        assert_eq!(object["Size"], 1_240_000);
        assert_eq!(object["Created"], Value::Null);
    }
}
