//! `--entrypoint`: the program in place of the image's.

use std::str::FromStr;

use sandbar_spec::Invalid;

/// The program and its first arguments; empty for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entrypoint(pub(crate) Vec<String>);

impl FromStr for Entrypoint {
    type Err = Invalid;

    /// One word, however many spaces are in it, or a JSON list of words.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            Ok(Self(Vec::new()))
        } else if text.starts_with('[') {
            serde_json::from_str(text).map(Self).map_err(|error| {
                Invalid::new(
                    "entry point",
                    text,
                    format!("a JSON list of strings is needed: {error}"),
                )
            })
        } else {
            Ok(Self(vec![text.to_owned()]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_point_is_a_word_a_list_or_none() {
        let entrypoint = |text: &str| text.parse::<Entrypoint>().map(|it| it.0);
        assert_eq!(entrypoint("/bin/my sh"), Ok(vec!["/bin/my sh".to_owned()]));
        assert_eq!(entrypoint(r#"["sh","-c"]"#), Ok(vec!["sh".to_owned(), "-c".to_owned()]));
        assert_eq!(entrypoint(""), Ok(vec![]));
        assert!(entrypoint("[sh]").is_err());
    }
}
