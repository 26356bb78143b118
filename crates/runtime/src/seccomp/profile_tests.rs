//! What a compiled program answers is compared with the rules themselves, by an interpreter of BPF.

use oci_spec::runtime::LinuxSeccomp;
use rustix::thread::CapabilitySet;
use sandbar_sys::SeccompInstruction;
use serde_json::{Value, json};

use super::super::{bpf, built_in, calls};
use super::*;

const NATIVE: &Architecture = &calls::NATIVE;
const ALLOW: u32 = value::ALLOW;
const EPERM_IS: u32 = value::ERRNO | 1;
const ENOSYS_IS: u32 = value::ERRNO | 38;

/// Runs `program` as the kernel does (kernel/seccomp.c, net/core/filter.c). Returns the value and the steps.
fn run(
    program: &[SeccompInstruction],
    audit: u32,
    number: u32,
    arguments: &[u64; 6],
) -> (u32, usize) {
    let mut data = vec![number, audit, 0, 0];
    for argument in arguments {
        data.extend(super::super::bpf::halves(*argument));
    }
    let (mut at, mut accumulator, mut steps) = (0, 0, 0);
    loop {
        let SeccompInstruction { code, jt, jf, k } = program[at];
        (at, steps) = (at + 1, steps + 1);
        let mut jump = |holds: bool| at += usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = data[k as usize / 4],
            0x54 => accumulator &= k,
            0x15 => jump(accumulator == k),
            0x25 => jump(accumulator > k),
            0x35 => jump(accumulator >= k),
            0x05 => at += k as usize,
            0x06 => return (k, steps),
            other => panic!("instruction {other:#x}"),
        }
    }
}

fn profile(profile: Value) -> LinuxSeccomp {
    serde_json::from_value(profile).expect("a profile")
}

fn compiled(text: Value) -> Profile {
    Profile::compile(&profile(text)).expect("it compiles")
}

fn refusal(text: Value) -> String {
    Profile::compile(&profile(text)).expect_err("it is refused").to_string()
}

/// What a call gets on the native architecture.
fn answer(profile: &Profile, name: &str, arguments: [u64; 6]) -> u32 {
    run(&profile.program, NATIVE.audit, (NATIVE.number)(name).expect("a call"), &arguments).0
}

fn with_args(name: &str, args: &Value) -> Profile {
    compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": [name], "action": "SCMP_ACT_ALLOW", "args": args},
        {"names": ["setxattr", "zzz"], "action": "SCMP_ACT_ALLOW"}]}))
}

#[test]
fn every_action_has_the_kernels_value() {
    for (action, errno, expected) in [
        ("KILL", None, 0),
        ("KILL_THREAD", None, 0),
        ("KILL_PROCESS", None, 0x8000_0000),
        ("TRAP", None, 0x0003_0000),
        ("ERRNO", None, 0x0005_0001),
        ("ERRNO", Some(0), 0x0005_0000),
        ("ERRNO", Some(4095), 0x0005_0fff),
        ("NOTIFY", None, 0x7fc0_0000),
        ("TRACE", Some(65535), 0x7ff0_ffff),
        ("TRACE", None, 0x7ff0_0001),
        ("LOG", None, 0x7ffc_0000),
    ] {
        let action = format!("SCMP_ACT_{action}");
        let profile = compiled(json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/agent",
            "syscalls": [{"names": ["getcwd"], "action": action, "errnoRet": errno}]}));
        assert_eq!(answer(&profile, "getcwd", [0; 6]), expected, "{action}");
        assert_eq!(answer(&profile, "read", [0; 6]), ALLOW, "{action}");
        assert_eq!(profile.notifies, action.ends_with("NOTIFY"));
    }
}

#[test]
fn comparisons_are_of_all_64_bits() {
    let big = 0x1_0000_0005_u64;
    let cases = [
        ("NE", vec![5, big + 1, 0x2_0000_0005], vec![big]),
        ("EQ", vec![big], vec![5, big + 1, 0x2_0000_0005]),
        ("LT", vec![0, 0xffff_ffff, big - 1], vec![big, big + 1, 0x2_0000_0000, u64::MAX]),
        ("LE", vec![0, 0xffff_ffff, big], vec![big + 1, 0x2_0000_0000, u64::MAX]),
        ("GE", vec![big, big + 1, 0x2_0000_0000, u64::MAX], vec![0, 0xffff_ffff, big - 1]),
        ("GT", vec![big + 1, 0x2_0000_0000, u64::MAX], vec![0, 0xffff_ffff, big]),
    ];
    for (op, hold, fail) in cases {
        let args = json!([{"index": 2, "value": big, "op": format!("SCMP_CMP_{op}")}]);
        let profile = with_args("ioctl", &args);
        for (values, expected) in [(hold, ALLOW), (fail, EPERM_IS)] {
            for value in values {
                let got = answer(&profile, "ioctl", [9, 9, value, 9, 9, 9]);
                assert_eq!(got, expected, "{value:#x} {op} {big:#x}");
            }
        }
    }
    let mask = json!([{"index": 0, "value": 0xff00_0000_00ff_u64, "valueTwo": 0x1100_0000_0022_u64,
        "op": "SCMP_CMP_MASKED_EQ"}]);
    let profile = with_args("ioctl", &mask);
    for (value, expected) in [
        (0x1100_0000_0022, ALLOW),
        (0xffff_11ff_ffff_ff22, ALLOW),
        (0x22, EPERM_IS),
        (0x1100_0000_0023, EPERM_IS),
    ] {
        assert_eq!(answer(&profile, "ioctl", [value, 0, 0, 0, 0, 0]), expected, "{value:#x}");
    }
}

#[test]
fn arguments_of_one_rule_hold_together_and_repeated_ones_apart() {
    let eq =
        |index: usize, value: u64| json!({"index": index, "value": value, "op": "SCMP_CMP_EQ"});
    let together = with_args("ioctl", &json!([eq(0, 1), eq(1, 2)]));
    assert_eq!(answer(&together, "ioctl", [1, 2, 0, 0, 0, 0]), ALLOW);
    assert_eq!(answer(&together, "ioctl", [1, 3, 0, 0, 0, 0]), EPERM_IS);
    let apart = with_args("ioctl", &json!([eq(0, 1), eq(0, 2), eq(1, 7)]));
    for arguments in [[1, 0], [2, 0], [9, 7]] {
        assert_eq!(answer(&apart, "ioctl", [arguments[0], arguments[1], 0, 0, 0, 0]), ALLOW);
    }
    assert_eq!(answer(&apart, "ioctl", [3, 3, 0, 0, 0, 0]), EPERM_IS);
}

#[test]
fn a_rule_without_conditions_holds_whatever_others_say() {
    let profile = compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22,
         "args": [{"index": 0, "value": 16, "op": "SCMP_CMP_EQ"}]},
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["socket"], "action": "SCMP_ACT_LOG"}]}));
    assert_eq!(answer(&profile, "socket", [16, 0, 0, 0, 0, 0]), ALLOW);
}

#[test]
fn what_is_newer_than_the_profile_fails_as_on_an_older_kernel() {
    for (default, newer) in [
        ("SCMP_ACT_ERRNO", ENOSYS_IS),
        ("SCMP_ACT_KILL_PROCESS", ENOSYS_IS),
        ("SCMP_ACT_LOG", value::LOG),
        ("SCMP_ACT_ALLOW", ALLOW),
    ] {
        let profile = compiled(json!({"defaultAction": default,
            "syscalls": [{"names": ["read", "clone3"], "action": "SCMP_ACT_TRAP"}]}));
        assert_eq!(answer(&profile, "faccessat2", [0; 6]), newer, "{default}");
        assert_eq!(answer(&profile, "clone3", [0; 6]), value::TRAP, "{default}");
    }
}

#[test]
fn names_of_no_architecture_are_told_and_those_of_another_are_not() {
    let profile = compiled(json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read", "set_tls", "mmap2", "no_such", "nor_this"], "action": "SCMP_ACT_ALLOW"}]}));
    assert_eq!(profile.told, ["linux.seccomp.syscalls: unknown and left out: no_such, nor_this"]);
}

#[test]
fn row_29_a_malformed_profile_is_an_error() {
    for empty in [json!({}), json!({"syscalls": []}), json!({"defaultAction": ""}), json!([])] {
        serde_json::from_value::<LinuxSeccomp>(empty.clone()).expect_err(&empty.to_string());
    }
    let rule = |rule: Value| json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]});
    let arg =
        |arg: Value| rule(json!({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [arg]}));
    for (text, named) in [
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}), "defaultErrnoRet 1"),
        (
            json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}),
            "defaultErrnoRet 4096",
        ),
        (json!({"defaultAction": "SCMP_ACT_NOTIFY"}), "listenerPath"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}), "listenerMetadata"),
        (json!({"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "a"}), "listenerPath a"),
        (rule(json!({"names": [], "action": "SCMP_ACT_ALLOW"})), "syscalls[0].names"),
        (rule(json!({"names": [""], "action": "SCMP_ACT_ALLOW"})), "syscalls[0].names"),
        (
            rule(json!({"names": ["read"], "action": "SCMP_ACT_TRAP", "errnoRet": 1})),
            "syscalls[0].errnoRet 1",
        ),
        (arg(json!({"index": 6, "value": 0, "op": "SCMP_CMP_EQ"})), "syscalls[0].args[0].index 6"),
    ] {
        let said = refusal(text);
        assert!(said.contains(named), "{said}: {named}");
    }
    for unknown in [
        json!({"defaultAction": "SCMP_ACT_MAYBE"}),
        json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_VAX"]}),
        json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_FAST"]}),
        arg(json!({"index": 0, "value": 0, "op": "SCMP_CMP_ALMOST"})),
    ] {
        let said =
            serde_json::from_value::<LinuxSeccomp>(unknown).expect_err("unknown").to_string();
        assert!(said.contains("unknown variant"), "{said}");
    }
}

#[test]
fn a_filter_longer_than_the_kernel_takes_is_refused() {
    let args = |value: u64| json!([{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}]);
    let entry =
        |value| json!({"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": args(value)});
    let profile = |rules: u64| json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": (0..rules).map(entry).collect::<Vec<_>>()});
    compiled(profile(800));
    let said = refusal(profile(1000));
    assert!(said.contains("more than the 4096"), "{said}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn x86_and_x32_are_handled_where_listed_and_killed_where_not() {
    let text = |listed: Value| {
        json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": listed, "syscalls": [
            {"names": ["read", "ioctl", "clock_gettime64", "bind"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 0xffff_ffff_0000_0002_u64, "op": "SCMP_CMP_EQ"}]}]})
    };
    let alone = compiled(text(json!([])));
    let all = compiled(text(json!(["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64"])));
    let zeroes = [0; 6];
    for (number, expected) in [(0, ALLOW), (1, EPERM_IS), (16, ALLOW), (400, ENOSYS_IS)] {
        assert_eq!(run(&alone.program, calls::X86_64.audit, number, &zeroes).0, expected);
        assert_eq!(run(&all.program, calls::X86_64.audit, number, &zeroes).0, expected);
    }
    let x32 = |profile: &Profile, number| {
        run(&profile.program, calls::X86_64.audit, X32_BIT | number, &zeroes).0
    };
    let x86 = |profile: &Profile, number, arguments| {
        run(&profile.program, calls::X86.audit, number, &arguments).0
    };
    assert_eq!(
        (x32(&alone, 0), x86(&alone, 3, zeroes)),
        (value::KILL_PROCESS, value::KILL_PROCESS)
    );
    // read, ioctl's two numbers, one too new
    let got = [0, 16, 514, 600].map(|number| x32(&all, number));
    assert_eq!(got, [ALLOW, EPERM_IS, ALLOW, ENOSYS_IS]);
    // read, write, clock_gettime64, one too new
    let got = [3, 4, 403, 450].map(|number| x86(&all, number, zeroes));
    assert_eq!(got, [ALLOW, EPERM_IS, ALLOW, ENOSYS_IS]);
    // socket compares the lower half alone; socketcall: bind, and socket whose condition can't be tested.
    assert_eq!(x86(&all, 359, [2, 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(x86(&all, 102, [2, 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(x86(&all, 102, [1, 0, 0, 0, 0, 0]), EPERM_IS);
}

#[test]
fn the_built_in_profile_gives_by_capability() {
    let of = |capabilities: CapabilitySet, name: &str, arguments: [u64; 6]| {
        let program = built_in::filter(capabilities);
        run(&program, NATIVE.audit, (NATIVE.number)(name).expect("a call"), &arguments).0
    };
    let none = CapabilitySet::empty();
    let admin = CapabilitySet::SYS_ADMIN;
    let first = |value| [value, 0, 0, 0, 0, 0];
    let newuser = 0x1000_0000;
    for (capabilities, name, arguments, expected) in [
        (none, "read", first(0), ALLOW),
        (none, "mount", first(0), EPERM_IS),
        (admin, "mount", first(0), ALLOW),
        (admin, "kexec_load", first(0), EPERM_IS),
        (none, "clone", first(17), ALLOW),
        (none, "clone", first(newuser), EPERM_IS),
        (admin, "clone", first(newuser), ALLOW),
        (none, "clone3", first(0), ENOSYS_IS),
        (admin, "clone3", first(0), ALLOW),
        (none, "bpf", first(0), EPERM_IS),
        (admin, "bpf", first(0), ALLOW),
        (CapabilitySet::BPF, "bpf", first(0), ALLOW),
        (none, "personality", first(0x20008), ALLOW),
        (none, "personality", first(4), EPERM_IS),
        (none, "socket", first(2), ALLOW),
        (admin, "socket", first(38), EPERM_IS),
        (admin, "socket", first(40), EPERM_IS),
        // An int to the kernel: the upper half is nothing.
        (admin, "socket", first(0x1_0000_0028), EPERM_IS),
        (none, "socket", [16, 3, 9, 0, 0, 0], value::ERRNO | 22),
        (none, "socket", [16, 3, 0, 0, 0, 0], ALLOW),
        (CapabilitySet::AUDIT_WRITE, "socket", [16, 3, 9, 0, 0, 0], ALLOW),
    ] {
        assert_eq!(
            of(capabilities, name, arguments),
            expected,
            "{capabilities:?} {name} {arguments:?}"
        );
    }
}

#[test]
fn the_built_in_profile_leaves_no_mark_and_every_action_is_the_kernels() {
    for capabilities in [CapabilitySet::empty(), CapabilitySet::all()] {
        for instruction in built_in::filter(capabilities) {
            if instruction.code == bpf::RETURN {
                let known = [ALLOW, EPERM_IS, ENOSYS_IS, value::ERRNO | 22, value::KILL_PROCESS];
                assert!(known.contains(&instruction.k), "{instruction:?}");
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn row_29_the_built_in_profile_refuses_32_bit_calls_too() {
    let program = built_in::filter(CapabilitySet::empty());
    let x86 = |number, first| run(&program, calls::X86.audit, number, &[first, 0, 0, 0, 0, 0]).0;
    // read; mount; socket of AF_INET, AF_ALG, AF_VSOCK; socketcall's socket and bind; clone of a namespace
    assert_eq!((x86(3, 0), x86(21, 0)), (ALLOW, EPERM_IS));
    assert_eq!([2, 38, 40].map(|family| x86(359, family)), [ALLOW, EPERM_IS, EPERM_IS]);
    assert_eq!((x86(102, 1), x86(102, 2)), (EPERM_IS, ALLOW));
    assert_eq!((x86(120, 17), x86(120, 0x1000_0000)), (ALLOW, EPERM_IS));
    assert_eq!(run(&program, calls::X86_64.audit, X32_BIT, &[0; 6]).0, ENOSYS_IS);
    assert_eq!(run(&program, calls::ARM.audit, 3, &[0; 6]).0, value::KILL_PROCESS);
}

#[test]
fn the_built_in_profile_answers_in_few_steps() {
    let program = built_in::filter(CapabilitySet::empty());
    let most = (0..512).map(|number| run(&program, NATIVE.audit, number, &[0; 6]).1).max();
    assert!(most < Some(40), "{most:?} steps, of {} instructions", program.len());
}

/// Small numbers that look random: xorshift.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("an index")]
    }

    /// Close to each other in both halves, so that comparisons come out either way.
    fn number(&mut self) -> u64 {
        self.of(&[0, 1, 2, 0xffff_ffff]) << 32 | self.of(&[0, 1, 2, 3, 0x7fff_ffff, 0xffff_ffff])
    }
}

/// The rules as the specification says them, on one list of calls, without any BPF.
fn directly(profile: &LinuxSeccomp, name: &str, arguments: &[u64; 6]) -> u32 {
    let value = |action, errno| value_of(action, errno, "").expect("a value");
    let default = value(profile.default_action(), profile.default_errno_ret());
    let entries: Vec<_> = profile
        .syscalls()
        .iter()
        .flatten()
        .filter(|entry| entry.names().iter().any(|named| named == name))
        .filter(|entry| value(entry.action(), entry.errno_ret()) != default)
        .collect();
    let plain = entries.iter().find(|entry| entry.args().as_deref().is_none_or(<[_]>::is_empty));
    let holds = |arg: &LinuxSeccompArg| {
        let (got, want) = (arguments[arg.index()], arg.value());
        match arg.op() {
            LinuxSeccompOperator::ScmpCmpNe => got != want,
            LinuxSeccompOperator::ScmpCmpLt => got < want,
            LinuxSeccompOperator::ScmpCmpLe => got <= want,
            LinuxSeccompOperator::ScmpCmpEq => got == want,
            LinuxSeccompOperator::ScmpCmpGe => got >= want,
            LinuxSeccompOperator::ScmpCmpGt => got > want,
            LinuxSeccompOperator::ScmpCmpMaskedEq => {
                got & want == arg.value_two().unwrap_or(0) & want
            }
        }
    };
    let conditional = || {
        entries.iter().find(|entry| {
            let args = entry.args().as_deref().unwrap_or_default();
            let repeated = args
                .iter()
                .enumerate()
                .any(|(at, arg)| args[..at].iter().any(|earlier| earlier.index() == arg.index()));
            if repeated { args.iter().any(holds) } else { args.iter().all(holds) }
        })
    };
    plain.or_else(conditional).map_or(default, |entry| value(entry.action(), entry.errno_ret()))
}

#[test]
fn random_profiles_answer_as_their_rules_say() {
    const NAMES: [&str; 9] = [
        "read",
        "ioctl",
        "socket",
        "clone",
        "getcwd",
        "personality",
        "futex",
        "openat2",
        "fsconfig",
    ];
    const ACTIONS: [&str; 6] = ["ALLOW", "ERRNO", "LOG", "KILL_PROCESS", "TRAP", "TRACE"];
    let ops = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    for seed in 1..=400 {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let mut entries = Vec::new();
        for _ in 0..chance.below(12) {
            let arg = |chance: &mut Chance| {
                json!({"index": chance.below(6), "value": chance.number(), "valueTwo": chance.number(),
                    "op": format!("SCMP_CMP_{}", chance.of(&ops))})
            };
            let args: Vec<Value> = (0..chance.below(4)).map(|_| arg(&mut chance)).collect();
            let names: Vec<&str> = (0..=chance.below(3)).map(|_| chance.of(&NAMES)).collect();
            let action = format!("SCMP_ACT_{}", chance.of(&ACTIONS));
            entries.push(json!({"names": names, "action": action, "args": args}));
        }
        // So that no call is newer than the profile.
        entries.push(json!({"names": ["file_setattr"], "action": "SCMP_ACT_ALLOW"}));
        let default = format!("SCMP_ACT_{}", chance.of(&ACTIONS));
        let profile = profile(json!({"defaultAction": default, "syscalls": entries}));
        let program = Profile::compile(&profile).expect("it compiles").program;
        for _ in 0..200 {
            let name = chance.of(&NAMES);
            let arguments = [(); 6].map(|()| chance.number());
            let number = (NATIVE.number)(name).expect("a call");
            let got = run(&program, NATIVE.audit, number, &arguments).0;
            let expected = directly(&profile, name, &arguments);
            assert_eq!(got, expected, "seed {seed}: {name} {arguments:x?}\n{profile:?}");
        }
    }
}
