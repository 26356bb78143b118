//! What is to be built, and what whoever builds brings along.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use jiff::Timestamp;
use sandbar_engine::{PodOptions, Sharing, StreamName};
use sandbar_image::{ImageId, Platform, Reference};

/// What is to be built.
#[derive(Debug)]
pub struct Request {
    /// The files that can be copied.
    pub context: ContextSource,
    /// What is done.
    pub dockerfile: DockerfileSource,
    /// What the image is called.
    pub names: Vec<Reference>,
    /// What `ARG`s are in place of their defaults.
    pub arguments: BTreeMap<String, String>,
    /// Labels of the image beside the Dockerfile's.
    pub labels: BTreeMap<String, String>,
    /// The stage that is built; the last one if none.
    pub target: Option<String>,
    /// The machine that the image is for; this one if none.
    pub platform: Option<Platform>,
    /// Whether steps that were done before are not done again.
    pub uses_cache: bool,
    /// Whether base images are pulled even where they are there.
    pub pulls: bool,
    /// What `RUN --mount=type=secret` can ask for.
    pub secrets: BTreeMap<String, Secret>,
    /// The pods in which `RUN` runs: their network and what they find in `/etc/hosts`.
    pub pod: PodOptions,
    /// The network of `RUN`, where it is not one of their pods' own.
    pub net: Option<Sharing>,
    /// No time in the image is later, and all that is made says it was made then
    /// ([`SOURCE_DATE_EPOCH`](https://reproducible-builds.org/specs/source-date-epoch/)).
    pub epoch: Option<Timestamp>,
}

/// Where the files are that can be copied.
#[derive(Debug)]
pub enum ContextSource {
    /// A directory.
    Directory(PathBuf),
    /// An archive, plain or compressed; or the Dockerfile alone, which is then all there is.
    Stream(File),
}

/// Where the Dockerfile is.
#[derive(Debug)]
pub enum DockerfileSource {
    /// The context's own.
    Usual,
    /// A file; of an archive's where the context is one.
    Path(PathBuf),
    /// Its text.
    Text(String),
}

/// Something that is shown to a `RUN` and to nobody else.
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// What a build needs of whoever builds.
pub trait Host {
    /// Brings the image `name` in, for `platform`.
    ///
    /// # Errors
    /// Why it can't be had.
    fn pull(&self, name: &str, platform: &Platform) -> Result<ImageId, Cause>;

    /// Brings what is at an address in, into `file`; says when it was last changed, if that is known.
    ///
    /// # Errors
    /// Why it can't be had.
    fn fetch(&self, url: &str, file: &mut File) -> Result<Option<Timestamp>, Cause>;

    /// Tells how the build goes on.
    ///
    /// # Errors
    /// What makes it pointless to go on.
    fn tell(&self, event: Event<'_>) -> Result<(), Cause>;
}

/// An error of whoever builds.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What is told of a build.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A step begins, or was done before.
    Step {
        /// The name of its stage.
        stage: &'a str,
        /// Which of its stage's it is, from 1.
        number: usize,
        /// How many its stage has.
        total: usize,
        /// The instruction.
        text: &'a str,
        /// Whether an earlier build has done it.
        cached: bool,
    },
    /// A `RUN` printed something.
    Output(StreamName, &'a [u8]),
    /// Something is worth knowing, though nothing failed.
    Note(&'a str),
}
