//! `pause`: holds a pod's namespaces open, ends when told to, and leaves reaping to the kernel.
//!
//! It stands in for the `pause` of Kubernetes (`build/pause/linux/pause.c`), with the same arguments, messages
//! and exit codes. It differs where it costs less or where the original leaves a gap:
//! - SIGCHLD is ignored rather than handled, so the kernel reaps each child as it ends and wakes nobody.
//! - Children that ended before `pause` began are reaped once, at the start.
//! - SIGINT and SIGTERM get through even if the program that started it had blocked them.
//! - It gives back the memory that it was started with and needs no more.
//! - The last words can't kill: with nobody left to read standard error, it still exits 0.
#![no_std]
#![no_main]
#![allow(
    unsafe_code,
    reason = "a program without a library enters and leaves the kernel by itself"
)]

mod arguments;
mod kernel;
mod start;

use arguments::Arguments;
use kernel::{Action, Output, SIGCHLD, SIGINT, SIGTERM};

const VERSION: &[u8] = concat!("pause ", env!("CARGO_PKG_VERSION"), "\n").as_bytes();
const NOT_FIRST: &[u8] = b"Warning: pause should be the first process\n";
const INTERRUPTED: &[u8] = b"Shutting down, got signal: Interrupt\n";
const TERMINATED: &[u8] = b"Shutting down, got signal: Terminated\n";
const WAIT_ENDED: &[u8] = b"Error: infinite loop terminated\n";

/// The whole program; returns its exit code, if it comes to that.
fn main(arguments: Arguments) -> i32 {
    if arguments.ask_version() {
        kernel::write(Output::Standard, VERSION);
        return 0;
    }
    if kernel::process_id() != 1 {
        // No error: a pod that shares the host's PID namespace has its pause there.
        kernel::write(Output::Error, NOT_FIRST);
    }
    // A signal without a handler never reaches the first process of a PID namespace from inside it, hence
    // handlers even though the default action of both would end the program too.
    if !kernel::set_action(SIGINT, Action::Call(shut_down)) {
        return 1;
    }
    if !kernel::set_action(SIGTERM, Action::Call(shut_down)) {
        return 2;
    }
    if !kernel::set_action(SIGCHLD, Action::Ignore) {
        return 3;
    }
    // Ignoring SIGCHLD does nothing for children that are zombies by now: those that the program which
    // became pause by exec left behind. From here on no child, born or adopted, stays a zombie.
    kernel::reap_zombies();
    // SAFETY: these are pages of the stack. What the kernel put in them is what `arguments` stood for, which is used
    // up, and what the auxiliary vector points to, which nobody asked for. The rest is the frames of this
    // function and those that led to it.
    unsafe { kernel::wait_for_ever(arguments.scratch(), wait_ended) }
}

/// Says that there is nothing to wait for any more, and exits.
extern "C" fn wait_ended() -> ! {
    kernel::write(Output::Error, WAIT_ENDED);
    kernel::exit(42)
}

/// Says which signal came, and exits.
extern "C" fn shut_down(signal: i32) -> ! {
    kernel::write(Output::Error, if signal == SIGINT { INTERRUPTED } else { TERMINATED });
    kernel::exit(0)
}

/// Nothing here panics, and the linker drops this; but the language wants one.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    kernel::exit(101)
}
