//! What machine an image is for.

use std::fmt;
use std::str::FromStr;

use oci_spec::image::Arch;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, ErrorKind, Result, shown};

/// An operating system, a processor's architecture and, with some, its variant: `linux/arm/v7`.
///
/// The names are those of [Go](https://go.dev/doc/install/source#environment), as images use them. Versions of the
/// operating system are not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    os: String,
    architecture: String,
    /// Empty for architectures that have none.
    variant: String,
}

impl Platform {
    /// Linux on this machine's architecture.
    #[must_use]
    pub fn host() -> Self {
        Self::new("linux", &Arch::default().to_string(), None)
    }

    /// By its names.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let architecture = match architecture {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        // Who names no variant means the one that all since have.
        let usual = match architecture {
            "amd64" => "v1",
            "arm" => "v7",
            "arm64" => "v8",
            _ => "",
        };
        let variant = variant.filter(|variant| !variant.is_empty()).unwrap_or(usual);
        Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        }
    }

    /// The same, with what is given in place of its own.
    #[must_use]
    pub fn with(
        &self,
        os: Option<&str>,
        architecture: Option<&str>,
        variant: Option<&str>,
    ) -> Self {
        let own = (architecture.is_none() && os.is_none()).then_some(&*self.variant);
        let (os, architecture) =
            (os.unwrap_or(&self.os), architecture.unwrap_or(&self.architecture));
        Self::new(os, architecture, variant.or(own))
    }

    /// The operating system.
    #[must_use]
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The processor's architecture.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant, where it is not the one that all have.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        match (&*self.architecture, &*self.variant) {
            (_, "") | ("amd64", "v1") | ("arm64", "v8") => None,
            (_, variant) => Some(variant),
        }
    }

    /// What a descriptor in an index says its image is for.
    pub(crate) fn of(platform: &oci_spec::image::Platform) -> Self {
        let (os, architecture) = (platform.os().to_string(), platform.architecture().to_string());
        Self::new(&os, &architecture, platform.variant().as_deref())
    }

    /// What a configuration says its image is for.
    #[must_use]
    pub fn of_config(config: &oci_spec::image::ImageConfiguration) -> Self {
        let (os, architecture) = (config.os().to_string(), config.architecture().to_string());
        Self::new(&os, &architecture, config.variant().as_deref())
    }

    /// Whether the two are the same but for the variant, which configurations often leave out.
    #[must_use]
    pub fn has_machine_of(&self, other: &Self) -> bool {
        (&self.os, &self.architecture) == (&other.os, &other.architecture)
    }

    /// Fails if a configuration is one for another machine.
    pub(crate) fn require(
        &self,
        what: &str,
        config: &oci_spec::image::ImageConfiguration,
    ) -> Result<()> {
        let is = Self::of_config(config);
        match self.has_machine_of(&is) {
            true => Ok(()),
            false => {
                let message = format!("{what} is an image for {is}, and not for {self}");
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }

    /// How well an image for `other` runs here: 0 is best, `None` is not at all. An older variant runs on a newer one.
    pub(crate) fn fit(&self, other: &Self) -> Option<u32> {
        if !self.has_machine_of(other) {
            return None;
        }
        let version = |variant: &str| variant.strip_prefix('v')?.parse::<u32>().ok();
        match (version(&self.variant), version(&other.variant)) {
            (Some(mine), Some(theirs)) => mine.checked_sub(theirs),
            _ => (self.variant == other.variant).then_some(0),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    /// Reads `os/architecture` or `os/architecture/variant`.
    fn from_str(text: &str) -> Result<Self> {
        let word = |word: &&str| {
            !word.is_empty()
                && word.bytes().all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
        };
        let parts: Vec<_> = text.split('/').collect();
        match parts[..] {
            [os, architecture] if parts.iter().all(word) => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] if parts.iter().all(word) => {
                Ok(Self::new(os, architecture, Some(variant)))
            }
            _ => Err(Error::new(
                ErrorKind::InvalidReference,
                format!(
                    "{} is not a platform: write OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, as in linux/arm64",
                    shown(text.as_bytes())
                ),
            )),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match self.variant() {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Platform {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_variant_runs_on_a_newer_one() {
        let fit = |mine: &str, theirs: &str| {
            mine.parse::<Platform>().unwrap().fit(&theirs.parse().unwrap())
        };
        assert_eq!(fit("linux/arm/v7", "linux/arm/v7"), Some(0));
        assert_eq!(fit("linux/arm/v7", "linux/arm"), Some(0));
        assert_eq!(fit("linux/arm/v7", "linux/arm/v6"), Some(1));
        assert_eq!(fit("linux/arm/v6", "linux/arm/v7"), None);
        assert_eq!(fit("linux/arm64", "linux/arm64/v8"), Some(0));
        assert_eq!(fit("linux/x86_64", "linux/amd64"), Some(0));
        assert_eq!(fit("linux/amd64", "linux/amd64/v3"), None);
        assert_eq!(fit("linux/riscv64", "linux/riscv64"), Some(0));
        assert_eq!(fit("linux/amd64", "windows/amd64"), None);
        assert_eq!("linux/arm/v6".parse::<Platform>().unwrap().to_string(), "linux/arm/v6");
        assert_eq!("linux/aarch64".parse::<Platform>().unwrap().to_string(), "linux/arm64");
        for text in ["", "linux", "linux/", "a/b/c/d", "linux/a b"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
