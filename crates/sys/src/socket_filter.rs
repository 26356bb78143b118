//! Which of what comes to a socket wakes its process: classic BPF, `SO_ATTACH_FILTER` (socket(7)).

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::fds::last_errno;

/// One instruction of a socket's filter: `struct sock_filter` of `linux/filter.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct FilterInstruction {
    /// The operation.
    pub code: u16,
    /// How far to jump if it holds.
    pub jt: u8,
    /// How far to jump if it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

const _: () = assert!(size_of::<FilterInstruction>() == size_of::<libc::sock_filter>());

/// Has the kernel drop what comes to `socket` and `filter` returns zero for.
///
/// # Errors
/// `EINVAL` for a filter that is empty, too long or does not end; else as setsockopt(2).
pub fn attach_socket_filter(
    socket: BorrowedFd<'_>,
    filter: &[FilterInstruction],
) -> Result<(), Errno> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_too_long| Errno::INVAL)?,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    let length = libc::socklen_t::try_from(size_of_val(&program)).unwrap_or(0);
    // SAFETY: the option's value is a `struct sock_fprog` of that length; it and the instructions that it points to
    // are alive, of the kernel's own layout, and only read, within the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            length,
        )
    };
    if done < 0 { Err(last_errno()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn what_the_filter_drops_never_comes() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        // ldb [0]; jeq #'a', 0, 1; ret #-1; ret #0
        let instruction = |code, jf, k| FilterInstruction { code, jt: 0, jf, k };
        let filter = [
            instruction(0x30, 0, 0),
            instruction(0x15, 1, u32::from(b'a')),
            instruction(0x06, 0, u32::MAX),
            instruction(0x06, 0, 0),
        ];
        attach_socket_filter(ours.as_fd(), &filter).unwrap();
        for sent in [b"b", b"a"] {
            // Some kinds of socket tell the sender, and some do not.
            let _sent = theirs.send(sent);
        }
        let mut buffer = [0; 8];
        assert_eq!((ours.recv(&mut buffer).unwrap(), buffer[0]), (1, b'a'));
        assert!(ours.recv(&mut buffer).is_err());
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let (ours, _theirs) = UnixDatagram::pair().unwrap();
        assert_eq!(attach_socket_filter(ours.as_fd(), &[]), Err(Errno::INVAL));
    }
}
