//! `sandbar import`.

use std::fs::File;
use std::path::PathBuf;

use jiff::Timestamp;
use sandbar_image::{Home, Reference, Settings};

use super::load::standard_input;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;
use crate::values::Change;

/// Make an image of a root filesystem's archive, and print its id
#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// A line of a Dockerfile, as in 'CMD /bin/sh'
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<Change>,
    /// The archive; '-' for standard input
    file: PathBuf,
    /// The image's name
    name: Option<String>,
}

impl Import {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("import {}", self.file.display());
        let name = self.name.map(|name| Reference::parse(&name, Home::Localhost));
        let name = name.transpose().doing(&action)?;
        let mut settings = Settings { created: Some(Timestamp::now()), ..Settings::default() };
        self.change.into_iter().for_each(|change| change.apply(&mut settings));
        let file = match self.file.to_str() {
            Some("-") => standard_input("import")?,
            _ => File::open(&self.file).doing(&action)?,
        };
        let id = context.images()?.import(file, name.as_ref(), &settings).doing(&action)?;
        output::line(id)?;
        Ok(Exit::SUCCESS)
    }
}
