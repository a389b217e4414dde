//! JSON with places: a strict reader that keeps where everything stood.

mod canonical;
mod escape;
mod known;
mod nested;
mod read;
mod source;

use std::borrow::Cow;
use std::sync::Arc;

pub use canonical::write_text;
pub use known::{Among, Known};
pub use nested::{Encoding, percent_decoded};
pub use read::{read, read_among};
pub use source::Source;

/// Byte offsets in a text, end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One after the last byte.
    pub end: usize,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Json<'a> {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: Value<'a>,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as written.
    Number(&'a str),
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Json<'a>>),
    /// An object; no name twice.
    Object(Vec<Member<'a>>),
    /// An object that was read before: only for who says by [`read_among`] which ones it knows.
    Known(Arc<Known>),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Member<'a> {
    /// Its name, unescaped.
    pub name: Cow<'a, str>,
    /// Where the name stands, quotes included.
    pub name_span: Span,
    /// Its value.
    pub value: Json<'a>,
}

impl<'a> Json<'a> {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self.value { Some(value) } else { None }
    }

    /// The number as written, if it is one.
    #[must_use]
    pub fn as_number(&self) -> Option<&'a str> {
        if let Value::Number(number) = self.value { Some(number) } else { None }
    }

    /// The items, if it is an array.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Json<'a>]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }

    /// The members, if it is an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&[Member<'a>]> {
        if let Value::Object(members) = &self.value { Some(members) } else { None }
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The value of the member of that name, if it is an object and has one.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Json<'a>> {
        self.as_object()?.iter().find(|member| member.name == name).map(|member| &member.value)
    }

    /// What it is in words, for messages.
    #[must_use]
    pub fn in_words(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Object(_) | Value::Known(_) => "an object",
        }
    }
}

/// Takes deep values apart without recursion: the machine's stack is no limit on nesting.
impl Drop for Json<'_> {
    fn drop(&mut self) {
        let mut deep = Vec::new();
        take_deep(&mut self.value, &mut deep);
        while let Some(mut value) = deep.pop() {
            take_deep(&mut value, &mut deep);
        }
    }
}

/// Moves those children out that have children themselves.
fn take_deep<'a>(value: &mut Value<'a>, deep: &mut Vec<Value<'a>>) {
    let mut take = |child: &mut Json<'a>| {
        let has_children = match &child.value {
            Value::List(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Known(_) => {
                false
            }
        };
        if has_children {
            deep.push(std::mem::replace(&mut child.value, Value::Null));
        }
    };
    match value {
        Value::List(items) => items.iter_mut().for_each(take),
        Value::Object(members) => members.iter_mut().for_each(|member| take(&mut member.value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Known(_) => {}
    }
}
