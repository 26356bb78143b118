//! What the kernel puts on the initial stack: `argc`, pointers to the arguments, a null, pointers to the
//! environment, a null, and the auxiliary vector. The strings themselves lie higher up.

use core::ops::Range;

/// Masks the stack pointer at the start: the frames of all functions are below the result.
pub(crate) const FRAMES_END: usize = !0xfff;
/// The key of the page size in the auxiliary vector.
const AT_PAGESZ: usize = 6;
/// The key that ends the auxiliary vector.
const AT_NULL: usize = 0;

/// The initial stack of the process, a word at a time.
pub(crate) struct Arguments(*const usize);

impl Arguments {
    /// The arguments that lie at `stack`.
    ///
    /// # Safety
    /// `stack` is the value that the stack pointer had when the kernel entered the program.
    pub(crate) const unsafe fn at(stack: *const usize) -> Self {
        Self(stack)
    }

    /// Whether any argument is `-v`, in either case as in the original.
    pub(crate) fn ask_version(&self) -> bool {
        // The first is the program's name. An empty list is possible before Linux 5.18.
        (1..self.count()).any(|index| {
            // SAFETY: `index` is below `argc`, and there the kernel puts a pointer to a string that ends in NUL, in
            // memory that lives as long as the process.
            unsafe { is_version(self.argument(index)) }
        })
    }

    /// The pages that are of no use once these arguments have been read and every function has ended: from the
    /// first frame, just below the 4 KiB in which `argc` lies, up to where the strings begin.
    ///
    /// A random gap divides the pointers from the strings, and where they begin in a page is random too, so with
    /// the frame they take up to three pages. Those of the strings are not among them: `ps` reads them.
    pub(crate) fn scratch(self) -> Range<usize> {
        // A page's size is a power of two, and at least 4 KiB.
        let start_of_page = !(self.page_size() - 1);
        let start = ((self.0.addr() & FRAMES_END) - 1) & start_of_page;
        // SAFETY: 0 is at most `argc`. The result is null if there are no arguments, and the range empty.
        let end = unsafe { self.argument(0) }.addr() & start_of_page;
        start..end
    }

    fn count(&self) -> usize {
        // SAFETY: the first word is `argc`.
        unsafe { self.word(0) }
    }

    /// An argument, or null for the one past the last.
    ///
    /// # Safety
    /// `index` is at most `argc`.
    unsafe fn argument(&self, index: usize) -> *const u8 {
        // SAFETY: `argc` pointers and a null follow `argc`, aligned as they are as wide as a `usize`.
        unsafe { self.0.add(1).add(index).cast::<*const u8>().read() }
    }

    /// The size of a page in bytes.
    fn page_size(&self) -> usize {
        let mut index = self.count() + 2;
        // SAFETY: `index` is that of the first pointer after `argc`, the arguments and a null. It never passes the
        // null that ends the environment, and then goes from key to key of the auxiliary vector, each
        // followed by a value but the one that ends it.
        unsafe {
            while self.word(index) != 0 {
                index += 1;
            }
            index += 1;
            loop {
                match self.word(index) {
                    AT_PAGESZ => return self.word(index + 1),
                    // Every kernel tells. No range has pages of this size in it.
                    AT_NULL => return 1 << 30,
                    _ => index += 2,
                }
            }
        }
    }

    /// A word of the initial stack.
    ///
    /// # Safety
    /// `index` is that of a word up to the key that ends the auxiliary vector.
    unsafe fn word(&self, index: usize) -> usize {
        // SAFETY: the initial stack pointer is aligned, and the kernel put a word at `index`.
        unsafe { self.0.add(index).read() }
    }
}

/// Whether `argument` is `-v` or `-V`. By hand, as `CStr` would want the `strlen` of a C library.
///
/// # Safety
/// `argument` points to a string that ends in NUL.
unsafe fn is_version(argument: *const u8) -> bool {
    // SAFETY: the caller promises at least the NUL, and each byte is looked at only when the one before it is
    // not the NUL.
    unsafe {
        argument.read() == b'-'
            && matches!(argument.add(1).read(), b'v' | b'V')
            && argument.add(2).read() == 0
    }
}
