//! Time lost in waiting: <https://docs.kernel.org/accounting/psi.html>.

use rustix::io::Errno;

use crate::{Cgroup, Error, Result, files};

/// Time in which processes could not go on for want of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// While at least one waited.
    pub some: Stalled,
    /// While all waited.
    pub full: Stalled,
}

/// Shares of the last time, in percent, and the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stalled {
    /// Of the last 10 seconds.
    pub avg10: f64,
    /// Of the last minute.
    pub avg60: f64,
    /// Of the last five minutes.
    pub avg300: f64,
    /// All of it, in microseconds.
    pub total: u64,
}

impl Cgroup {
    /// `None` in version 1, and where the kernel doesn't count this.
    pub(super) fn pressure(&self, file: &str) -> Result<Option<Pressure>> {
        if !self.hierarchy().is_v2() {
            return Ok(None);
        }
        let path = self.main_dir().join(file);
        match files::read_if_there(&path) {
            Ok(None) => Ok(None),
            Ok(Some(text)) => parse(&text).map(Some).ok_or_else(|| Error::contents(&path, &text)),
            // The machine was started without it (`psi=0`).
            Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Lines of `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`; before Linux 5.13, CPUs have no
/// `full`.
fn parse(text: &str) -> Option<Pressure> {
    let mut pressure = Pressure::default();
    for line in text.lines() {
        let (which, values) = line.split_once(' ')?;
        let value = |key: &str| values.split(' ').find_map(|word| word.strip_prefix(key));
        let stalled = Stalled {
            avg10: value("avg10=")?.parse().ok()?,
            avg60: value("avg60=")?.parse().ok()?,
            avg300: value("avg300=")?.parse().ok()?,
            total: value("total=")?.parse().ok()?,
        };
        match which {
            "some" => pressure.some = stalled,
            "full" => pressure.full = stalled,
            _ => {}
        }
    }
    Some(pressure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_are_read() {
        let text = "some avg10=1.50 avg60=0.20 avg300=0.00 total=77\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n";
        let pressure = parse(text).unwrap();
        assert_eq!(pressure.some, Stalled { avg10: 1.5, avg60: 0.2, avg300: 0.0, total: 77 });
        assert_eq!(pressure.full.total, 5);
        assert!(parse("some avg10=x\n").is_none());
    }
}
