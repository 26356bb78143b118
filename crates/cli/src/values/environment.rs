//! `--env`: one variable.

use std::ffi::OsString;
use std::str::FromStr;

use sandbar_spec::Invalid;

/// A variable as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    /// `NAME=value`.
    Set(String),
    /// `NAME`: as the caller has it, and absent where the caller has it not.
    Inherited(String),
}

impl FromStr for Variable {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let name = text.split_once('=').map_or(text, |(name, _value)| name);
        let reason = if name.is_empty() {
            "a name is needed before the '='"
        } else if text.contains('\0') {
            "a variable can't hold a zero byte"
        } else if name.contains(char::is_whitespace) {
            "a name can't hold a space"
        } else if text.len() > name.len() {
            return Ok(Self::Set(text.to_owned()));
        } else {
            return Ok(Self::Inherited(text.to_owned()));
        };
        Err(Invalid::new("environment variable", text, reason))
    }
}

impl Variable {
    /// `NAME=value`, if the variable is to be there at all. `caller` looks a variable up.
    pub(crate) fn resolve(
        self,
        caller: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<String>, Invalid> {
        let name = match self {
            Self::Set(assignment) => return Ok(Some(assignment)),
            Self::Inherited(name) => name,
        };
        match caller(&name).map(OsString::into_string) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(format!("{name}={value}"))),
            Some(Err(_)) => {
                let reason = "its value in Sandbar's own environment is not UTF-8";
                Err(Invalid::new("environment variable", &name, reason))
            }
        }
    }
}

/// The variables of a file (`--env-file`): one a line, empty lines and lines that begin with `#` left out.
pub(crate) fn parse_file(text: &str) -> Result<Vec<Variable>, Invalid> {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::parse)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_takes_the_callers_value_or_is_absent() {
        let caller = |name: &str| (name == "HOME").then(|| "/root".into());
        let resolve = |text: &str| text.parse::<Variable>().unwrap().resolve(caller).unwrap();
        assert_eq!(resolve("A=b=c").as_deref(), Some("A=b=c"));
        assert_eq!(resolve("A=").as_deref(), Some("A="));
        assert_eq!(resolve("HOME").as_deref(), Some("HOME=/root"));
        assert_eq!(resolve("NOT_SET"), None);
        for bad in ["", "=x", "A B=c", "A=\0"] {
            assert!(bad.parse::<Variable>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_value_that_is_not_utf8_is_refused_and_never_changed() {
        use std::os::unix::ffi::OsStringExt;
        let caller = |_: &str| Some(OsString::from_vec(vec![0xff]));
        let error = Variable::Inherited("X".into()).resolve(caller).unwrap_err();
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }

    #[test]
    fn files_have_comments() {
        let variables = parse_file("# c\n\nA=1 # kept\n  B\n").unwrap();
        assert_eq!(
            variables,
            [Variable::Set("A=1 # kept".into()), Variable::Inherited("B".into())]
        );
        assert!(parse_file("=x").is_err());
    }
}
