//! What a new image's configuration says.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use oci_spec::image::{
    Arch, Config, ConfigBuilder, History, HistoryBuilder, ImageConfiguration,
    ImageConfigurationBuilder, Os, RootFsBuilder,
};
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::store::encode;

/// How containers of a new image run, unless told otherwise
/// ([image configuration](https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md)).
///
/// What is empty or `None` is left out of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Arguments for the entry point, or the command if there is none.
    pub cmd: Vec<String>,
    /// The program and its first arguments.
    pub entrypoint: Vec<String>,
    /// `NAME=value` each.
    pub env: Vec<String>,
    /// An absolute path.
    pub working_dir: Option<String>,
    /// `user`, `uid`, `user:group` or `uid:gid`.
    pub user: Option<String>,
    /// `port`, `port/tcp`, `port/udp`.
    pub exposed_ports: Vec<String>,
    /// A signal's name or number.
    pub stop_signal: Option<String>,
    /// Names and values.
    pub labels: BTreeMap<String, String>,
    /// Absolute paths.
    pub volumes: Vec<String>,
    /// Instructions for who builds upon the image, which no standard has, and all builders know.
    pub on_build: Vec<String>,
    /// When the image was made. Without it the same content is the same image at any time.
    pub created: Option<Timestamp>,
}

impl Settings {
    /// The configuration of an image of this one layer, as the bytes that are its digest.
    pub(super) fn configuration(&self, layer: Digest, how: &str) -> Result<Vec<u8>> {
        let invalid = |e| {
            Error::new(ErrorKind::Unsupported, "an image's settings can't be written").because(e)
        };
        let rootfs = RootFsBuilder::default()
            .typ("layers")
            .diff_ids(vec![layer.to_string()])
            .build()
            .map_err(invalid)?;
        let mut builder = ImageConfigurationBuilder::default()
            .architecture(Arch::default())
            .os(Os::Linux)
            .config(self.config().map_err(invalid)?)
            .history(vec![self.history(how).map_err(invalid)?])
            .rootfs(rootfs);
        if let Some(created) = self.created {
            builder = builder.created(created.to_string());
        }
        let configuration: ImageConfiguration = builder.build().map_err(invalid)?;
        // By way of a value whose keys are in order: the same settings are then the same bytes, and the same image.
        let mut value: Value = serde_json::to_value(configuration).map_err(|e| {
            Error::new(ErrorKind::Corrupt, "a configuration can't be written").because(e)
        })?;
        if !self.on_build.is_empty() {
            value["config"]["OnBuild"] = self.on_build.iter().map(String::as_str).collect();
        }
        value.sort_all_objects();
        encode(&value)
    }

    fn config(&self) -> std::result::Result<Config, oci_spec::OciSpecError> {
        let mut builder = ConfigBuilder::default();
        if !self.cmd.is_empty() {
            builder = builder.cmd(self.cmd.clone());
        }
        if !self.entrypoint.is_empty() {
            builder = builder.entrypoint(self.entrypoint.clone());
        }
        if !self.env.is_empty() {
            builder = builder.env(self.env.clone());
        }
        if !self.exposed_ports.is_empty() {
            builder = builder.exposed_ports(self.exposed_ports.clone());
        }
        if let Some(directory) = &self.working_dir {
            builder = builder.working_dir(directory.clone());
        }
        if let Some(user) = &self.user {
            builder = builder.user(user.clone());
        }
        if let Some(signal) = &self.stop_signal {
            builder = builder.stop_signal(signal.clone());
        }
        if !self.labels.is_empty() {
            builder = builder.labels(self.labels.clone().into_iter().collect::<HashMap<_, _>>());
        }
        if !self.volumes.is_empty() {
            builder = builder.volumes(self.volumes.clone());
        }
        builder.build()
    }

    fn history(&self, how: &str) -> std::result::Result<History, oci_spec::OciSpecError> {
        let builder = HistoryBuilder::default().created_by(how);
        match self.created {
            Some(created) => builder.created(created.to_string()).build(),
            None => builder.build(),
        }
    }
}
