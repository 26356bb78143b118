//! What the embedded program does, as an ordinary process.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and may speak"
)]

mod file;
#[path = "../harness/mod.rs"]
mod harness;
mod refusals;
mod signals;
mod version;
