//! The loopback interface of a network namespace.

use std::os::fd::AsRawFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::fds::last_errno;

/// Brings up `lo` in the calling thread's network namespace (`netdevice(7)`, `SIOCSIFFLAGS`): in a new one it
/// is down.
///
/// # Errors
/// As socket(2) and ioctl(2).
pub fn bring_up_loopback() -> Result<(), Errno> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: ifreq is plain bytes and a union of plain integers, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = from.cast_signed();
    }
    // SAFETY: the socket is open; SIOCGIFFLAGS reads the name, which ends with a zero, and writes the flags
    // of the same structure, which outlives the call.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) } < 0 {
        return Err(last_errno());
    }
    // SAFETY: SIOCGIFFLAGS has initialised the flags of the union.
    let flags = i32::from(unsafe { request.ifr_ifru.ifru_flags }) | libc::IFF_UP;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).map_err(|_overflow| Errno::RANGE)?;
    // SAFETY: as above; SIOCSIFFLAGS reads the name and the flags.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } < 0 {
        return Err(last_errno());
    }
    Ok(())
}
