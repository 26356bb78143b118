//! The program every pod begins with, as bytes to embed.
//!
//! `pause` holds a pod's namespaces open and, as process 1 of a pod that shares its PID namespace, is the
//! parent of its orphans. It does nothing: it ends on SIGINT or SIGTERM, and has the kernel reap for it.
//! The program itself is `src/main.rs`: freestanding, without the standard library or a C library.
//! `build.rs` compiles it for the target of this crate, and this library carries the result.
//!
//! ```
//! let elf = sandbar_pause::ELF;
//! assert!(elf.starts_with(b"\x7fELF") && elf.len() <= 4096);
//! ```
#![forbid(unsafe_code)]

/// The `pause` program: a static ELF executable for Linux on this crate's target architecture, at most
/// 4,096 bytes.
pub const ELF: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pause"));

/// The version that `pause -v` prints, after `pause `.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
