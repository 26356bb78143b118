//! Compiles the built-in seccomp profile into a filter, once, so that no start has to.
//!
//! The filter is a binary search over the numbers of the system calls: the kernel runs it in some twenty
//! steps, and fills its cache of calls that are always allowed (Linux 5.11) in a fraction of the time that
//! a list of comparisons takes.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a build script ends the build by a panic: that is its error message"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::{env, fs, path::Path};

// linux/bpf_common.h and linux/seccomp.h.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

type Instruction = (u16, u8, u8, u32);

#[derive(Clone, PartialEq, Eq)]
enum Action {
    Return(u32),
    /// Allowed if all conditions of any alternative hold.
    AllowIf(Vec<Vec<Condition>>),
}

#[derive(Clone, PartialEq, Eq)]
struct Condition {
    argument: u32,
    mask: u32,
    value: u32,
    equal: bool,
}

fn main() {
    println!("cargo::rerun-if-changed=seccomp/default.profile");
    println!("cargo::rerun-if-changed=build.rs");
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");
    let (number, audit): (fn(&str) -> Option<u32>, u32) = match architecture.as_str() {
        "x86_64" => (x86_64, 0xC000_003E),
        "aarch64" => (aarch64, 0xC000_00B7),
        other => panic!("the runtime has no seccomp profile for {other}"),
    };
    let profile = fs::read_to_string("seccomp/default.profile").expect("the profile is there");
    let actions = parse(&profile, number);
    let mut program = vec![
        (LOAD, 0, 0, ARCHITECTURE),
        // A 32-bit system call means something else by the same number.
        (JUMP_EQUAL, 1, 0, audit),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER),
    ];
    if architecture == "x86_64" {
        // The x32 calls have bit 30 set; they are as unknown as any other number.
        program.push((JUMP_GREATER_EQUAL, 0, 1, 0x4000_0000));
        program.push((RETURN, 0, 0, ERRNO | ENOSYS));
    }
    program.extend(search(&ranges(&actions)));
    let mut text = String::from("&[\n");
    for (code, jt, jf, k) in &program {
        writeln!(text, "    SeccompInstruction {{ code: {code}, jt: {jt}, jf: {jf}, k: {k} }},")
            .expect("a string takes all");
    }
    text.push(']');
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("default_filter.rs"), text).expect("OUT_DIR is writable");
}

fn x86_64(name: &str) -> Option<u32> {
    name.parse().ok().map(|number: syscalls::x86_64::Sysno| number as u32)
}

fn aarch64(name: &str) -> Option<u32> {
    name.parse().ok().map(|number: syscalls::aarch64::Sysno| number as u32)
}

/// The action of each system call that the profile names.
fn parse(profile: &str, number: fn(&str) -> Option<u32>) -> BTreeMap<u32, Action> {
    let mut actions = BTreeMap::new();
    for line in profile.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some((verb, rest)) = line.split_once(' ') else {
            assert!(line.is_empty(), "profile: {line}");
            continue;
        };
        if let Some((name, condition)) = rest.split_once(" if ") {
            assert_eq!(verb, "allow", "profile: {line}");
            let alternative: Vec<Condition> =
                condition.split(" and ").map(parse_condition).collect();
            if let Some(number) = number(name.trim()) {
                let entry = actions.entry(number).or_insert_with(|| Action::AllowIf(Vec::new()));
                match entry {
                    Action::AllowIf(alternatives) => alternatives.push(alternative),
                    Action::Return(_) => panic!("profile: {name} is named twice"),
                }
            }
            continue;
        }
        let action = match verb {
            "allow" => ALLOW,
            "deny" => ERRNO | EPERM,
            _ => panic!("profile: {line}"),
        };
        for name in rest.split_whitespace() {
            if let Some(number) = number(name) {
                let twice = actions.insert(number, Action::Return(action)).is_some();
                assert!(!twice, "profile: {name} is named twice");
            }
        }
    }
    actions
}

/// `argN [& MASK] ==|!= VALUE`
fn parse_condition(text: &str) -> Condition {
    let number = |text: &str| -> u32 {
        let text = text.trim();
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => text.parse(),
        };
        parsed.unwrap_or_else(|error| panic!("profile: {text}: {error}"))
    };
    let equal = text.contains("==");
    let (left, value) = text
        .split_once(if equal { "==" } else { "!=" })
        .unwrap_or_else(|| panic!("profile: {text}: == or != is needed"));
    let (argument, mask) = match left.split_once('&') {
        Some((argument, mask)) => (argument, number(mask)),
        None => (left, u32::MAX),
    };
    let argument = argument.trim().strip_prefix("arg").expect("profile: argN is needed");
    Condition { argument: number(argument), mask, value: number(value), equal }
}

/// The numbers in order, neighbours of one action together, gaps being unknown calls.
fn ranges(actions: &BTreeMap<u32, Action>) -> Vec<(u32, Action)> {
    let unknown = Action::Return(ERRNO | ENOSYS);
    let mut ranges: Vec<(u32, Action)> = Vec::new();
    let mut add = |from: u32, action: Action| {
        if ranges.last().is_none_or(|(_, last)| *last != action) {
            ranges.push((from, action));
        }
    };
    let mut next = 0;
    for (&number, action) in actions {
        if number > next {
            add(next, unknown.clone());
        }
        add(number, action.clone());
        next = number + 1;
    }
    add(next, unknown);
    ranges
}

/// A binary search; the accumulator holds the number.
fn search(ranges: &[(u32, Action)]) -> Vec<Instruction> {
    if let [(_, action)] = ranges {
        return leaf(action);
    }
    let (left, right) = ranges.split_at(ranges.len() / 2);
    let below = search(left);
    let mut code = vec![
        (JUMP_GREATER_EQUAL, 0, 1, right[0].0),
        (JUMP, 0, 0, u32::try_from(below.len()).expect("a filter is short")),
    ];
    code.extend(below);
    code.extend(search(right));
    code
}

/// What is done about one action.
fn leaf(action: &Action) -> Vec<Instruction> {
    match action {
        Action::Return(value) => vec![(RETURN, 0, 0, *value)],
        Action::AllowIf(alternatives) => {
            let mut code = Vec::new();
            for alternative in alternatives {
                code.extend(conjunction(alternative));
            }
            code.push((RETURN, 0, 0, ERRNO | EPERM));
            code
        }
    }
}

/// Returns ALLOW if all conditions hold, else goes on behind itself.
fn conjunction(conditions: &[Condition]) -> Vec<Instruction> {
    let mut code: Vec<Instruction> = vec![(RETURN, 0, 0, ALLOW)];
    for condition in conditions.iter().rev() {
        let past = u8::try_from(code.len()).expect("a condition is short");
        let (jt, jf) = if condition.equal { (0, past) } else { (past, 0) };
        let mut test = vec![(LOAD, 0, 0, FIRST_ARGUMENT + 8 * condition.argument)];
        if condition.mask != u32::MAX {
            test.push((AND, 0, 0, condition.mask));
        }
        test.push((JUMP_EQUAL, jt, jf, condition.value));
        test.append(&mut code);
        code = test;
    }
    code
}
