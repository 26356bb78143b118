//! How the program is compiled and linked, whoever does it: this crate's build script for the target of the
//! workspace, and `cargo xtask pause-image` for every architecture.

/// The page that the program is to fit in, in bytes.
pub(crate) const LIMIT: u64 = 4096;

/// The layout, for the linker.
pub(crate) const LAYOUT: &str = "pause.ld";

/// How to compile. How to link is in [`LINK`].
pub(crate) const COMPILE: &[&str] = &[
    "--crate-name=pause",
    "--crate-type=bin",
    "--edition=2024",
    // The smallest code: nothing here is worth speed.
    "-Copt-level=z",
    // One unit, so that all inlining is possible.
    "-Ccodegen-units=1",
    // Nothing unwinds: no landing pads, no personality function, no tables.
    "-Cpanic=abort",
    "-Cforce-unwind-tables=no",
    // A fixed address. Position independence costs relocations that only a C library's start code would apply.
    "-Crelocation-model=static",
    // No page that is writable until relocated: there is neither relocation nor writable page.
    "-Crelro-level=off",
    // No symbols and no debugging information.
    "-Cstrip=symbols",
];

/// What to tell the linker. The program needs no interpreter and no dynamic section: it is at a fixed address.
pub(crate) const LINK: &[&str] = &[
    "-static",
    "-no-pie",
    // No note with a checksum of the file.
    "--build-id=none",
    // Sections follow one another in the file as in memory. Otherwise code begins a page of its own.
    "-z",
    "noseparate-code",
];
