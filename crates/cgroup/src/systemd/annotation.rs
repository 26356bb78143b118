//! Properties that a configuration asks for with annotations, as runc takes them (its `docs/systemd.md`).

use super::{Property, Value};
use crate::error::Cause;
use crate::{Error, Result};

/// What such annotations begin with.
const BEGINNING: &str = "org.systemd.property.";

/// The properties that annotations ask for: `org.systemd.property.NAME` with a value in the text format of GVariant,
/// of the types that [`Value`] has. A time in seconds (`TimeoutStopSec`) becomes one in microseconds, of the name
/// that D-Bus has for it.
///
/// # Errors
/// [`InvalidLimit`](crate::ErrorKind::InvalidLimit), naming the annotation.
pub fn annotation_properties<'a>(
    annotations: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<Property>> {
    let asked = annotations
        .into_iter()
        .filter_map(|(key, value)| Some((key, key.strip_prefix(BEGINNING)?, value)));
    asked.map(|(key, name, value)| property(key, name, value)).collect()
}

fn property(key: &str, name: &str, text: &str) -> Result<Property> {
    let refuse =
        |why| Error::from(Cause::Annotation { key: key.to_owned(), value: text.to_owned(), why });
    if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(refuse("no property of systemd has such a name"));
    }
    // What the runtime itself decides by.
    if matches!(name, "PIDs" | "Slice" | "Delegate" | "ControlGroup") {
        return Err(refuse("the runtime sets this property itself"));
    }
    let value = parse(text.trim()).ok_or_else(|| {
        refuse("a value is true, false, a number (with its type before it), 'text' or a list of these in []")
    })?;
    let Some(stem) =
        name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase()))
    else {
        return Ok(Property::new(name.to_owned(), value));
    };
    let seconds = match value {
        Value::I32(seconds) => u64::try_from(seconds).ok(),
        Value::I64(seconds) => u64::try_from(seconds).ok(),
        Value::U32(seconds) => Some(seconds.into()),
        Value::U64(seconds) => Some(seconds),
        _ => None,
    };
    let micros = seconds.and_then(|seconds| seconds.checked_mul(1_000_000));
    let micros = micros.ok_or_else(|| refuse("it is no number of seconds"))?;
    Ok(Property::new(format!("{stem}USec"), micros))
}

fn parse(text: &str) -> Option<Value> {
    if let Some(list) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return list_of(list);
    }
    if let Some(text) = quoted(text) {
        return Some(Value::Text(text));
    }
    match text.split_once(' ').map(|(kind, number)| (kind, number.trim())) {
        None => match text {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            number => number.parse().ok().map(Value::I32),
        },
        Some(("int32", number)) => number.parse().ok().map(Value::I32),
        Some(("uint32", number)) => number.parse().ok().map(Value::U32),
        Some(("int64", number)) => number.parse().ok().map(Value::I64),
        Some(("uint64", number)) => number.parse().ok().map(Value::U64),
        Some(_) => None,
    }
}

/// A list of texts, or of numbers each of which is a `uint32`. None can have a comma in it.
fn list_of(list: &str) -> Option<Value> {
    let items = || list.split(',').map(str::trim);
    let texts: Option<Vec<String>> = items().map(quoted).collect();
    let number = |item: &str| item.strip_prefix("uint32 ")?.trim().parse().ok();
    let numbers: Option<Vec<u32>> = items().map(number).collect();
    texts.map(Value::Texts).or(numbers.map(Value::Numbers))
}

/// What is between quotes of either kind, neither of which nor a backslash is in it.
fn quoted(text: &str) -> Option<String> {
    let inner =
        ['\'', '"'].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))?;
    (!inner.contains(['\'', '"', '\\'])).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    fn of(name: &str, value: &str) -> Result<Vec<Property>> {
        let key = format!("org.systemd.property.{name}");
        annotation_properties([(key.as_str(), value), ("org.other", "x")])
    }

    #[test]
    fn values_of_each_type_are_taken() {
        for (name, text, expected) in [
            ("SendSIGHUP", "true", Value::Bool(true)),
            ("CollectMode", "'inactive-or-failed'", Value::Text("inactive-or-failed".into())),
            ("OOMScoreAdjust", "-5", Value::I32(-5)),
            ("MemoryHigh", "uint64 4096", Value::U64(4096)),
            (
                "After",
                "['a.service', \"b.service\"]",
                Value::Texts(vec!["a.service".into(), "b.service".into()]),
            ),
            ("Xyz", "[uint32 1, uint32 2]", Value::Numbers(vec![1, 2])),
        ] {
            assert_eq!(of(name, text).unwrap(), [Property::new(name.to_owned(), expected)]);
        }
    }

    #[test]
    fn seconds_become_microseconds() {
        let micros = Property::new("TimeoutStopUSec", 7_000_000_u64);
        for text in ["uint64 7", "7", "uint32 7", "int64 7"] {
            assert_eq!(of("TimeoutStopSec", text).unwrap(), std::slice::from_ref(&micros));
        }
    }

    #[test]
    fn what_can_not_be_meant_is_refused_by_name() {
        for (name, text) in [
            ("Xyz", ""),
            ("Xyz", "text"),
            ("Xyz", "'a"),
            ("Xyz", "[1, 'a']"),
            ("Xyz", "uint32 -1"),
            ("TimeoutStopSec", "'7'"),
            ("TimeoutStopSec", "-7"),
            ("A b", "true"),
            ("", "true"),
            ("Delegate", "false"),
        ] {
            let error = of(name, text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidLimit);
            assert!(error.to_string().starts_with("annotation org.systemd.property."), "{error}");
        }
    }
}
