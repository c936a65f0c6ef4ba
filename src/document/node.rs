//! The tree itself, and how a deserializer grows it.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// One value of a document and where its text stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub value: Value,
    /// Where its text stands, where the parser tells (YAML does, JSON does not).
    pub(super) span: Option<Span>,
}

/// A piece of the text that a document was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// First byte.
    pub start: u32,
    /// Bytes.
    pub len: u32,
    /// Of the first byte, from 1.
    pub line: u32,
}

/// What a document can hold. Tables keep the order of the file, and keys written twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Whole(u64),
    Negative(i64),
    Real(f64),
    Text(Box<str>),
    List(Vec<Node>),
    Table(Vec<(Box<str>, Node)>),
}

impl Value {
    /// What a fault calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "empty",
            Self::Bool(true) => "the truth value true",
            Self::Bool(false) => "the truth value false",
            Self::Whole(_) => "a whole number",
            Self::Negative(_) => "a negative number",
            Self::Real(number) if !number.is_finite() => "a number that is not finite",
            Self::Real(_) => "a number with a fraction, an exponent or too many digits",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Table(_) => "a mapping",
        }
    }
}

/// Grows the nodes of a YAML document; the number of nodes is bounded by the parser's budget.
#[derive(Clone, Copy)]
pub(super) struct FromYaml;

impl<'de> DeserializeSeed<'de> for FromYaml {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        let spanned = Spanned::<YamlValue>::deserialize(from)?;
        let (span, line) = (spanned.defined.span(), spanned.defined.line());
        let whole = |number: u64| u32::try_from(number).ok();
        let span = span.byte_offset().zip(span.byte_len()).and_then(|(start, len)| {
            Some(Span { start: whole(start)?, len: whole(len)?, line: whole(line)? })
        });
        Ok(Node { value: spanned.value.0, span })
    }
}

/// The root of a YAML document.
pub(super) struct YamlRoot(pub Node);

impl<'de> Deserialize<'de> for YamlRoot {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        FromYaml.deserialize(from).map(Self)
    }
}

struct YamlValue(Value);

impl<'de> Deserialize<'de> for YamlValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Grow(FromYaml)).map(Self)
    }
}

/// Grows the nodes of a JSON document; the cell holds how many more there may be.
#[derive(Clone, Copy)]
pub(super) struct FromJson<'c>(pub &'c Cell<usize>);

impl<'de> DeserializeSeed<'de> for FromJson<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Node, D::Error> {
        let left = self.0.get().checked_sub(1);
        let left = left.ok_or_else(|| {
            D::Error::custom(format_args!("holds more than {} values; split it", super::MAX_NODES))
        })?;
        self.0.set(left);
        let value = from.deserialize_any(Grow(self))?;
        Ok(Node { value, span: None })
    }
}

/// Turns whatever comes into a [`Value`]; `S` makes the nodes below it.
struct Grow<S>(S);

impl<'de, S: Copy + DeserializeSeed<'de, Value = Node>> Visitor<'de> for Grow<S> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Whole(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(u64::try_from(value).map_or(Value::Negative(value), Value::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Real(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = seq.next_element_seed(self.0)? {
            list.push(node);
        }
        list.shrink_to_fit();
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut table = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            table.push((key.into_boxed_str(), map.next_value_seed(self.0)?));
        }
        table.shrink_to_fit();
        Ok(Value::Table(table))
    }
}
