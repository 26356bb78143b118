//! The allocator's pages, given back.

/// Gives the heap's free pages back to the kernel (`malloc_trim(3)`), so that a process that waits for
/// hours keeps only what it uses.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes any pad, locks the arenas itself and touches only free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}
