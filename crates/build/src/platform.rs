//! The machines that images are for: `linux/amd64`, `linux/arm/v7`.

use std::fmt;
use std::str::FromStr;

/// An operating system, an architecture and perhaps its variant, as the OCI names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) os: String,
    pub(crate) architecture: String,
    pub(crate) variant: Option<String>,
}

impl Platform {
    /// This machine's.
    pub(crate) fn host() -> Self {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: None }
    }

    /// What an image says; this machine's where it says nothing.
    pub(crate) fn new(os: Option<&str>, architecture: Option<&str>, variant: Option<&str>) -> Self {
        let host = Self::host();
        Self {
            os: os.map_or(host.os, str::to_owned),
            architecture: architecture.map_or(host.architecture, str::to_owned),
            variant: variant.filter(|variant| !variant.is_empty()).map(str::to_owned),
        }
    }

    /// Whether programs for the one run on the other.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.os == other.os && self.architecture == other.architecture
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split('/').collect();
        let usual = |word: &&str| {
            !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let (os, architecture, variant) = match words[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => ("", "", None),
        };
        if os != "linux" || !words.iter().all(usual) {
            return Err(format!(
                "platform '{text}': linux/ARCHITECTURE is needed, as in linux/arm64"
            ));
        }
        let (architecture, variant) = match (architecture, variant) {
            ("x86_64", variant) => ("amd64", variant),
            ("aarch64" | "arm64", None | Some("v8")) => ("arm64", None),
            other => other,
        };
        Ok(Self::new(Some(os), Some(architecture), variant))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}
