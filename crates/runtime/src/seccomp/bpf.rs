//! The compiler: what each system call of each architecture gets, in; a BPF program, out.
//!
//! It is used twice: by the build script for the built-in profile, and at a start for a profile of the
//! bundle's. So it knows neither a profile's syntax nor the names of system calls, and is built of `std` alone.
//!
//! A program is a binary search over the numbers of the system calls: the kernel runs it in some ten steps,
//! and fills its cache of calls that are always allowed (Linux 5.11) in a fraction of the time that a list of
//! comparisons takes. See `docs/design/0006-seccomp-compiler.md`.

use std::collections::BTreeMap;

/// What the kernel takes at most: `BPF_MAXINSNS` of linux/bpf_common.h.
pub(crate) const LONGEST: usize = 4096;

// linux/bpf_common.h.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_EQUAL: u16 = 0x35;
const AND: u16 = 0x54;
pub(crate) const RETURN: u16 = 0x06;

// Offsets in `struct seccomp_data` of linux/seccomp.h; halves as on a little-endian machine, as all are that
// Sandbar is built for.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Values that a filter returns (linux/seccomp.h); the lower half of some is an error number.
pub(crate) mod value {
    pub(crate) const KILL_PROCESS: u32 = 0x8000_0000;
    pub(crate) const KILL_THREAD: u32 = 0;
    pub(crate) const TRAP: u32 = 0x0003_0000;
    pub(crate) const ERRNO: u32 = 0x0005_0000;
    pub(crate) const NOTIFY: u32 = 0x7fc0_0000;
    pub(crate) const TRACE: u32 = 0x7ff0_0000;
    pub(crate) const LOG: u32 = 0x7ffc_0000;
    pub(crate) const ALLOW: u32 = 0x7fff_0000;
}

/// One instruction: `code`, `jt`, `jf` and `k` of `struct sock_filter`.
pub(crate) type Instruction = (u16, u8, u8, u32);

/// The system calls of one `AUDIT_ARCH_*`.
pub(crate) struct Section {
    /// The value of linux/audit.h.
    pub(crate) audit: u32,
    /// What calls that are not in `calls` get: from each number up, a value. The first is from 0.
    pub(crate) others: Vec<(u32, u32)>,
    /// By number.
    pub(crate) calls: BTreeMap<u32, Call>,
}

/// What one call gets: the value of the first rule that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) rules: Vec<Rule>,
    /// Where none does.
    pub(crate) otherwise: u32,
}

/// A value for the calls of which all conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) value: u32,
}

/// `argument & mask COMPARISON value & mask`, unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Condition {
    /// From 0 to 5.
    pub(crate) argument: u32,
    pub(crate) mask: u64,
    pub(crate) comparison: Comparison,
    pub(crate) value: u64,
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The program is longer than the kernel takes, by this many instructions in all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong(pub(crate) usize);

/// Compiles; what comes from an architecture that has no section gets `foreign`.
pub(crate) fn compile(sections: &[Section], foreign: u32) -> Result<Vec<Instruction>, TooLong> {
    let mut program = vec![(LOAD, 0, 0, ARCHITECTURE)];
    for section in sections {
        let mut body = vec![(LOAD, 0, 0, NUMBER)];
        body.extend(search(&ranges(section)));
        program.push((JUMP_EQUAL, 1, 0, section.audit));
        program.push((JUMP, 0, 0, length(&body)));
        program.append(&mut body);
    }
    program.push((RETURN, 0, 0, foreign));
    if program.len() > LONGEST { Err(TooLong(program.len())) } else { Ok(program) }
}

fn length(code: &[Instruction]) -> u32 {
    // A program that overflows this is refused for its length.
    u32::try_from(code.len()).unwrap_or(u32::MAX)
}

/// The numbers in order, neighbours that get the same together.
fn ranges(section: &Section) -> Vec<(u32, Call)> {
    let plain = |value: u32| Call { rules: Vec::new(), otherwise: value };
    let other = |number: u32| {
        let band = section.others.iter().rev().find(|(from, _)| *from <= number);
        plain(band.map_or(value::KILL_PROCESS, |(_, value)| *value))
    };
    let mut starts: BTreeMap<u32, Call> = BTreeMap::new();
    starts.insert(0, other(0));
    for (from, _) in &section.others {
        starts.insert(*from, other(*from));
    }
    for &number in section.calls.keys() {
        if let Some(next) = number.checked_add(1) {
            starts.insert(next, other(next));
        }
    }
    for (number, call) in &section.calls {
        starts.insert(*number, call.clone());
    }
    let mut ranges: Vec<(u32, Call)> = Vec::new();
    for (from, call) in starts {
        if ranges.last().is_none_or(|(_, last)| *last != call) {
            ranges.push((from, call));
        }
    }
    ranges
}

/// A binary search; the accumulator holds the number.
fn search(ranges: &[(u32, Call)]) -> Vec<Instruction> {
    let middle = ranges.len() / 2;
    let Some(((from, _), (left, right))) =
        ranges.get(middle).zip(ranges.split_at_checked(middle)).filter(|_| middle > 0)
    else {
        return ranges.first().map(|(_, call)| leaf(call)).unwrap_or_default();
    };
    let below = search(left);
    let mut code = match u8::try_from(below.len()) {
        Ok(far) => vec![(JUMP_GREATER_EQUAL, far, 0, *from)],
        Err(_) => vec![(JUMP_GREATER_EQUAL, 0, 1, *from), (JUMP, 0, 0, length(&below))],
    };
    code.extend(below);
    code.extend(search(right));
    code
}

/// What is done about one call.
fn leaf(call: &Call) -> Vec<Instruction> {
    let mut code: Vec<Instruction> = call.rules.iter().flat_map(rule).collect();
    code.push((RETURN, 0, 0, call.otherwise));
    code
}

/// Where a test of a condition goes on.
#[derive(Clone, Copy)]
enum Then {
    /// To the next instruction.
    On,
    /// The condition holds.
    Holds,
    /// It does not.
    Fails,
}

/// An instruction whose jumps are not numbers yet.
struct Test(u16, u32, Then, Then);

/// Returns the rule's value if all conditions hold, else goes on behind itself.
fn rule(rule: &Rule) -> Vec<Instruction> {
    // From the end, for how far it is to there is known then.
    let mut code: Vec<Instruction> = vec![(RETURN, 0, 0, rule.value)];
    for condition in rule.conditions.iter().rev() {
        let tests = condition.tests();
        let mut done = Vec::with_capacity(tests.len() + code.len());
        for (index, Test(operation, operand, if_true, if_false)) in tests.iter().enumerate() {
            let rest = tests.len() - index - 1;
            let distance = |then: &Then| match then {
                Then::On => 0,
                Then::Holds => rest,
                Then::Fails => rest + code.len(),
            };
            // Six conditions of the longest kind are 43 instructions; what has more does not reach here.
            let far = |then| u8::try_from(distance(then)).unwrap_or(u8::MAX);
            done.push((*operation, far(if_true), far(if_false), *operand));
        }
        done.append(&mut code);
        code = done;
    }
    code
}

impl Condition {
    /// The instructions: BPF has registers of 32 bits, so the upper half is tested first and the lower where
    /// the upper does not decide.
    fn tests(&self) -> Vec<Test> {
        use Then::{Fails, Holds, On};
        let (operation, holds, fails) = match self.comparison {
            Comparison::Equal => (JUMP_EQUAL, Holds, Fails),
            Comparison::NotEqual => (JUMP_EQUAL, Fails, Holds),
            Comparison::Greater => (JUMP_GREATER, Holds, Fails),
            Comparison::LessOrEqual => (JUMP_GREATER, Fails, Holds),
            Comparison::GreaterOrEqual => (JUMP_GREATER_EQUAL, Holds, Fails),
            Comparison::Less => (JUMP_GREATER_EQUAL, Fails, Holds),
        };
        let [low_mask, high_mask] = halves(self.mask);
        let [low, high] = halves(self.value & self.mask);
        let offset = ARGUMENTS + 8 * self.argument;
        let load = |offset, mask| {
            let masked = (mask != u32::MAX).then_some(Test(AND, mask, On, On));
            std::iter::once(Test(LOAD, offset, On, On)).chain(masked)
        };
        let mut tests = Vec::new();
        if high_mask != 0 {
            tests.extend(load(offset + 4, high_mask));
            if operation != JUMP_EQUAL {
                tests.push(Test(JUMP_GREATER, high, holds, On));
            }
            tests.push(Test(JUMP_EQUAL, high, On, fails));
        }
        tests.extend(load(offset, low_mask));
        tests.push(Test(operation, low, holds, fails));
        tests
    }
}

/// The lower and the upper half.
pub(crate) fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}
