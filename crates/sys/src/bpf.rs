//! Programs that decide which devices the processes of a version 2 cgroup may use: `bpf(2)`,
//! `BPF_PROG_TYPE_CGROUP_DEVICE`.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::fds::last_errno;

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;

const PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 1 << 1;
const REPLACE: u32 = 1 << 2;
/// The kernel attaches no more than this to one cgroup (`BPF_CGROUP_MAX_PROGS`).
const MOST_PROGRAMS: usize = 64;

/// One eBPF instruction: `struct bpf_insn` of `linux/bpf.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct BpfInstruction {
    /// The operation.
    pub code: u8,
    /// The destination register in the low four bits, the source in the high (on a little-endian machine).
    pub registers: u8,
    /// A jump's or an address's offset.
    pub offset: i16,
    /// The operand.
    pub immediate: i32,
}

const _: () = assert!(size_of::<BpfInstruction>() == 8);

/// The members of `union bpf_attr` that `BPF_PROG_LOAD` takes.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// Those of `BPF_PROG_ATTACH` and `BPF_PROG_DETACH`.
#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
    replaced: u32,
}

/// Those of `BPF_PROG_QUERY`.
#[repr(C)]
#[derive(Default)]
struct Query {
    target: u32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

/// Those of `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
#[derive(Default)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// Loads a program that decides on devices.
///
/// # Errors
/// `EINVAL` or `EACCES` for one that the kernel's verifier refuses, `EPERM` without `CAP_BPF` and
/// `CAP_NET_ADMIN` (or `CAP_SYS_ADMIN`), `ENOSYS` where the kernel has no BPF.
pub fn load_device_program(instructions: &[BpfInstruction]) -> Result<OwnedFd, Errno> {
    let license = c"Apache-2.0";
    let mut attributes = Load {
        kind: PROG_TYPE_CGROUP_DEVICE,
        count: u32::try_from(instructions.len()).map_err(|_overflow| Errno::TOOBIG)?,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        name: *b"sandbar_devices\0",
        ..Load::default()
    };
    // SAFETY: the instructions, `count` of them in the kernel's own layout (asserted above), and the license,
    // which ends with a zero, outlive the call; the kernel copies them. With log_level 0 it writes no log.
    let fd = unsafe { bpf(PROG_LOAD, &mut attributes) }?;
    // SAFETY: BPF_PROG_LOAD returned a new descriptor, which nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The programs on devices that are attached to the cgroup `directory` itself, opened.
///
/// # Errors
/// As bpf(2): `EINVAL` where the kernel can't attach any.
pub fn device_programs(directory: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Errno> {
    let mut ids = [0_u32; MOST_PROGRAMS];
    let mut attributes = Query {
        target: number(&directory)?,
        kind: CGROUP_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: u32::try_from(ids.len()).map_err(|_overflow| Errno::TOOBIG)?,
        ..Query::default()
    };
    // SAFETY: the kernel writes at most `count` numbers to `ids`, which outlives the call, and their count.
    unsafe { bpf(PROG_QUERY, &mut attributes) }?;
    let count = usize::try_from(attributes.count).map_err(|_overflow| Errno::TOOBIG)?;
    let mut programs = Vec::with_capacity(count);
    for id in ids.iter().take(count) {
        let mut attributes = ById { id: *id, ..ById::default() };
        // SAFETY: the attributes are plain numbers.
        match unsafe { bpf(PROG_GET_FD_BY_ID, &mut attributes) } {
            // SAFETY: BPF_PROG_GET_FD_BY_ID returned a new descriptor, which nobody else owns.
            Ok(fd) => programs.push(unsafe { OwnedFd::from_raw_fd(fd) }),
            // It was detached meanwhile.
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(programs)
}

/// Attaches a program on devices to a cgroup, beside the others (`BPF_F_ALLOW_MULTI`) or in the place of
/// `replaced` (from Linux 5.6).
///
/// # Errors
/// As bpf(2): `EPERM` below a cgroup whose program forbids others, `EINVAL` where the kernel can't replace.
pub fn attach_device_program(
    directory: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let mut attributes = Attach {
        target: number(&directory)?,
        program: number(&program)?,
        kind: CGROUP_DEVICE,
        flags: ALLOW_MULTI | if replaced.is_some() { REPLACE } else { 0 },
        replaced: replaced.as_ref().map_or(Ok(0), number)?,
    };
    // SAFETY: the attributes are plain numbers; the descriptors are open.
    unsafe { bpf(PROG_ATTACH, &mut attributes) }.map(|_zero| ())
}

/// Detaches a program on devices from a cgroup.
///
/// # Errors
/// As bpf(2): `ENOENT` when it is not attached.
pub fn detach_device_program(
    directory: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let mut attributes = Attach {
        target: number(&directory)?,
        program: number(&program)?,
        kind: CGROUP_DEVICE,
        ..Attach::default()
    };
    // SAFETY: the attributes are plain numbers; the descriptors are open.
    unsafe { bpf(PROG_DETACH, &mut attributes) }.map(|_zero| ())
}

fn number(fd: &BorrowedFd<'_>) -> Result<u32, Errno> {
    u32::try_from(fd.as_raw_fd()).map_err(|_negative| Errno::BADF)
}

/// # Safety
/// `attributes` must be what `command` takes, and what it points to must be as bpf(2) wants it for the call.
unsafe fn bpf<T>(command: libc::c_int, attributes: &mut T) -> Result<libc::c_int, Errno> {
    // SAFETY: the attributes are a structure of their size without padding, whose meaning the caller vouches for.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>())
    };
    if done < 0 {
        return Err(last_errno());
    }
    libc::c_int::try_from(done).map_err(|_overflow| Errno::RANGE)
}
