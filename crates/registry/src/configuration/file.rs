//! The format of a configuration file.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::short_names::Mode;
use super::unusable;
use crate::error::Result;

type Unknown = BTreeMap<String, IgnoredAny>;

#[derive(Deserialize)]
pub(super) struct File {
    #[serde(rename = "unqualified-search-registries")]
    pub(super) search: Option<Vec<String>>,
    #[serde(rename = "short-name-mode")]
    pub(super) short_name_mode: Option<Mode>,
    #[serde(default)]
    pub(super) aliases: BTreeMap<String, String>,
    #[serde(rename = "registry", default)]
    pub(super) rules: Vec<Registry>,
    pub(super) patience: Option<Waiting>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// How long registries are waited for: Sandbar's own.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Waiting {
    pub(super) connect_seconds: Option<NonZeroU32>,
    pub(super) stall_seconds: Option<NonZeroU32>,
    pub(super) attempts: Option<NonZeroU32>,
    pub(super) longest_pause_seconds: Option<u32>,
}

#[derive(Deserialize)]
pub(super) struct Registry {
    pub(super) prefix: Option<String>,
    pub(super) location: Option<String>,
    pub(super) insecure: Option<bool>,
    #[serde(default)]
    pub(super) blocked: bool,
    #[serde(rename = "mirror-by-digest-only", default)]
    pub(super) mirror_by_digest_only: bool,
    #[serde(rename = "mirror", default)]
    pub(super) mirrors: Vec<Mirror>,
    #[serde(flatten)]
    unknown: Unknown,
}

#[derive(Clone, Deserialize)]
pub(super) struct Mirror {
    pub(super) location: String,
    pub(super) insecure: Option<bool>,
    #[serde(rename = "pull-from-mirror", default)]
    pub(super) pulls: Pulls,
    #[serde(flatten)]
    unknown: Unknown,
}

/// What a mirror is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Pulls {
    #[default]
    All,
    DigestOnly,
    TagOnly,
}

impl File {
    pub(super) fn parse(text: &str, strict: bool) -> Result<Self> {
        let file: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            unusable(format!("line {line}: {}", e.message()))
        })?;
        if file.unknown.contains_key("registries") {
            return Err(unusable(
                "[registries.…] is version 1 of the format: write [[registry]] and \
                 unqualified-search-registries",
            ));
        }
        if strict {
            let of_rules = file.rules.iter().flat_map(|rule| {
                rule.unknown.keys().chain(rule.mirrors.iter().flat_map(|m| m.unknown.keys()))
            });
            if let Some(key) = file.unknown.keys().chain(of_rules).next() {
                return Err(unusable(format!("{key} is no setting of registries")));
            }
        }
        Ok(file)
    }
}
