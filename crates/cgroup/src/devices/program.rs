//! Version 2's program: a device list in the instructions of eBPF.
//!
//! It is given a `struct bpf_cgroup_dev_ctx` (type and access in the halves of one word, the major
//! and the minor number) and answers 1 to allow. See `linux/bpf.h` and
//! <https://docs.kernel.org/bpf/standardization/instruction-set.html>.

use sandbar_sys::BpfInstruction;

use super::rule::Numbered;
use super::{DeviceAccess, DeviceKind, DeviceList};

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;
const AND: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_IF_EQUAL: u8 = 0x15;
const JUMP_UNLESS_EQUAL: u8 = 0x55;
const JUMP_UNLESS_EQUAL_REGISTER: u8 = 0x5d;
const EXIT: u8 = 0x95;

const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

impl DeviceList {
    pub(super) fn program(&self) -> Vec<BpfInstruction> {
        let mut program = vec![
            load(KIND, 0),
            registers(MOVE_REGISTER, ACCESS, KIND),
            number(AND, KIND, 0xffff),
            number(SHIFT_RIGHT, ACCESS, 16),
            load(MAJOR, 4),
            load(MINOR, 8),
        ];
        for (about, access) in &self.exceptions {
            program.extend(self.exception(about, *access));
        }
        program.extend(answer(self.allows));
        program
    }

    /// Answers against the default where it fits, else goes on behind itself.
    fn exception(&self, about: &Numbered, access: DeviceAccess) -> Vec<BpfInstruction> {
        let kind = if about.kind == DeviceKind::Block { 1 } else { 2 };
        let mut block = vec![number(JUMP_UNLESS_EQUAL, KIND, kind)];
        if access != DeviceAccess::ALL {
            block.push(registers(MOVE_REGISTER, ANSWER, ACCESS));
            block.push(number(AND, ANSWER, access.bits().into()));
            // All that is wanted must be allowed; one thing that is denied is enough.
            block.push(if self.allows {
                number(JUMP_IF_EQUAL, ANSWER, 0)
            } else {
                registers(JUMP_UNLESS_EQUAL_REGISTER, ANSWER, ACCESS)
            });
        }
        for (register, asked) in [(MAJOR, about.major), (MINOR, about.minor)] {
            if let Some(asked) = asked {
                // Checked to be in the kernel's 12 and 20 bits when the list was made.
                block.push(number(JUMP_UNLESS_EQUAL, register, asked.cast_signed()));
            }
        }
        block.extend(answer(!self.allows));
        let end = block.len();
        for (at, instruction) in block.iter_mut().enumerate() {
            if instruction.code & 0x07 == 0x05 && instruction.code != EXIT {
                instruction.offset = i16::try_from(end - at - 1).unwrap_or(i16::MAX);
            }
        }
        block
    }
}

fn load(to: u8, offset: i16) -> BpfInstruction {
    BpfInstruction { offset, ..registers(LOAD_WORD, to, CONTEXT) }
}

fn number(code: u8, to: u8, immediate: i32) -> BpfInstruction {
    BpfInstruction { immediate, ..registers(code, to, 0) }
}

fn registers(code: u8, to: u8, from: u8) -> BpfInstruction {
    let both = if cfg!(target_endian = "big") { to << 4 | from } else { from << 4 | to };
    BpfInstruction { code, registers: both, offset: 0, immediate: 0 }
}

fn answer(allow: bool) -> [BpfInstruction; 2] {
    [number(MOVE, ANSWER, allow.into()), number(EXIT, 0, 0)]
}

#[cfg(test)]
mod tests {
    use super::super::tests::list;
    use super::*;

    /// Runs a program as the kernel would, for one access.
    fn allows(program: &[BpfInstruction], kind: u64, access: u64, major: u64, minor: u64) -> bool {
        let context = [kind | access << 16, major, minor];
        let mut registers = [0_u64; 6];
        let mut at = 0;
        loop {
            let BpfInstruction { code, registers: both, offset, immediate } = program[at];
            let (to, from) = (usize::from(both & 0xf), usize::from(both >> 4));
            let operand = u64::try_from(immediate).unwrap();
            let offset = usize::try_from(offset).unwrap();
            let jump = match code {
                LOAD_WORD => {
                    assert_eq!(from, 1);
                    registers[to] = context[offset / 4];
                    false
                }
                MOVE => {
                    registers[to] = operand;
                    false
                }
                MOVE_REGISTER => {
                    registers[to] = registers[from];
                    false
                }
                AND => {
                    registers[to] &= operand;
                    false
                }
                SHIFT_RIGHT => {
                    registers[to] >>= operand;
                    false
                }
                JUMP_IF_EQUAL => registers[to] == operand,
                JUMP_UNLESS_EQUAL => registers[to] != operand,
                JUMP_UNLESS_EQUAL_REGISTER => registers[to] != registers[from],
                EXIT => return registers[0] == 1,
                other => panic!("unknown instruction {other:#x}"),
            };
            at += 1 + if jump { offset } else { 0 };
        }
    }

    const BLOCK: u64 = 1;
    const CHAR: u64 = 2;
    const MAKE: u64 = 1;
    const READ: u64 = 2;
    const WRITE: u64 = 4;

    #[test]
    fn the_shortest_programs_answer_at_once() {
        let none = list(&[]).unwrap().program();
        assert_eq!(none.len(), 8);
        assert!(!allows(&none, CHAR, READ, 1, 3));
        assert!(allows(&list(&["allow a *:* rwm"]).unwrap().program(), BLOCK, MAKE, 8, 0));
    }

    #[test]
    fn allowed_exceptions_must_allow_all_that_is_wanted() {
        let rules = ["deny a *:* rwm", "allow c 1:3 rw", "allow c 136:* rwm", "allow b *:* m"];
        let program = list(&rules).unwrap().program();
        let check = |kind, access, major, minor| allows(&program, kind, access, major, minor);
        assert!(check(CHAR, READ, 1, 3) && check(CHAR, READ | WRITE, 1, 3));
        assert!(!check(CHAR, MAKE, 1, 3) && !check(CHAR, READ | MAKE, 1, 3));
        assert!(!check(CHAR, READ, 1, 5) && !check(CHAR, READ, 2, 3) && !check(BLOCK, READ, 1, 3));
        assert!(check(CHAR, READ | WRITE | MAKE, 136, 7));
        assert!(check(BLOCK, MAKE, 8, 0) && !check(BLOCK, READ, 8, 0));
    }

    #[test]
    fn a_denied_exception_denies_what_has_any_part_in_it() {
        let program =
            list(&["allow a *:* rwm", "deny b 8:0 w", "deny c *:9 rwm"]).unwrap().program();
        let check = |kind, access, major, minor| allows(&program, kind, access, major, minor);
        assert!(check(BLOCK, READ, 8, 0) && check(BLOCK, WRITE, 8, 1));
        assert!(!check(BLOCK, WRITE, 8, 0) && !check(BLOCK, READ | WRITE, 8, 0));
        assert!(!check(CHAR, READ, 4, 9) && check(CHAR, READ, 4, 8));
    }

    #[test]
    fn the_instructions_are_those_of_the_kernel() {
        let program = list(&["allow c 1:3 r"]).unwrap().program();
        let hex = |i: &BpfInstruction| {
            format!("{:02x} {:02x} {} {}", i.code, i.registers, i.offset, i.immediate)
        };
        let text: Vec<String> = program.iter().map(hex).collect();
        assert_eq!(
            text,
            [
                "61 12 0 0",
                "bf 23 0 0",
                "57 02 0 65535",
                "77 03 0 16",
                "61 14 4 0",
                "61 15 8 0",
                "55 02 7 2",
                "bf 30 0 0",
                "57 00 0 2",
                "5d 30 4 0",
                "55 04 3 1",
                "55 05 2 3",
                "b7 00 0 1",
                "95 00 0 0",
                "b7 00 0 0",
                "95 00 0 0",
            ]
        );
    }
}
