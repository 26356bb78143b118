//! Images made from Dockerfiles.
//!
//! [`build`] reads a Dockerfile, does what it says, and leaves an image in the engine's store. What is copied is
//! written into an overlay that is mounted nowhere; what is run is run in a container of the engine's; each of both
//! becomes a layer. Where images come from and who is told is the caller's: a [`Host`].
//!
//! ```no_run
//! use sandbar_build::{ContextSource, DockerfileSource, Event, Host, Request, build};
//! # use sandbar_image::{ImageId, Platform};
//! # fn example(host: &dyn Host, request: &Request) -> Result<(), Box<dyn std::error::Error>> {
//! let engine = sandbar_engine::Engine::open(sandbar_engine::Roots::default())?;
//! println!("{}", build(&engine, request, host)?);
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//! - Nothing of a context or an image leads out of it: all is reached by `openat2` with `RESOLVE_IN_ROOT`.
//! - A step whose parent, words and files are those of an earlier one is not done again.
//! - A killed build leaves nothing that the next one does not clear.
//! - A secret is in no layer, no key and no message.

#![forbid(unsafe_code)]

mod archive;
mod attributes;
mod builder;
mod cache;
mod canvas;
mod config;
mod configure;
mod context;
mod copying;
mod dockerfile;
mod error;
mod ignore;
mod instant;
mod kept;
mod layers;
mod mode;
mod owner;
mod pattern;
mod remote;
mod request;
mod run;
mod scope;
mod selection;
mod signals;
mod stage;
mod transfer;
mod tree;
mod workspace;

pub use builder::build;
pub use cache::images_of_steps;
pub use error::{Error, Kind, Result};
pub use instant::source_date_epoch;
pub use kept::{Cache, Kept, PrunedCaches, kept, prune_kept};
pub use request::{Cause, ContextSource, DockerfileSource, Event, Host, Request, Secret};
pub use workspace::needs_image;
