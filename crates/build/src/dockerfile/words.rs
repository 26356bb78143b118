//! Words of an instruction: separated by blanks, held together by quotes, which they keep until variables in them
//! are replaced.

/// The words of a text.
pub(crate) fn split(text: &str, escape: char) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match quote {
            None if character.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if matches!(character, '"' | '\'') => quote = Some(character),
            Some(end) if character == end => quote = None,
            _ => {}
        }
        word.push(character);
        if character == escape
            && quote != Some('\'')
            && let Some(next) = characters.next()
        {
            word.push(next);
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The first word of a text, and what follows it.
pub(crate) fn first(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    match text.find(char::is_whitespace) {
        Some(end) => (&text[..end], text[end..].trim_start()),
        None => (text, ""),
    }
}

/// A list in JSON's form, if it is one: what only looks like one is a line for a shell.
pub(crate) fn list(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if !text.starts_with('[') {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// `--name=value` and `--name` at the beginning of a text, and what follows them.
pub(crate) fn flags(text: &str) -> (Vec<(String, Option<String>)>, &str) {
    let (mut flags, mut rest) = (Vec::new(), text.trim_start());
    loop {
        let (word, after) = first(rest);
        match word.strip_prefix("--") {
            Some("") => return (flags, after),
            Some(flag) => {
                let (name, value) = match flag.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (flag, None),
                };
                flags.push((name.to_owned(), value));
                rest = after;
            }
            None => return (flags, rest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        let words = split(r#"A=1 B="two words" C=a\ b D='x "y' "" "#, '\\');
        assert_eq!(words, ["A=1", r#"B="two words""#, r"C=a\ b", r#"D='x "y'"#, r#""""#]);
    }

    #[test]
    fn flags_come_first() {
        let (flags, rest) = flags("--from=a --link  x --y z");
        assert_eq!(flags, [("from".to_owned(), Some("a".to_owned())), ("link".to_owned(), None)]);
        assert_eq!(rest, "x --y z");
    }

    #[test]
    fn what_is_no_json_is_no_list() {
        assert_eq!(list(r#" ["a", "b c"] "#).unwrap(), ["a", "b c"]);
        assert_eq!(list("[ -e x ] && y"), None);
        assert_eq!(list("['a']"), None);
    }
}
