//! What `ADD` takes from an address.

use std::fs::File;
use std::io::{Read, Seek as _};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::builder::Builder;
use crate::cache::Key;
use crate::dockerfile::Transfer;
use crate::error::{Error, Kind, Result};

/// A file at an address.
pub(crate) struct Remote {
    url: String,
    /// What it is called there.
    pub(crate) name: String,
    /// Its SHA-256, in hexadecimal digits, if that is known beforehand.
    checksum: Option<String>,
    /// What came, if it was fetched.
    fetched: Option<(File, Option<Timestamp>)>,
}

/// Whether a source is no file of the context.
pub(crate) fn is_address(path: &str) -> bool {
    let schemes = ["http://", "https://", "git://", "ssh://", "git@"];
    schemes.iter().any(|scheme| path.starts_with(scheme))
}

impl Remote {
    /// Reads what is asked for; `expand` replaces variables.
    pub(crate) fn new(
        url: &str,
        transfer: &Transfer,
        expand: impl Fn(&str) -> Result<String>,
    ) -> Result<Self> {
        if !transfer.unpacks {
            let message = format!("COPY {url}: only files of the context are copied: ADD fetches");
            return Err(Error::new(Kind::Invalid, message));
        }
        let path = url.split(['?', '#']).next().unwrap_or_default();
        if !url.starts_with("http") || path.ends_with(".git") {
            let message = format!(
                "ADD {url}: repositories are not fetched: do it with RUN, or before the build"
            );
            return Err(Error::new(Kind::Unsupported, message));
        }
        let checksum = transfer.checksum.as_deref().map(expand).transpose()?;
        let checksum = checksum.map(|text| {
            let hex = text.strip_prefix("sha256:").map(str::to_ascii_lowercase);
            let is_digest =
                |hex: &String| hex.len() == 64 && hex.bytes().all(|c| c.is_ascii_hexdigit());
            hex.filter(is_digest).ok_or_else(|| {
                let message = format!("ADD --checksum={text}: sha256: and 64 digits are needed");
                Error::new(Kind::Invalid, message)
            })
        });
        let (_scheme, place) = path.split_once("://").unwrap_or_default();
        let name = place.split_once('/').and_then(|(_host, path)| path.rsplit('/').next());
        Ok(Self {
            url: url.to_owned(),
            // As BuildKit calls it.
            name: name.filter(|name| !name.is_empty()).unwrap_or("__unnamed__").to_owned(),
            checksum: checksum.transpose()?,
            fetched: None,
        })
    }

    /// Adds what it is: with a checksum nothing is fetched for that.
    pub(crate) fn add_to(&mut self, builder: &Builder<'_>, key: &mut Key) -> Result<()> {
        key.add("name", &self.name);
        let content = match &self.checksum {
            Some(checksum) => checksum.clone(),
            None => self.fetch(builder)?,
        };
        key.add("content", content);
        Ok(())
    }

    /// What is there, from its beginning, and when it was last changed.
    pub(crate) fn file(&mut self, builder: &Builder<'_>) -> Result<(File, Option<Timestamp>)> {
        if self.fetched.is_none() {
            self.fetch(builder)?;
        }
        let missing = || Error::new(Kind::System, format!("ADD {}: it is gone", self.url));
        self.fetched.take().ok_or_else(missing)
    }

    /// Fetches it; gives its SHA-256, which must be the one that is asked for.
    fn fetch(&mut self, builder: &Builder<'_>) -> Result<String> {
        let url = &self.url;
        let failed =
            |error| Error::new(Kind::System, format!("ADD {url}: it can't be kept")).because(error);
        let path = builder.work.new_path();
        let mut file =
            File::options().create_new(true).read(true).write(true).open(path).map_err(failed)?;
        let modified = builder.host.fetch(url, &mut file).map_err(|cause| {
            Error::new(Kind::NotFound, format!("ADD {url}: it can't be had")).because(cause)
        })?;
        file.rewind().map_err(failed)?;
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; 128 << 10]);
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => break,
                count => hash.update(&buffer[..count]),
            }
        }
        file.rewind().map_err(failed)?;
        let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if let Some(checksum) = &self.checksum
            && *checksum != digest
        {
            let message = format!("ADD {url}: it is sha256:{digest}, not sha256:{checksum}");
            return Err(Error::new(Kind::Failed, message));
        }
        self.fetched = Some((file, modified));
        Ok(digest)
    }
}
