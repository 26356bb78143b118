//! What a Dockerfile says, found out without touching the machine: the pure half of `sandbar build`.
#![forbid(unsafe_code)]

mod config;
mod dockerfile;
mod error;
mod ignore;
mod instant;
mod pattern;
mod platform;
mod scope;

pub use error::{Error, Kind, Result};
pub use instant::source_date_epoch;
