//! The file: its size, and what the kernel is told to make of it.

use sandbar_pause::ELF;

/// A program header of a 64-bit ELF file, elf(5).
struct Segment {
    kind: u32,
    flags: u32,
    file_size: u64,
    memory_size: u64,
}

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_GNU_STACK: u32 = 0x6474_e551;
const EXECUTE: u32 = 1;
const WRITE: u32 = 2;
const READ: u32 = 4;

fn number<const BYTES: usize>(offset: usize) -> u64 {
    let mut wide = [0; 8];
    wide[..BYTES].copy_from_slice(&ELF[offset..offset + BYTES]);
    u64::from_le_bytes(wide)
}

fn segments() -> Vec<Segment> {
    let at = |offset| usize::try_from(number::<8>(offset)).unwrap();
    let count = usize::try_from(number::<2>(56)).unwrap();
    (0..count)
        .map(|index| at(32) + index * 56)
        .map(|header| Segment {
            kind: u32::try_from(number::<4>(header)).unwrap(),
            flags: u32::try_from(number::<4>(header + 4)).unwrap(),
            file_size: number::<8>(header + 32),
            memory_size: number::<8>(header + 40),
        })
        .collect()
}

#[test]
fn fits_in_a_page() {
    assert!(ELF.len() <= 4096, "{} bytes", ELF.len());
}

#[test]
fn is_a_program_for_the_architecture_of_this_crate() {
    let machine = match std::env::consts::ARCH {
        "x86_64" => 62,
        "aarch64" => 183,
        "riscv64" => 243,
        other => panic!("no machine is known for {other}"),
    };
    assert_eq!(&ELF[..7], b"\x7fELF\x02\x01\x01", "64 bits, little-endian, version 1");
    assert_eq!((number::<2>(16), number::<2>(18)), (2, machine), "ET_EXEC, e_machine");
}

#[test]
fn needs_no_interpreter() {
    assert!(segments().iter().all(|segment| segment.kind != PT_INTERP));
}

#[test]
fn is_one_segment_that_nobody_writes_to() {
    let loaded: Vec<_> = segments().into_iter().filter(|segment| segment.kind == PT_LOAD).collect();
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].flags, READ | EXECUTE);
    assert_eq!(loaded[0].file_size, loaded[0].memory_size, "no zeroed memory after it");
}

#[test]
fn has_a_stack_that_is_not_executable() {
    let stack: Vec<_> = segments().into_iter().filter(|found| found.kind == PT_GNU_STACK).collect();
    assert_eq!(stack.len(), 1);
    assert_eq!(stack[0].flags, READ | WRITE);
}
