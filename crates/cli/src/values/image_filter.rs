//! `images --filter`: which images to list.

use std::str::FromStr;

use sandbar_spec::Invalid;

/// What an image must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageFilter {
    /// Without a name, or with one.
    Dangling(bool),
    /// Called so, where `*` is any characters and `?` one, but a slash.
    Reference(String),
    /// Built before this image.
    Before(String),
    /// Built after this image.
    Since(String),
}

impl FromStr for ImageFilter {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason: &str| Err(Invalid::new("filter", text, reason));
        match text.split_once('=') {
            Some((_, "")) => wrong("a value is needed after the '='"),
            Some(("dangling", "true" | "1")) => Ok(Self::Dangling(true)),
            Some(("dangling", "false" | "0")) => Ok(Self::Dangling(false)),
            Some(("reference", pattern)) => Ok(Self::Reference(pattern.to_owned())),
            Some(("before", image)) => Ok(Self::Before(image.to_owned())),
            Some(("since", image)) => Ok(Self::Since(image.to_owned())),
            _ => wrong("there are dangling=true, reference=PATTERN, before=IMAGE and since=IMAGE"),
        }
    }
}

/// Whether a text is like a pattern. It takes no longer than the two are long together, squared.
pub(crate) fn is_like(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    // How far into the text what has come of the pattern may reach.
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            let before = at.checked_sub(1).map(|before| (before, text[before]));
            next[at] = match (wanted, before) {
                ('*', None) => reached[at],
                ('*', Some((before, c))) => reached[at] || (next[before] && c != '/'),
                ('?', Some((before, c))) => reached[before] && c != '/',
                (wanted, Some((before, c))) => reached[before] && c == wanted,
                (_, None) => false,
            };
        }
        reached = next;
    }
    reached[text.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_end_at_slashes() {
        for (pattern, text) in [
            ("a", "a"),
            ("a*", "a"),
            ("a*", "abc"),
            ("*:1.?", "nginx:1.2"),
            ("*/b", "a/b"),
            ("*", ""),
        ] {
            assert!(is_like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("*", "a/b"), ("?", ""), ("a?", "a"), ("a*c", "ab")] {
            assert!(!is_like(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn filters_are_a_name_and_a_value() {
        let filter = |text: &str| text.parse::<ImageFilter>();
        assert_eq!(filter("dangling=true"), Ok(ImageFilter::Dangling(true)));
        assert_eq!(filter("reference=a=b"), Ok(ImageFilter::Reference("a=b".into())));
        for text in ["dangling", "dangling=maybe", "before=", "label=x"] {
            assert!(filter(text).is_err(), "{text}");
        }
    }
}
