//! Variables in words: `$x`, `${x}`, `${x:-word}` and what else a shell has of it
//! ([environment replacement](https://docs.docker.com/reference/dockerfile/#environment-replacement)).

use std::iter::Peekable;
use std::str::Chars;

use crate::pattern;

/// Where variables have their values.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How deep one replacement may be in another: no Dockerfile needs it, and each takes of the stack.
const DEEPEST: u32 = 64;

/// How long a word may become, in bytes: one that doubles itself line by line would take all memory.
const LONGEST: usize = 1 << 20;

/// A word with its variables replaced and its quotes taken away.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn expand(word: &str, escape: char, lookup: Lookup<'_>) -> Result<String, String> {
    let rest = word.chars().peekable();
    Expansion { rest, escape, lookup, quotes: true, depth: 0 }.until(None)
}

/// The same of a here-document, whose quotes are its own.
pub(crate) fn expand_document(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let rest = text.chars().peekable();
    Expansion { rest, escape: '\\', lookup, quotes: false, depth: 0 }.until(None)
}

struct Expansion<'a> {
    rest: Peekable<Chars<'a>>,
    escape: char,
    lookup: Lookup<'a>,
    /// Whether quotes mean anything.
    quotes: bool,
    /// How many replacements we are in.
    depth: u32,
}

impl Expansion<'_> {
    /// All up to `end`, which is taken too; to the end of the word if none.
    fn until(&mut self, end: Option<char>) -> Result<String, String> {
        let mut text = String::new();
        while let Some(character) = self.rest.next() {
            match character {
                c if Some(c) == end => return Ok(text),
                '\'' if self.quotes => self.single(&mut text)?,
                '"' if self.quotes => self.double(&mut text)?,
                '$' => self.replace(&mut text)?,
                c if c == self.escape => self.escaped(&mut text),
                c => text.push(c),
            }
        }
        match end {
            None => Ok(text),
            Some(end) => Err(format!("'{end}' is missing")),
        }
    }

    fn escaped(&mut self, text: &mut String) {
        match self.rest.peek() {
            // A document's backslash is its own, but before what would be replaced.
            Some('$' | '\\') if !self.quotes => text.extend(self.rest.next()),
            Some(_) if self.quotes => text.extend(self.rest.next()),
            _ => text.push(self.escape),
        }
    }

    fn single(&mut self, text: &mut String) -> Result<(), String> {
        for character in self.rest.by_ref() {
            if character == '\'' {
                return Ok(());
            }
            text.push(character);
        }
        Err("a ' is not closed".to_owned())
    }

    fn double(&mut self, text: &mut String) -> Result<(), String> {
        while let Some(character) = self.rest.next() {
            match character {
                '"' => return Ok(()),
                '$' => self.replace(text)?,
                c if c == self.escape => match self.rest.peek() {
                    Some(&next) if matches!(next, '"' | '$') || next == self.escape => {
                        text.extend(self.rest.next());
                    }
                    _ => text.push(c),
                },
                c => text.push(c),
            }
        }
        Err("a \" is not closed".to_owned())
    }

    /// Adds what a variable stands for.
    fn replace(&mut self, text: &mut String) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("more than {DEEPEST} '${{' are within each other"));
        }
        text.push_str(&self.variable()?);
        self.depth -= 1;
        match text.len() {
            ..=LONGEST => Ok(()),
            _ => Err(format!("with its variables replaced it is longer than {LONGEST} bytes")),
        }
    }

    /// What follows a dollar sign.
    fn variable(&mut self) -> Result<String, String> {
        if self.rest.next_if_eq(&'{').is_none() {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok((self.lookup)(&name).unwrap_or_default());
        }
        let name = self.name();
        if name.is_empty() {
            return Err("a name is missing after ${".to_owned());
        }
        let value = (self.lookup)(&name);
        let operator = self.rest.next().ok_or_else(|| format!("${{{name} is not closed"))?;
        match operator {
            '}' => Ok(value.unwrap_or_default()),
            ':' => {
                let operator = self.rest.next().unwrap_or('}');
                let set = value.filter(|value| !value.is_empty());
                self.conditional(&name, operator, set)
            }
            '-' | '+' | '?' => self.conditional(&name, operator, value),
            '#' | '%' => {
                let longest = self.rest.next_if_eq(&operator).is_some();
                let pattern = self.until(Some('}'))?;
                let value = value.unwrap_or_default();
                Ok(match operator {
                    '#' => pattern::without_prefix(&value, &pattern, longest),
                    _ => pattern::without_suffix(&value, &pattern, longest),
                }
                .to_owned())
            }
            '/' => {
                let all = self.rest.next_if_eq(&'/').is_some();
                let pattern = self.until(Some('/'))?;
                let by = self.until(Some('}'))?;
                Ok(pattern::replaced(&value.unwrap_or_default(), &pattern, &by, all))
            }
            other => Err(format!("${{{name}{other}…}} is not known")),
        }
    }

    /// `-word`, `+word` or `?word`, of a variable that is or is not set.
    fn conditional(
        &mut self,
        name: &str,
        operator: char,
        set: Option<String>,
    ) -> Result<String, String> {
        let word = self.until(Some('}'))?;
        match (operator, set) {
            ('-', set) => Ok(set.unwrap_or(word)),
            ('+', set) => Ok(set.map(|_| word).unwrap_or_default()),
            ('?', Some(set)) => Ok(set),
            ('?', None) => Err(match word.is_empty() {
                true => format!("{name} is not set"),
                false => format!("{name}: {word}"),
            }),
            (other, _) => Err(format!("${{{name}:{other}…}} is not known")),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(next) = self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(next);
            if name.len() == 1 && next.is_ascii_digit() {
                break;
            }
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        match name {
            "x" => Some("value".to_owned()),
            "path" => Some("/usr/lib/a.tar.gz".to_owned()),
            "empty" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_replaced_as_in_a_shell() {
        for (word, expected) in [
            ("$x-${x}", "value-value"),
            ("a$no.b", "a.b"),
            ("${no:-d}${no-d}${empty-d}${empty:-d}", "ddd"),
            ("${x:+a}${x+a}${no+a}${empty:+a}${empty+a}", "aaa"),
            ("${no:-${x}}", "value"),
            (r#"'$x' "$x" \$x"#, "$x value $x"),
            (r#""a\"b\$c\d""#, r#"a"b$c\d"#),
            ("100$", "100$"),
            ("$ $/", "$ $/"),
            ("${path##*/}", "a.tar.gz"),
            ("${path#*/}", "usr/lib/a.tar.gz"),
            ("${path%.*}", "/usr/lib/a.tar"),
            ("${path%%.*}", "/usr/lib/a"),
            ("${x/a/o}${path//\\//_}", "volue_usr_lib_a.tar.gz"),
        ] {
            assert_eq!(expand(word, '\\', &lookup).as_deref(), Ok(expected), "{word}");
        }
        assert_eq!(expand("`$x", '`', &lookup).unwrap(), "$x");
    }

    #[test]
    fn what_is_broken_is_told() {
        for (word, why) in [
            ("'a", "'"),
            ("\"a", "\""),
            ("${x", "x"),
            ("${}", "name"),
            ("${no:?it is needed}", "no: it is needed"),
            ("${no?}", "not set"),
            ("${x!a}", "not known"),
            ("${x:-a", "}"),
        ] {
            let error = expand(word, '\\', &lookup).unwrap_err();
            assert!(error.contains(why), "{word}: {error}");
        }
    }

    #[test]
    fn what_would_take_all_memory_is_refused() {
        let nested = |depth: usize| "${no:-".repeat(depth) + "x" + &"}".repeat(depth);
        assert_eq!(expand(&nested(64), '\\', &lookup).as_deref(), Ok("x"));
        for depth in [65, 1_000_000] {
            assert!(expand(&nested(depth), '\\', &lookup).unwrap_err().contains("within"));
        }
        let long = "x".repeat(LONGEST / 2);
        let lookup = |_: &str| Some(long.clone());
        assert_eq!(expand("$a$a", '\\', &lookup).unwrap().len(), LONGEST);
        assert!(expand("$a$a$a", '\\', &lookup).unwrap_err().contains("longer"));
        assert!(expand("\"$a$a$a\"", '\\', &lookup).unwrap_err().contains("longer"));
    }

    #[test]
    fn a_documents_quotes_are_its_own() {
        let text = "a 'b' \"$x\" \\$x \\n $no\n";
        assert_eq!(expand_document(text, &lookup).unwrap(), "a 'b' \"value\" $x \\n \n");
    }
}
