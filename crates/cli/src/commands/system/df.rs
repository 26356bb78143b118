//! `sandbar system df`.

use jiff::Timestamp;
use sandbar_build::Kept;
use sandbar_engine::DiskUsage;
use sandbar_image::{Summary, Usage};
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::commands::Format;
use crate::commands::in_use::InUse;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::table::Table;
use crate::{human, output};

/// Show what images, containers, volumes and builds take of the disk
#[derive(Debug, clap::Args)]
pub(crate) struct Df {
    /// Each of them, and what images share
    #[arg(short, long, conflicts_with = "format")]
    verbose: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    format: Format,
}

/// A line of what is taken.
struct Row {
    what: &'static str,
    total: usize,
    active: usize,
    bytes: u64,
    reclaimable: u64,
}

impl Df {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        let store = engine.images().doing("open the images")?;
        let in_use = InUse::of(&engine)?;
        let images = store.list().doing("list the images")?;
        // The built-in image comes back whenever it is removed.
        let built_in = store.find("localhost/pause").map(|image| image.id).ok();
        let needed = |id: &_| in_use.has(id) || built_in == Some(*id);
        let usage = store.usage(needed).doing("measure the images")?;
        let rest = engine.disk_usage().doing("measure containers and volumes")?;
        let kept = sandbar_build::kept(engine.roots()).doing("measure what builds keep")?;
        if self.verbose {
            let tables = [
                ("Images", images_table(&images, &usage, &in_use)),
                ("Containers", containers_table(&rest)),
                ("Volumes", volumes_table(&rest)),
                ("Build caches", caches_table(&kept)),
            ];
            let mut text = String::new();
            for (title, table) in tables {
                text.push_str(&format!("{title}:\n{}\n", table.render()));
            }
            let other = [
                ("Shared by images, counted once", shared(&usage)),
                ("Of no image", usage.unreferenced),
                ("Of downloads that were broken off, or go on", usage.partial),
                ("Of builds, beside their caches", beside_caches(&kept)),
            ];
            for (what, bytes) in other {
                text.push_str(&format!("{what}: {}\n", human::size(bytes)));
            }
            output::text(&text)?;
            return Ok(Exit::SUCCESS);
        }
        let rows = rows(&images, &usage, &in_use, &rest, &kept);
        match self.format {
            Format::Json => output::json(&rows.iter().map(Row::object).collect())?,
            Format::Table => {
                let mut table = Table::new(&["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]);
                rows.iter().for_each(|row| table.row(row.cells()));
                output::text(&table.render())?;
            }
        }
        Ok(Exit::SUCCESS)
    }
}

/// What several images have a part in.
fn shared(usage: &Usage) -> u64 {
    let unique: u64 = usage.images.iter().map(|image| image.unique).sum();
    usage.total - usage.unreferenced - unique
}

/// What is known of steps, and the files of builds that go on or were killed.
fn beside_caches(kept: &Kept) -> u64 {
    kept.bytes - kept.caches.iter().map(|cache| cache.bytes).sum::<u64>()
}

fn rows(
    images: &[Summary],
    usage: &Usage,
    in_use: &InUse,
    rest: &DiskUsage,
    kept: &Kept,
) -> [Row; 5] {
    let containers = &rest.containers;
    let stopped = containers.iter().filter(|it| !it.active);
    let unused = rest.volumes.iter().filter(|volume| volume.users == 0);
    [
        Row {
            what: "Images",
            total: images.len(),
            active: images.iter().filter(|image| in_use.has(&image.id)).count(),
            bytes: usage.total,
            reclaimable: usage.reclaimable,
        },
        Row {
            what: "Containers",
            total: containers.len(),
            active: containers.iter().filter(|it| it.active).count(),
            bytes: containers.iter().map(|it| it.bytes).sum(),
            reclaimable: stopped.map(|it| it.bytes).sum(),
        },
        Row {
            what: "Local Volumes",
            total: rest.volumes.len(),
            active: rest.volumes.iter().filter(|volume| volume.users > 0).count(),
            bytes: rest.volumes.iter().map(|volume| volume.bytes).sum(),
            reclaimable: unused.map(|volume| volume.bytes).sum(),
        },
        Row {
            what: "Build Cache",
            total: kept.caches.len() + kept.steps,
            active: kept.caches.iter().filter(|cache| cache.in_use).count(),
            bytes: kept.bytes,
            reclaimable: kept.reclaimable,
        },
        Row {
            what: "Partial Downloads",
            total: usage.partials,
            active: 0,
            bytes: usage.partial,
            reclaimable: usage.partial,
        },
    ]
}

impl Row {
    fn cells(&self) -> [String; 5] {
        let percent = self.reclaimable.saturating_mul(100).checked_div(self.bytes).unwrap_or(0);
        [
            self.what.to_owned(),
            self.total.to_string(),
            self.active.to_string(),
            human::size(self.bytes),
            format!("{} ({percent}%)", human::size(self.reclaimable)),
        ]
    }

    /// As Podman's `system df --format json` has it.
    fn object(&self) -> Value {
        json!({
            "Type": self.what,
            "Total": self.total,
            "Active": self.active,
            "RawSize": self.bytes,
            "RawReclaimable": self.reclaimable,
            "Size": human::size(self.bytes),
            "Reclaimable": human::size(self.reclaimable),
        })
    }
}

fn images_table(images: &[Summary], usage: &Usage, in_use: &InUse) -> Table {
    let mut table = Table::new(&[
        "REPOSITORY",
        "TAG",
        "IMAGE ID",
        "CREATED",
        "SIZE",
        "SHARED",
        "UNIQUE",
        "CONTAINERS",
    ]);
    let now = Timestamp::now();
    for image in images {
        let Some(of) = usage.images.iter().find(|of| of.id == image.id) else { continue };
        let (repository, tag) = match image.references.first() {
            Some(name) => super::super::images::columns(name),
            None => ("<none>".to_owned(), "<none>".to_owned()),
        };
        table.row([
            repository,
            tag,
            image.id.short(),
            image.created.map_or_else(|| "N/A".to_owned(), |then| human::ago(then, now)),
            human::size(of.shared.saturating_add(of.unique)),
            human::size(of.shared),
            human::size(of.unique),
            in_use.by(&image.id).len().to_string(),
        ]);
    }
    table
}

fn containers_table(rest: &DiskUsage) -> Table {
    let mut table = Table::new(&["CONTAINER ID", "IMAGE", "ACTIVE", "SIZE", "NAME"]);
    let none = || "<gone>".to_owned();
    for it in &rest.containers {
        table.row([
            it.id.chars().take(12).collect(),
            it.image.clone().unwrap_or_else(none),
            if it.active { "yes" } else { "no" }.to_owned(),
            human::size(it.bytes),
            it.name.clone().unwrap_or_else(none),
        ]);
    }
    table
}

fn volumes_table(rest: &DiskUsage) -> Table {
    let mut table = Table::new(&["VOLUME NAME", "CONTAINERS", "SIZE"]);
    for volume in &rest.volumes {
        table.row([volume.name.clone(), volume.users.to_string(), human::size(volume.bytes)]);
    }
    table
}

fn caches_table(kept: &Kept) -> Table {
    let mut table = Table::new(&["CACHE ID", "LAST USED", "ACTIVE", "SIZE"]);
    let now = Timestamp::now();
    for cache in &kept.caches {
        table.row([
            cache.name.chars().take(12).collect(),
            cache.used.map_or_else(|| "N/A".to_owned(), |then| human::ago(then, now)),
            if cache.in_use { "yes" } else { "no" }.to_owned(),
            human::size(cache.bytes),
        ]);
    }
    table
}
