//! Compiles `src/main.rs` to the ELF file that the library embeds.
//!
//! Stable cargo can't make a program a dependency of a library, so this asks the compiler directly, for the
//! target that the library is compiled for. The flags of the profile and of the environment don't apply: the
//! program is the same in every build.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a build script speaks to cargo through standard output, and to people through the other"
)]

#[path = "flags.rs"]
mod flags;

use flags::{COMPILE, LAYOUT, LIMIT, LINK};
use std::{
    env,
    ffi::OsString,
    fs,
    path::PathBuf,
    process::{Command, ExitCode},
};

/// What to tell the C compiler that drives the linker: the program starts at its own `_start`, and needs no library.
const DRIVE: &[&str] = &["-nostartfiles", "-nostdlib", "-static", "-no-pie"];

/// What to tell the linker besides for the binary that cargo builds of the same source, which nobody embeds.
///
/// A profile with debug assertions leaves checks in it that end in a panic, and the panics of `core` want an
/// unwinder and a C library's memory functions. None is ever reached, so none needs to be there.
const LINK_CARGO: &[&str] = &["-Wl,--unresolved-symbols=ignore-all"];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={}", message.replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    for input in ["build.rs", "flags.rs", LAYOUT, "src"] {
        println!("cargo::rerun-if-changed={input}");
    }
    check_target()?;

    let link = || {
        let through = LINK.iter().map(|argument| format!("-Wl,{argument}"));
        DRIVE.iter().map(|&argument| argument.to_owned()).chain(through)
    };
    for argument in link().chain(LINK_CARGO.iter().map(|&argument| argument.to_owned())) {
        println!("cargo::rustc-link-arg-bin=pause={argument}");
    }

    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let program = PathBuf::from(variable("OUT_DIR")?).join("pause");
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc.args(COMPILE).arg("--target").arg(variable("TARGET")?);
    if env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|environment| environment == "musl") {
        // These targets bring a C library's start files with them, with a `_start` of their own.
        rustc.arg("-Clink-self-contained=no");
    }
    for argument in link() {
        rustc.arg(format!("-Clink-arg={argument}"));
    }
    // One page that can be executed and not written to, and a stack that can't be executed.
    let mut layout = OsString::from("-Clink-arg=");
    layout.push(root.join(LAYOUT));
    rustc.arg("-Clink-arg=-T").arg(layout);
    // Set when cargo's configuration names a linker for the target, as cross compiling usually needs.
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut argument = OsString::from("-Clinker=");
        argument.push(linker);
        rustc.arg(argument);
    }
    rustc.arg("-o").arg(&program).arg(root.join("src/main.rs"));

    let output = rustc.output().map_err(|error| format!("cannot run {rustc:?}: {error}"))?;
    if !output.status.success() {
        // Cargo shows it, as it does all that a build script that failed has written.
        eprintln!("{rustc:?}\n{}", String::from_utf8_lossy(&output.stderr));
        return Err(format!("the compiler could not build pause ({})", output.status));
    }
    check_size(&program)
}

/// The value of an environment variable that cargo sets for every build script.
fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("{name} is not set: this runs under cargo only"))
}

fn check_target() -> Result<(), String> {
    let part = |name| env::var(name).unwrap_or_default();
    let (system, architecture) = (part("CARGO_CFG_TARGET_OS"), part("CARGO_CFG_TARGET_ARCH"));
    // Other ABIs of these architectures have layouts of their own.
    let width = part("CARGO_CFG_TARGET_POINTER_WIDTH");
    let order = part("CARGO_CFG_TARGET_ENDIAN");
    match (system.as_str(), architecture.as_str(), width.as_str(), order.as_str()) {
        ("linux", "x86_64" | "aarch64" | "riscv64" | "powerpc64", "64", "little")
        | ("linux", "arm", "32", "little")
        | ("linux", "s390x", "64", "big") => Ok(()),
        _ => Err(format!(
            "pause exists for Linux on x86-64, aarch64, arm, riscv64, s390x and powerpc64le, not for {}",
            part("TARGET")
        )),
    }
}

fn check_size(program: &PathBuf) -> Result<(), String> {
    let size = fs::metadata(program)
        .map_err(|error| format!("cannot read the size of {}: {error}", program.display()))?
        .len();
    if size > LIMIT {
        return Err(format!("pause has {size} bytes, and is to fit in a page of {LIMIT}"));
    }
    Ok(())
}
