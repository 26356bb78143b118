//! A property of a unit, as systemd's D-Bus interface takes it (`org.freedesktop.systemd1(5)`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use zbus::zvariant;

/// A property and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its value.
    pub value: Value,
}

/// A value of one of the types that properties have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `i`
    I32(i32),
    /// `u`
    U32(u32),
    /// `x`
    I64(i64),
    /// `t`
    U64(u64),
    /// `s`
    Text(String),
    /// `as`
    Texts(Vec<String>),
    /// `au`
    Numbers(Vec<u32>),
    /// `ay`
    Bytes(Vec<u8>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
}

impl Property {
    /// A property with its value.
    pub fn new(name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// As a call takes it.
    pub(super) fn to_bus(&self) -> (&str, zvariant::Value<'_>) {
        let value = match &self.value {
            Value::Bool(value) => (*value).into(),
            Value::I32(value) => (*value).into(),
            Value::U32(value) => (*value).into(),
            Value::I64(value) => (*value).into(),
            Value::U64(value) => (*value).into(),
            Value::Text(value) => value.as_str().into(),
            Value::Texts(value) => value.clone().into(),
            Value::Numbers(value) => value.clone().into(),
            Value::Bytes(value) => value.clone().into(),
            Value::Pairs(value) => value.clone().into(),
        };
        (&self.name, value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::U64(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_the_buss_own() {
        for (value, signature) in [
            (Value::Bool(true), "b"),
            (Value::I32(-1), "i"),
            (Value::U32(1), "u"),
            (Value::I64(-1), "x"),
            (Value::U64(1), "t"),
            (Value::Text("a".into()), "s"),
            (Value::Texts(Vec::new()), "as"),
            (Value::Numbers(vec![1]), "au"),
            (Value::Bytes(vec![1]), "ay"),
            (Value::Pairs(Vec::new()), "a(ss)"),
        ] {
            let property = Property { name: "X".into(), value };
            assert_eq!(property.to_bus().1.value_signature().to_string(), signature);
        }
    }
}
