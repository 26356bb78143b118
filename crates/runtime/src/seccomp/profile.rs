//! A bundle's profile: `linux.seccomp` of the runtime specification (config-linux.md, "Seccomp").
//!
//! Where the specification leaves a choice it is made as runc and libseccomp make it, for profiles are written
//! for them; see `docs/design/0006-seccomp-compiler.md`.

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};
use sandbar_sys::{SeccompFlags, SeccompInstruction};

use super::bpf::{self, Call, Comparison, Condition, Rule, Section, TooLong, value};
use super::calls::{self, Architecture, X32_BIT};
use crate::error::{Error, Kind};

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;
/// The highest error number that a system call can return: `MAX_ERRNO` of linux/err.h.
const HIGHEST_ERRNO: u32 = 4095;

/// A profile as the kernel takes it.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(super) program: Vec<SeccompInstruction>,
    pub(super) flags: SeccompFlags,
    /// A listener is needed: something has the action `SCMP_ACT_NOTIFY`.
    pub(super) notifies: bool,
    /// What was left out, in words.
    pub(super) told: Vec<String>,
}

impl Profile {
    /// Compiles it, and refuses one that is malformed, or too long for the kernel.
    ///
    /// # Errors
    /// [`Kind::InvalidSpec`], naming the field.
    pub(crate) fn compile(profile: &LinuxSeccomp) -> Result<Self, Error> {
        let default = value_of(
            profile.default_action(),
            profile.default_errno_ret(),
            "linux.seccomp.defaultErrnoRet",
        )?;
        let listed = profile.syscalls().as_deref().unwrap_or_default();
        let entries: Vec<Entry<'_>> = listed
            .iter()
            .enumerate()
            .map(|(index, entry)| Entry::of(index, entry))
            .collect::<Result<_, _>>()?;
        let notifies =
            default == value::NOTIFY || entries.iter().any(|entry| entry.value == value::NOTIFY);
        check_listener(profile, notifies)?;
        let (program, told) = compile_entries(profile, default, &entries)?;
        Ok(Self { program, flags: flags(profile, notifies), notifies, told })
    }
}

fn compile_entries(
    profile: &LinuxSeccomp,
    default: u32,
    entries: &[Entry<'_>],
) -> Result<(Vec<SeccompInstruction>, Vec<String>), Error> {
    let architectures = architectures(profile);
    let sections = sections(&architectures, default, entries);
    let program = bpf::compile(&sections, value::KILL_PROCESS).map_err(|TooLong(length)| {
        let most = bpf::LONGEST;
        invalid(format!("linux.seccomp: {length} instructions, more than the {most} of a filter"))
    })?;
    let program = program
        .into_iter()
        .map(|(code, jt, jf, k)| SeccompInstruction { code, jt, jf, k })
        .collect();
    let mut told = Vec::new();
    let names = entries.iter().flat_map(|entry| entry.names);
    let unknown: BTreeSet<&str> =
        names.map(String::as_str).filter(|name| !calls::is_known(name)).collect();
    if !unknown.is_empty() {
        let unknown: Vec<&str> = unknown.into_iter().collect();
        told.push(format!("linux.seccomp.syscalls: unknown and left out: {}", unknown.join(", ")));
    }
    if default == value::ALLOW && entries.is_empty() {
        told.push("linux.seccomp allows every system call".to_owned());
    }
    Ok((program, told))
}

/// One of `linux.seccomp.syscalls`, checked.
struct Entry<'a> {
    names: &'a [String],
    value: u32,
    /// Alternatives of which all conditions must hold; empty if there are none.
    alternatives: Vec<Vec<Condition>>,
}

impl<'a> Entry<'a> {
    fn of(index: usize, entry: &'a LinuxSyscall) -> Result<Self, Error> {
        let field = format!("linux.seccomp.syscalls[{index}]");
        if entry.names().is_empty() {
            return Err(invalid(format!("{field}.names: a name is needed")));
        }
        if entry.names().iter().any(String::is_empty) {
            return Err(invalid(format!("{field}.names: an empty name")));
        }
        let value = value_of(entry.action(), entry.errno_ret(), &format!("{field}.errnoRet"))?;
        let arguments = entry.args().as_deref().unwrap_or_default();
        let conditions: Vec<Condition> = arguments
            .iter()
            .enumerate()
            .map(|(index, argument)| condition(argument, &format!("{field}.args[{index}]")))
            .collect::<Result<_, _>>()?;
        let indexes: BTreeSet<u32> =
            conditions.iter().map(|condition| condition.argument).collect();
        let alternatives = match conditions {
            none if none.is_empty() => Vec::new(),
            // Conditions on one argument twice are alternatives, all of them, as in runc: so profiles of old
            // list the values that they allow.
            repeated if indexes.len() < repeated.len() => {
                repeated.into_iter().map(|condition| vec![condition]).collect()
            }
            together => vec![together],
        };
        Ok(Self { names: entry.names(), value, alternatives })
    }
}

fn invalid(message: String) -> Error {
    Error::new(Kind::InvalidSpec, message)
}

/// What the filter returns for an action; `field` is that of the error number.
fn value_of(action: LinuxSeccompAction, errno: Option<u32>, field: &str) -> Result<u32, Error> {
    use LinuxSeccompAction as Action;
    let (base, highest) = match action {
        Action::ScmpActKill | Action::ScmpActKillThread => (value::KILL_THREAD, None),
        Action::ScmpActKillProcess => (value::KILL_PROCESS, None),
        Action::ScmpActTrap => (value::TRAP, None),
        Action::ScmpActErrno => (value::ERRNO, Some(HIGHEST_ERRNO)),
        Action::ScmpActNotify => (value::NOTIFY, None),
        Action::ScmpActTrace => (value::TRACE, Some(u32::from(u16::MAX))),
        Action::ScmpActLog => (value::LOG, None),
        Action::ScmpActAllow => (value::ALLOW, None),
    };
    match (highest, errno) {
        (None, None) => Ok(base),
        (None, Some(errno)) => Err(invalid(format!("{field} {errno}: {action} returns no error"))),
        (Some(highest), Some(errno)) if errno > highest => {
            Err(invalid(format!("{field} {errno}: more than {highest}")))
        }
        (Some(_), errno) => Ok(base | errno.unwrap_or(EPERM)),
    }
}

fn condition(argument: &LinuxSeccompArg, field: &str) -> Result<Condition, Error> {
    use LinuxSeccompOperator as Operator;
    let index = argument.index();
    let number = u32::try_from(index).ok().filter(|number| *number < 6);
    let number = number
        .ok_or_else(|| invalid(format!("{field}.index {index}: a call has arguments 0 to 5")))?;
    let whole = |comparison| (comparison, u64::MAX, argument.value());
    let (comparison, mask, value) = match argument.op() {
        Operator::ScmpCmpNe => whole(Comparison::NotEqual),
        Operator::ScmpCmpLt => whole(Comparison::Less),
        Operator::ScmpCmpLe => whole(Comparison::LessOrEqual),
        Operator::ScmpCmpEq => whole(Comparison::Equal),
        Operator::ScmpCmpGe => whole(Comparison::GreaterOrEqual),
        Operator::ScmpCmpGt => whole(Comparison::Greater),
        Operator::ScmpCmpMaskedEq => {
            (Comparison::Equal, argument.value(), argument.value_two().unwrap_or(0))
        }
    };
    Ok(Condition { argument: number, mask, comparison, value })
}

fn flags(profile: &LinuxSeccomp, notifies: bool) -> SeccompFlags {
    let asked = |flag| profile.flags().as_ref().is_some_and(|flags| flags.contains(&flag));
    SeccompFlags {
        // A starting process has one thread, but for the one that hands the listener over, which stays free.
        all_threads: asked(LinuxSeccompFilterFlag::SeccompFilterFlagTsync) && !notifies,
        log: asked(LinuxSeccompFilterFlag::SeccompFilterFlagLog),
        allow_speculation: asked(LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow),
        // Nobody waits where nobody is notified, and the kernel refuses the flag there.
        killable: asked(LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv) && notifies,
    }
}

fn check_listener(profile: &LinuxSeccomp, notifies: bool) -> Result<(), Error> {
    match profile.listener_path() {
        None if notifies => {
            Err(invalid("linux.seccomp.listenerPath: SCMP_ACT_NOTIFY needs it".into()))
        }
        None if profile.listener_metadata().is_some() => {
            Err(invalid("linux.seccomp.listenerMetadata: there is no listenerPath".into()))
        }
        Some(path) if notifies && !path.is_absolute() => {
            let path = path.display();
            Err(invalid(format!("linux.seccomp.listenerPath {path}: not an absolute path")))
        }
        _ => Ok(()),
    }
}

/// The native architecture, and of those that are listed the ones whose calls this machine can make. Calls of
/// all others never come, so that they need no code.
fn architectures(profile: &LinuxSeccomp) -> Vec<Architecture> {
    let listed = profile.architectures().as_deref().unwrap_or_default();
    let runnable: &[(Arch, Architecture)] = match std::env::consts::ARCH {
        "x86_64" => &[(Arch::ScmpArchX86, calls::X86), (Arch::ScmpArchX32, calls::X32)],
        _ => &[(Arch::ScmpArchArm, calls::ARM)],
    };
    let more = runnable.iter().filter(|(name, _)| listed.contains(name)).map(|(_, more)| *more);
    std::iter::once(calls::NATIVE).chain(more).collect()
}

/// The sections of a program; x86-64 and x32 are one.
fn sections(architectures: &[Architecture], default: u32, entries: &[Entry<'_>]) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for architecture in architectures {
        let (calls, highest) = calls_of(architecture, default, entries);
        let lowest = architecture.lowest;
        let mut others = vec![(lowest, default)];
        // As runc: what is newer than all that the profile names fails as on a kernel that lacks it, lest
        // libraries take the refusal for more than it is.
        if !matches!(default & 0xffff_0000, value::ALLOW | value::LOG | value::TRACE)
            && let Some(highest) = highest
        {
            others.push((highest.saturating_add(1), value::ERRNO | ENOSYS));
        }
        match sections.iter_mut().find(|section| section.audit == architecture.audit) {
            Some(section) => {
                section.others.retain(|(from, _)| *from < lowest);
                section.others.append(&mut others);
                section.calls.extend(calls);
            }
            None => {
                if architecture.audit == calls::X32.audit {
                    others.push((X32_BIT, value::KILL_PROCESS));
                }
                sections.push(Section { audit: architecture.audit, others, calls });
            }
        }
    }
    sections
}

/// What the calls of one architecture get, and the highest number that is named.
fn calls_of(
    architecture: &Architecture,
    default: u32,
    entries: &[Entry<'_>],
) -> (BTreeMap<u32, Call>, Option<u32>) {
    /// Its rules, and the value without a condition that came first.
    type Unfinished = (Vec<Rule>, Option<u32>);
    let mut calls: BTreeMap<u32, Unfinished> = BTreeMap::new();
    let mut highest = None;
    for entry in entries {
        for name in entry.names {
            let number = (architecture.number)(name);
            highest = highest.max(number);
            // What says no more than the default says nothing, as in runc.
            if entry.value == default {
                continue;
            }
            if let Some(number) = number {
                add(calls.entry(number).or_default(), entry, architecture.narrow);
            }
            if let Some((multiplexer, which)) = (architecture.multiplexed)(name)
                && let Some(number) = (architecture.number)(multiplexer)
                && let Some(value) = multiplexed_value(entry)
            {
                let conditions = vec![Condition {
                    argument: 0,
                    mask: u64::from(u32::MAX),
                    comparison: Comparison::Equal,
                    value: u64::from(which),
                }];
                calls.entry(number).or_default().0.push(Rule { conditions, value });
            }
        }
    }
    let finish = |(rules, unconditional): Unfinished| match unconditional {
        // As in libseccomp: what is said without a condition holds whatever conditions say besides.
        Some(value) => Call { rules: Vec::new(), otherwise: value },
        None => Call { rules, otherwise: default },
    };
    (calls.into_iter().map(|(number, call)| (number, finish(call))).collect(), highest)
}

fn add(call: &mut (Vec<Rule>, Option<u32>), entry: &Entry<'_>, narrow: bool) {
    let (rules, unconditional) = call;
    if entry.alternatives.is_empty() {
        unconditional.get_or_insert(entry.value);
    }
    for alternative in &entry.alternatives {
        let cut = |condition: &Condition| Condition {
            mask: condition.mask & if narrow { u64::from(u32::MAX) } else { u64::MAX },
            ..*condition
        };
        let conditions = alternative.iter().map(cut).collect();
        rules.push(Rule { conditions, value: entry.value });
    }
}

/// What an entry for a call says of the same call through a multiplexer, where the arguments can't be seen: a
/// permission that depends on them is none, and a refusal holds for all.
fn multiplexed_value(entry: &Entry<'_>) -> Option<u32> {
    let permits = matches!(entry.value, value::ALLOW | value::LOG);
    (entry.alternatives.is_empty() || !permits).then_some(entry.value)
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
