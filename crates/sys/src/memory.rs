//! Pages of memory, given back.

/// Gives the heap's free pages back to the kernel (`malloc_trim(3)`), so that a process that waits for
/// hours keeps only what it uses.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes any pad, locks the arenas itself and touches only free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Takes the program's own code and constants out of this process's memory until they are used again: they
/// stay in the page cache, and what is used again is mapped again, a few pages at a time (`madvise(2)`,
/// `MADV_DONTNEED`). For a process that has done its work for now and waits.
pub fn release_program() {
    unsafe extern "C" {
        /// Where the linker put the beginning of the program, and the end of its code (`end(3)`).
        static __executable_start: u8;
        static etext: u8;
    }
    let page = rustix::param::page_size();
    let start = (&raw const __executable_start as usize).next_multiple_of(page);
    let end = &raw const etext as usize / page * page;
    if start < end {
        // SAFETY: between the two symbols the linker places what is only read and executed (a program that is
        // not position-independent has no relocations there): pages of a private file mapping that nobody
        // wrote, so that each is read from the file again, unchanged, when it is next touched.
        unsafe {
            libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED);
        }
    }
}
