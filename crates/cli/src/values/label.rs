//! `--label`: a name with a value.

use std::str::FromStr;

use sandbar_spec::Invalid;

/// A label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl FromStr for Label {
    type Err = Invalid;

    /// `NAME=value`, or `NAME` with an empty value.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        match name.is_empty() {
            true => Err(Invalid::new("label", text, "a name is needed before the '='")),
            false => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_may_have_no_value() {
        let label = |text: &str| text.parse::<Label>().map(|it| (it.name, it.value));
        assert_eq!(label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(label("a"), Ok(("a".into(), String::new())));
        assert!(label("=b").is_err());
    }
}
