//! JSON that others wrote: what is wrong with it is said with the field that it is in.
//!
//! `serde_path_to_error` finds the field too, at the price of every deserializer a second time in the program
//! (430 KiB, a quarter of a start's time). Here the text is read again, once there is an error.

use std::fmt::{Display, Write};

use serde::de::DeserializeOwned;

use crate::failure::{Failure, Result};

/// Reads the `text` of the file `name`.
pub(super) fn read<T: DeserializeOwned>(name: impl Display, text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| {
        let field = offset(text, error.line(), error.column()).map(|it| field_at(text, it));
        match field.filter(|field| !field.is_empty()) {
            Some(field) => Failure::new(format!("cannot use {name}: {field}: {error}")),
            None => Failure::new(format!("cannot use {name}: {error}")),
        }
    })
}

/// Where the byte is at which `serde_json` gave up: the last that it had read, counted from 1 in a line.
fn offset(text: &[u8], line: usize, column: usize) -> Option<usize> {
    let before = text.split_inclusive(|byte| *byte == b'\n').take(line.checked_sub(1)?);
    Some(before.map(<[u8]>::len).sum::<usize>() + column.saturating_sub(1))
}

/// A place within an object or a list that is being read.
enum Step<'a> {
    Key(&'a [u8]),
    Index(usize),
}

/// The name of the innermost value that the byte at `offset` belongs to, as in `linux.namespaces[2].type`. The
/// text has been found to be JSON up to there.
fn field_at(text: &[u8], offset: usize) -> String {
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut at = 0;
    // The last string, which is a key if a colon follows.
    let mut string: &[u8] = &[];
    while at <= offset {
        match text.get(at) {
            Some(b'"') => {
                let end = string_end(text, at + 1);
                string = text.get(at + 1..end).unwrap_or_default();
                at = end;
            }
            Some(b'{') if at < offset => steps.push(Step::Key(b"")),
            Some(b'[') if at < offset => steps.push(Step::Index(0)),
            Some(b'}' | b']') if at < offset => drop(steps.pop()),
            // What ends here is what is wrong, not what was read of it last.
            Some(b'}' | b']') => drop(steps.pop()),
            Some(b':') => {
                if let Some(Step::Key(key)) = steps.last_mut() {
                    *key = string;
                }
            }
            Some(b',') => match steps.last_mut() {
                Some(Step::Key(key)) => *key = b"",
                Some(Step::Index(index)) => *index += 1,
                None => {}
            },
            Some(_) => {}
            None => break,
        }
        at += 1;
    }
    let mut name = String::new();
    for step in steps {
        let _written = match step {
            Step::Key(b"") => Ok(()),
            Step::Key(key) => {
                let dot = if name.is_empty() { "" } else { "." };
                write!(name, "{dot}{}", String::from_utf8_lossy(key))
            }
            Step::Index(index) => write!(name, "[{index}]"),
        };
    }
    name
}

/// Where the string ends whose first byte is at `start`: at its closing quotation mark.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => break,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::Spec;

    fn refused(text: &str) -> String {
        read::<Spec>("config.json", text.as_bytes()).unwrap_err().lines()
    }

    #[test]
    fn what_is_wrong_is_said_with_its_field() {
        for (text, field) in [
            (
                r#"{"ociVersion":"1.0.2","linux":{"namespaces":[{"type":"pid"},{"type":"moon"}]}}"#,
                "linux.namespaces[1].type: unknown variant `moon`",
            ),
            (
                r#"{"ociVersion":"1.0.2","linux":{"resources":{"memory":{"limit":"much"}}}}"#,
                "linux.resources.memory.limit: invalid type",
            ),
            (
                r#"{"ociVersion":"1.0.2","process":{"cwd":"/","args":{"a":1},"user":{}}}"#,
                "process.args: invalid type: map",
            ),
            (
                r#"{"ociVersion":"1.0.2","mounts":[{"source":"x"}]}"#,
                "mounts[0]: missing field `destination`",
            ),
            (r#"{"ociVersion":7}"#, "ociVersion: invalid type: integer"),
            (
                "{\n  \"ociVersion\": \"1.0.2\",\n  \"annotations\": {\"a\\\"b\": \"{[\", \"c\": [1]}\n}",
                "annotations.c: invalid type: sequence",
            ),
        ] {
            let lines = refused(text);
            assert!(
                lines.starts_with(&format!("sandbar: cannot use config.json: {field}")),
                "{lines}"
            );
        }
    }

    #[test]
    fn what_is_no_json_is_said_where_it_ends() {
        assert!(refused("").contains("EOF while parsing a value"), "{}", refused(""));
        let lines = refused(r#"{"ociVersion":"1.0.2","process":{"cwd":"/"#);
        assert!(lines.contains("process.cwd: EOF while parsing a string"), "{lines}");
        assert!(refused("7").contains("config.json: invalid type: integer"), "{}", refused("7"));
    }
}
