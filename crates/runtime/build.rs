//! Compiles the built-in seccomp profile into a filter, once, so that no start has to.
//!
//! What depends on the process's capabilities is left as a mark that a start replaces
//! (`src/seccomp/built_in.rs`); all else is final.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a build script ends the build by a panic: that is its error message"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::{env, fs, path::Path};

#[path = "src/seccomp/bpf.rs"]
#[allow(dead_code, reason = "a profile of a bundle's needs more of it")]
mod bpf;
#[path = "src/seccomp/calls.rs"]
#[allow(dead_code, reason = "a profile of a bundle's needs more of it")]
mod calls;

use bpf::{Call, Comparison, Condition, Rule, Section, value};
use calls::Architecture;

const EPERM: u32 = 1;
const EINVAL: u32 = 22;
const ENOSYS: u32 = 38;

/// No action of the kernel's, which kills for one that it does not know: a mark that is left is no hole. The
/// lower bits are an index of the grants.
const MARK: u32 = 0x4000_0000;

/// The capabilities any of which is enough, and the value for who has none of them.
type Grant = (u64, u32);

fn main() {
    for file in
        ["seccomp/default.profile", "src/seccomp/bpf.rs", "src/seccomp/calls.rs", "build.rs"]
    {
        println!("cargo::rerun-if-changed={file}");
    }
    let machine = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    let architectures = match machine.as_str() {
        "x86_64" => [calls::X86_64, calls::X86],
        "aarch64" => [calls::AARCH64, calls::ARM],
        other => panic!("the runtime has no seccomp profile for {other}"),
    };
    let profile = fs::read_to_string("seccomp/default.profile").expect("the profile is there");
    let mut grants = Vec::new();
    let sections = architectures.map(|architecture| Section {
        audit: architecture.audit,
        // The x32 calls are as unknown as any other number.
        others: vec![(0, value::ERRNO | ENOSYS)],
        calls: parse(&profile, architecture, &mut grants),
    });
    let program = bpf::compile(&sections, value::KILL_PROCESS).expect("the profile is short");

    let mut text =
        String::from("/// The built-in profile.\nconst FILTER: &[SeccompInstruction] = &[\n");
    for (code, jt, jf, k) in &program {
        writeln!(text, "    SeccompInstruction {{ code: {code}, jt: {jt}, jf: {jf}, k: {k} }},")
            .expect("a string takes all");
    }
    writeln!(text, "];\n/// What no value of the kernel's has.\nconst MARK: u32 = {MARK};")
        .expect("a string takes all");
    text.push_str(
        "/// By a mark's lower bits: capabilities of which one is enough, and the value without.\n",
    );
    writeln!(text, "const GRANTS: &[(u64, u32)] = &{grants:?};").expect("a string takes all");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("default_filter.rs"), text).expect("OUT_DIR is writable");
}

/// What each system call that the profile names gets.
fn parse(
    profile: &str,
    architecture: Architecture,
    grants: &mut Vec<Grant>,
) -> BTreeMap<u32, Call> {
    /// `None`: nothing was said yet of the calls for which no condition holds.
    type Unfinished = (Vec<Rule>, Option<u32>);
    let mut calls: BTreeMap<u32, Unfinished> = BTreeMap::new();
    for line in profile.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (value, rest) = action(line, grants);
        let (names, conditions) = match rest.split_once(" if ") {
            Some((names, conditions)) => {
                (names, conditions.split(" and ").map(parse_condition).collect())
            }
            None => (rest, Vec::new()),
        };
        for name in names.split_whitespace() {
            assert!(calls::is_known(name), "profile: no architecture has {name}");
            let Some(number) = (architecture.number)(name) else { continue };
            let (rules, otherwise) = calls.entry(number).or_default();
            if conditions.is_empty() {
                assert!(otherwise.replace(value).is_none(), "profile: {name} is named twice");
            } else {
                rules.push(Rule { conditions: conditions.clone(), value });
            }
        }
    }
    let finish = |(rules, otherwise): Unfinished| Call {
        rules,
        otherwise: otherwise.unwrap_or(value::ERRNO | EPERM),
    };
    calls.into_iter().map(|(number, call)| (number, finish(call))).collect()
}

/// The value that a line gives, and the rest of it: names and conditions.
fn action<'a>(line: &'a str, grants: &mut Vec<Grant>) -> (u32, &'a str) {
    let (verb, rest) = line.split_once(' ').unwrap_or_else(|| panic!("profile: {line}"));
    match verb {
        "allow" => (value::ALLOW, rest),
        "deny" => (value::ERRNO | EPERM, rest),
        "with" => {
            let (names, rest) =
                rest.split_once(" allow ").unwrap_or_else(|| panic!("profile: {line}"));
            let (rest, errno) = rest.rsplit_once(" or ").unwrap_or((rest, "EPERM"));
            let errno = match errno {
                "EPERM" => EPERM,
                "EINVAL" => EINVAL,
                "ENOSYS" => ENOSYS,
                other => panic!("profile: {other} in {line}"),
            };
            let capabilities = names.split('|').fold(0, |set, name| set | 1 << capability(name));
            let grant = (capabilities, value::ERRNO | errno);
            let index = grants.iter().position(|known| *known == grant).unwrap_or_else(|| {
                grants.push(grant);
                grants.len() - 1
            });
            (MARK | u32::try_from(index).expect("grants are few"), rest)
        }
        _ => panic!("profile: {line}"),
    }
}

/// Its number in linux/capability.h.
fn capability(name: &str) -> u32 {
    match name {
        "CAP_DAC_READ_SEARCH" => 2,
        "CAP_SYS_MODULE" => 16,
        "CAP_SYS_RAWIO" => 17,
        "CAP_SYS_CHROOT" => 18,
        "CAP_SYS_PTRACE" => 19,
        "CAP_SYS_PACCT" => 20,
        "CAP_SYS_ADMIN" => 21,
        "CAP_SYS_BOOT" => 22,
        "CAP_SYS_NICE" => 23,
        "CAP_SYS_TIME" => 25,
        "CAP_SYS_TTY_CONFIG" => 26,
        "CAP_AUDIT_WRITE" => 29,
        "CAP_SYSLOG" => 34,
        "CAP_PERFMON" => 38,
        "CAP_BPF" => 39,
        other => panic!("profile: {other} has no number here"),
    }
}

/// `argN [& MASK] ==|!= VALUE`: of an argument that is an `int`, so that the upper half does not matter to
/// the kernel either.
fn parse_condition(text: &str) -> Condition {
    let number = |text: &str| -> u32 {
        let text = text.trim();
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        parsed.unwrap_or_else(|error| panic!("profile: {text}: {error}"))
    };
    let (comparison, sign) = match text.contains("==") {
        true => (Comparison::Equal, "=="),
        false => (Comparison::NotEqual, "!="),
    };
    let (left, value) =
        text.split_once(sign).unwrap_or_else(|| panic!("profile: {text}: == or != is needed"));
    let (argument, mask) = match left.split_once('&') {
        Some((argument, mask)) => (argument, number(mask)),
        None => (left, u32::MAX),
    };
    let argument = argument.trim().strip_prefix("arg").expect("profile: argN is needed");
    Condition {
        argument: number(argument),
        mask: u64::from(mask),
        comparison,
        value: u64::from(number(value)),
    }
}
