//! The built-in seccomp profile (`seccomp/default.profile`), compiled when Sandbar is built.

use sandbar_sys::{During, SeccompInstruction, load_seccomp_filter};

use crate::error::{Error, Step};

const DEFAULT: &[SeccompInstruction] = include!(concat!(env!("OUT_DIR"), "/default_filter.rs"));

// Row 29: a profile that came out empty must not mean "unconfined".
const _: () = assert!(DEFAULT.len() > 100);

/// Puts this thread under the built-in profile.
pub(crate) fn load_default() -> Result<(), Error> {
    load_seccomp_filter(DEFAULT)
        .during("seccomp", || format!("a filter of {} instructions", DEFAULT.len()))
        .step(|| "load the seccomp profile".into())
}
