//! What an owner may have, written down under its name.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    net::IpAddr,
    path::PathBuf,
};

use crate::{Error, PodAddresses, Result};

/// Longer than two addresses can be.
const MOST: u64 = 128;

/// An owner's file, locked until it is dropped.
pub(super) struct Record {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

/// The addresses that a record's text names.
pub(super) fn parse(text: &str) -> Vec<IpAddr> {
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// One IPv4 address, perhaps one IPv6 address beside it.
pub(super) fn pair(addresses: &[IpAddr]) -> Option<PodAddresses> {
    match *addresses {
        [IpAddr::V4(v4)] => Some(PodAddresses { v4, v6: None }),
        [IpAddr::V4(v4), IpAddr::V6(v6)] => Some(PodAddresses { v4, v6: Some(v6) }),
        _ => None,
    }
}

/// The addresses one by one.
pub(super) fn each(addresses: PodAddresses) -> impl Iterator<Item = IpAddr> {
    let PodAddresses { v4, v6 } = addresses;
    [Some(IpAddr::V4(v4)), v6.map(IpAddr::V6)].into_iter().flatten()
}

impl Record {
    pub(super) fn addresses(&mut self) -> Result<Vec<IpAddr>> {
        let mut text = String::new();
        match (&self.file).take(MOST).read_to_string(&mut text) {
            Ok(_) => Ok(parse(&text)),
            Err(error) => Err(self.failed("read", error)),
        }
    }

    pub(super) fn write(&mut self, addresses: PodAddresses) -> Result<()> {
        let text: Vec<String> = each(addresses).map(|address| address.to_string()).collect();
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(text.join("\n").as_bytes()))
            .map_err(|error| self.failed("write", error))
    }

    pub(super) fn remove(self) -> Result<()> {
        fs::remove_file(&self.path).map_err(|error| self.failed("unlink", error))
    }

    fn failed(&self, call: &str, error: io::Error) -> Error {
        Error::system(format!("{call} {}", self.path.display()), error)
    }
}
