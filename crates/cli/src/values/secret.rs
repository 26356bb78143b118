//! `build --secret`: something that a `RUN` is shown.

use std::path::PathBuf;
use std::str::FromStr;

use sandbar_spec::Invalid;

/// A secret as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretArgument {
    pub(crate) id: String,
    pub(crate) from: SecretFrom,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretFrom {
    /// In a file.
    File(PathBuf),
    /// In a variable of the caller's.
    Variable(String),
    /// In a variable that is called as the secret is, else in such a file.
    Either,
}

impl FromStr for SecretArgument {
    type Err = Invalid;

    /// `id=ID[,src=FILE|,env=NAME]`, perhaps with `type=file` or `type=env`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason: &str| Invalid::new("secret", text, reason);
        let (mut id, mut file, mut variable, mut is_variable) = (None, None, None, false);
        for field in text.split(',') {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let slot = match name {
                "id" => &mut id,
                "src" | "source" => &mut file,
                "env" => &mut variable,
                "type" if value == "env" => {
                    is_variable = true;
                    continue;
                }
                "type" if value == "file" => continue,
                _ => return Err(wrong("id=ID is needed, then src=FILE or env=NAME")),
            };
            if value.is_empty() || slot.replace(value.to_owned()).is_some() {
                return Err(wrong("each of id, src and env has one value"));
            }
        }
        let id = id.ok_or_else(|| wrong("id=ID is needed"))?;
        let from = match (file, variable) {
            (None, None) => SecretFrom::Either,
            (Some(name), None) if is_variable => SecretFrom::Variable(name),
            (Some(file), None) => SecretFrom::File(file.into()),
            (None, Some(name)) => SecretFrom::Variable(name),
            (Some(_), Some(_)) => return Err(wrong("src and env are two places")),
        };
        Ok(Self { id, from })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_in_a_file_or_a_variable() {
        let from = |text: &str| text.parse::<SecretArgument>().map(|secret| secret.from);
        assert_eq!(from("id=a,src=b"), Ok(SecretFrom::File("b".into())));
        assert_eq!(from("type=file,id=a,source=b"), Ok(SecretFrom::File("b".into())));
        assert_eq!(from("id=a,env=B"), Ok(SecretFrom::Variable("B".into())));
        assert_eq!(from("id=a,type=env,src=B"), Ok(SecretFrom::Variable("B".into())));
        assert_eq!(from("id=a"), Ok(SecretFrom::Either));
        for text in ["", "src=b", "id=a,src=b,env=c", "id=a,src=", "id=a,id=b", "id=a,x=y"] {
            assert!(text.parse::<SecretArgument>().is_err(), "{text}");
        }
    }
}
