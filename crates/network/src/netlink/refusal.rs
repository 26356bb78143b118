//! Why the kernel refused a request.

use std::fmt;

use rustix::io::Errno;

use super::{bytes_at, find};

/// The text attribute of an extended acknowledgement (`NLMSGERR_ATTR_MSG`).
const TEXT: u16 = 1;
/// Of `struct nlmsghdr`, which a capped acknowledgement repeats from the request.
const HEADER: usize = 16;

/// An error number and, where the kernel gave one, its reason in words.
#[derive(Debug)]
pub(crate) struct Refusal {
    errno: Errno,
    text: Option<String>,
}

impl Refusal {
    /// Reads `struct nlmsgerr` and what follows it; `None` for an acknowledgement.
    pub(super) fn read(payload: &[u8]) -> Option<Self> {
        let code = i32::from_ne_bytes(bytes_at(payload, 0)?);
        if code >= 0 {
            return None;
        }
        let text = payload
            .get(4 + HEADER..)
            .and_then(|attributes| find(attributes, TEXT))
            .map(|text| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
        Some(Self { errno: Errno::from_raw_os_error(code.checked_neg()?), text })
    }

    pub(crate) fn errno(&self) -> Errno {
        self.errno
    }
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self { errno, text: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::io::Error::from(self.errno).fmt(f)?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_kept() {
        let mut payload = (-17_i32).to_ne_bytes().to_vec();
        payload.extend([0; HEADER]);
        payload.extend([9, 0, 1, 0]);
        payload.extend(b"busy\0");
        let refusal = Refusal::read(&payload).unwrap();
        assert_eq!(refusal.errno(), Errno::EXIST);
        assert_eq!(refusal.to_string(), "File exists (os error 17): busy");
        assert!(Refusal::read(&0_i32.to_ne_bytes()).is_none());
    }
}
