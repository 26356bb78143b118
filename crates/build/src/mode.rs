//! `--chmod`: an octal mode, or what is to be added to and taken from the one that there is, as with chmod(1).

/// A change of modes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// This one, whatever was before.
    Octal(u32),
    /// One change after the other.
    Symbolic(Vec<Change>),
}

/// `go-w`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// The bits of those whom it is about, 0o7777 for all.
    who: u32,
    operator: char,
    /// What is set or taken, for everybody.
    bits: u32,
    /// Whether what is a directory, or may be executed by somebody, may be by them.
    executes: bool,
}

impl Mode {
    /// Reads `755` or `u=rwX,go=rX`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("--chmod={text}: a mode is needed, as in 755 or u=rwX,go=rX");
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            return mode.map(Self::Octal).ok_or_else(wrong);
        }
        let changes = text.split(',').map(changes).collect::<Option<Vec<_>>>();
        Ok(Self::Symbolic(changes.ok_or_else(wrong)?.concat()))
    }

    /// The mode in place of `before`.
    pub(crate) fn of(&self, before: u32, is_directory: bool) -> u32 {
        match self {
            Self::Octal(mode) => *mode,
            Self::Symbolic(changes) => {
                changes.iter().fold(before & 0o7777, |mode, change| change.of(mode, is_directory))
            }
        }
    }
}

impl Change {
    fn of(self, before: u32, is_directory: bool) -> u32 {
        let executes = self.executes && (is_directory || before & 0o111 != 0);
        let bits = (self.bits | if executes { 0o111 } else { 0 }) & self.who;
        match self.operator {
            '+' => before | bits,
            '-' => before & !bits,
            // A directory's set-ID bits stay unless they are named, as with chmod(1).
            _ => (before & !self.who) | bits | if is_directory { before & 0o6000 } else { 0 },
        }
    }
}

/// `ug+rw-x`: all changes for some.
fn changes(text: &str) -> Option<Vec<Change>> {
    let end = text.find(['+', '-', '='])?;
    let mut who = 0;
    for letter in text[..end].chars() {
        who |= match letter {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o1007,
            'a' => 0o7777,
            _ => return None,
        };
    }
    if end == 0 {
        who = 0o7777;
    }
    let mut changes: Vec<Change> = Vec::new();
    for letter in text[end..].chars() {
        let last = changes.last_mut();
        match (letter, last) {
            ('+' | '-' | '=', _) => {
                changes.push(Change { who, operator: letter, bits: 0, executes: false });
            }
            ('r', Some(change)) => change.bits |= 0o444,
            ('w', Some(change)) => change.bits |= 0o222,
            ('x', Some(change)) => change.bits |= 0o111,
            ('s', Some(change)) => change.bits |= 0o6000,
            // For all alike, whoever is named.
            ('t', Some(change)) => {
                change.bits |= 0o1000;
                change.who |= 0o1000;
            }
            ('X', Some(change)) => change.executes = true,
            _ => return None,
        }
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_changed_as_by_chmod() {
        for (text, before, is_directory, after) in [
            ("640", 0o777, false, 0o640),
            ("4755", 0o600, false, 0o4755),
            ("+x", 0o644, false, 0o755),
            ("u+x", 0o644, false, 0o744),
            ("go-rwx", 0o755, false, 0o700),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("a=rX", 0o700, true, 0o555),
            ("ug+w-x", 0o555, false, 0o665),
            ("g+s", 0o755, true, 0o2755),
            ("o=", 0o757, false, 0o750),
            ("+t", 0o777, true, 0o1777),
            ("u=rwx", 0o2755, true, 0o2755),
        ] {
            let mode = Mode::parse(text).unwrap().of(before, is_directory);
            assert_eq!(format!("{mode:o}"), format!("{after:o}"), "{text} of {before:o}");
        }
        for text in ["", "8", "99999", "x", "u", "z+x", "u+q", "u+x,", "rwx"] {
            assert!(Mode::parse(text).is_err(), "{text}");
        }
    }
}
