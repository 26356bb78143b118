//! The numbers of the system calls, by name, for each architecture that a machine of ours can run.

use std::str::FromStr;

/// An architecture, as seccomp sees it.
#[derive(Clone, Copy)]
pub(crate) struct Architecture {
    /// The `AUDIT_ARCH_*` of linux/audit.h that its calls come with.
    pub(crate) audit: u32,
    /// Its registers have 32 bits: the upper half of an argument is always zero.
    pub(crate) narrow: bool,
    /// Its lowest number.
    pub(crate) lowest: u32,
    /// The number of a call.
    pub(crate) number: fn(&str) -> Option<u32>,
    /// Calls that can also be made through one call whose first argument says which.
    pub(crate) multiplexed: fn(&str) -> Option<(&'static str, u32)>,
}

/// x32 calls are x86-64 calls with this bit set.
pub(crate) const X32_BIT: u32 = 0x4000_0000;

pub(crate) const X86_64: Architecture = Architecture {
    audit: 0xC000_003E,
    narrow: false,
    lowest: 0,
    number: x86_64,
    multiplexed: none,
};
pub(crate) const X86: Architecture =
    Architecture { audit: 0x4000_0003, narrow: true, lowest: 0, number: x86, multiplexed };
/// The same machine as x86-64, and told from it by the number alone; its arguments have 64 bits.
pub(crate) const X32: Architecture = Architecture {
    audit: X86_64.audit,
    narrow: false,
    lowest: X32_BIT,
    number: x32,
    multiplexed: none,
};
pub(crate) const AARCH64: Architecture = Architecture {
    audit: 0xC000_00B7,
    narrow: false,
    lowest: 0,
    number: aarch64,
    multiplexed: none,
};
/// Its EABI, the only one that 64-bit kernels run, has no multiplexed calls.
pub(crate) const ARM: Architecture =
    Architecture { audit: 0x4000_0028, narrow: true, lowest: 0, number: arm, multiplexed: none };

/// That of the machine that the program is built for.
pub(crate) const NATIVE: Architecture =
    if cfg!(target_arch = "aarch64") { AARCH64 } else { X86_64 };

/// Whether any of them has a call of this name.
pub(crate) fn is_known(name: &str) -> bool {
    [X86_64, X86, AARCH64, ARM].iter().any(|architecture| (architecture.number)(name).is_some())
}

/// The number of the enumeration's variant, which the `syscalls` crate numbers as the kernel does.
macro_rules! number {
    ($architecture:ident, $name:expr) => {
        syscalls::$architecture::Sysno::from_str($name)
            .ok()
            .and_then(|number| u32::try_from(number.id()).ok())
    };
}

fn x86_64(name: &str) -> Option<u32> {
    number!(x86_64, name)
}

fn x86(name: &str) -> Option<u32> {
    number!(x86, name)
}

fn aarch64(name: &str) -> Option<u32> {
    number!(aarch64, name)
}

/// `arch/arm/include/uapi/asm/unistd.h`: some calls are the machine's own, far above the others.
fn arm(name: &str) -> Option<u32> {
    match name {
        // Two names of one call.
        "sync_file_range2" => number!(arm, "arm_sync_file_range"),
        "breakpoint" => Some(0x000F_0001),
        "cacheflush" => Some(0x000F_0002),
        "usr26" => Some(0x000F_0003),
        "usr32" => Some(0x000F_0004),
        "set_tls" => Some(0x000F_0005),
        "get_tls" => Some(0x000F_0006),
        name => number!(arm, name),
    }
}

/// `arch/x86/entry/syscalls/syscall_64.tbl`: from 512 on are those whose structures differ from x86-64's.
fn x32(name: &str) -> Option<u32> {
    const OWN: [&str; 36] = [
        "rt_sigaction",
        "rt_sigreturn",
        "ioctl",
        "readv",
        "writev",
        "recvfrom",
        "sendmsg",
        "recvmsg",
        "execve",
        "ptrace",
        "rt_sigpending",
        "rt_sigtimedwait",
        "rt_sigqueueinfo",
        "sigaltstack",
        "timer_create",
        "mq_notify",
        "kexec_load",
        "waitid",
        "set_robust_list",
        "get_robust_list",
        "vmsplice",
        "move_pages",
        "preadv",
        "pwritev",
        "rt_tgsigqueueinfo",
        "recvmmsg",
        "sendmmsg",
        "process_vm_readv",
        "process_vm_writev",
        "setsockopt",
        "getsockopt",
        "io_setup",
        "io_submit",
        "execveat",
        "preadv2",
        "pwritev2",
    ];
    let own = (512..).zip(OWN).find(|(_, known)| *known == name).map(|(number, _)| number);
    own.or_else(|| x86_64(name)).map(|number| number | X32_BIT)
}

fn none(_name: &str) -> Option<(&'static str, u32)> {
    None
}

/// socketcall(2) and ipc(2): linux/net.h and linux/ipc.h.
fn multiplexed(name: &str) -> Option<(&'static str, u32)> {
    Some(match name {
        "socket" => ("socketcall", 1),
        "bind" => ("socketcall", 2),
        "connect" => ("socketcall", 3),
        "listen" => ("socketcall", 4),
        "accept" => ("socketcall", 5),
        "getsockname" => ("socketcall", 6),
        "getpeername" => ("socketcall", 7),
        "socketpair" => ("socketcall", 8),
        "send" => ("socketcall", 9),
        "recv" => ("socketcall", 10),
        "sendto" => ("socketcall", 11),
        "recvfrom" => ("socketcall", 12),
        "shutdown" => ("socketcall", 13),
        "setsockopt" => ("socketcall", 14),
        "getsockopt" => ("socketcall", 15),
        "sendmsg" => ("socketcall", 16),
        "recvmsg" => ("socketcall", 17),
        "accept4" => ("socketcall", 18),
        "recvmmsg" => ("socketcall", 19),
        "sendmmsg" => ("socketcall", 20),
        "semop" => ("ipc", 1),
        "semget" => ("ipc", 2),
        "semctl" => ("ipc", 3),
        "semtimedop" => ("ipc", 4),
        "msgsnd" => ("ipc", 11),
        "msgrcv" => ("ipc", 12),
        "msgget" => ("ipc", 13),
        "msgctl" => ("ipc", 14),
        "shmat" => ("ipc", 21),
        "shmdt" => ("ipc", 22),
        "shmget" => ("ipc", 23),
        "shmctl" => ("ipc", 24),
        _ => return None,
    })
}
