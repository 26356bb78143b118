//! The files' one format: lines of a word and its value.

use crate::error::{Error, Result};

/// The words and values of `text`; empty lines and what follows a `#` at a line's beginning are left out.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .map(|(word, value)| (word, value.trim()))
}

/// The address that `value` is.
pub(crate) fn address(word: &str, value: &str) -> Result<std::net::IpAddr> {
    value.parse().map_err(|_no_address| Error::invalid(format!("{word} '{value}': no IP address")))
}

/// The domain name that `value` is, in lower case and without the last dot.
///
/// Wider than what host names may be (underscores, RFC 2181 section 11), for containers have such names.
pub(crate) fn domain_name(word: &str, value: &str) -> Result<String> {
    let name = value.strip_suffix('.').unwrap_or(value);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if name.len() > 253 || !name.split('.').all(label) {
        let why = "expected labels of up to 63 letters, digits, '-' and '_'";
        return Err(Error::invalid(format!("{word} '{value}': {why}")));
    }
    Ok(name.to_ascii_lowercase())
}

/// The name of a file or directory that `value` is, of none that is hidden.
pub(crate) fn file_name<'a>(word: &str, value: &'a str) -> Result<&'a str> {
    if value.is_empty() || value.starts_with('.') || value.contains(['/', '\0']) {
        return Err(Error::invalid(format!("{word} '{value}': no name for a file")));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_have_labels() {
        assert_eq!(domain_name("name", "Web_1.Example.").unwrap(), "web_1.example");
        let long = "a".repeat(64);
        for wrong in ["", ".", "a..b", "a b", "ä", &long] {
            let error = domain_name("name", wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("name '{wrong}'")), "{error}");
        }
    }
}
