//! The JSON reader, against serde_json.

use std::fmt;

use keyward::engine::bundle::Limits;
use keyward::engine::json::{Encoding, Json, Source, Value, percent_decoded, read};
use keyward::engine::problem::Problem;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Fewer levels than serde_json takes, so that only our own bound is met.
const LIMITS: Limits = Limits { document_bytes: 1 << 20, depth: 100 };

/// Reads any bytes as a document.
///
/// Both readers accept the same texts and find the same values in them; we alone refuse a member
/// that is there twice. Every value stands where it is said to stand, a canonical spelling is a
/// fixed point, and every problem has its place in the document.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = Source::new("fuzz.json".into(), text);
    let mut problems = Vec::new();
    let ours = read(&source, &LIMITS, &mut problems);
    placed(&problems, text);
    assert_eq!(ours.is_none(), !problems.is_empty(), "refused without a problem, or the reverse");
    if problems.iter().any(|problem| problem.code == "json-too-deep") {
        return;
    }
    match (&ours, serde_json::from_str::<Tree>(text)) {
        (Some(json), Ok(tree)) => {
            assert!(!tree.repeats(), "a member is there twice");
            assert!(tree.is(json), "other values: {json:?} and {tree:?}");
        }
        // A text is never rounded; serde_json has no number for it.
        (Some(_), Err(error)) => assert!(error.to_string().starts_with("number out of range")),
        (None, Ok(tree)) => {
            assert!(tree.repeats(), "{problems:?}");
            assert!(problems.iter().all(|problem| problem.code == "json-duplicate-member"));
        }
        (None, Err(_)) => {}
    }
    let Some(json) = ours else { return };
    canonical(&json);
    let mut left = 64;
    each(&json, &mut |json| {
        if left == 0 {
            return;
        }
        left -= 1;
        let alone = Source::new("value".into(), source.slice(json.span));
        let again = read(&alone, &LIMITS, &mut Vec::new()).expect("a value of its own");
        assert_eq!(spelling(&again), spelling(json), "another value stands there");
        let _ = source.place(json.span);
        nested(&source, json, text);
    });
}

/// Texts in texts: every problem of the inner one has its place in the outer one.
fn nested(source: &Source<'_>, json: &Json<'_>, outer: &str) {
    let Some(plain) = json.as_text() else { return };
    let inside = |encoding, text: &str| {
        let inner = Source::nested(source, json.span, encoding, text);
        let mut problems = Vec::new();
        if let Some(json) = read(&inner, &LIMITS, &mut problems) {
            each(&json, &mut |json| {
                let _ = inner.place(json.span);
            });
        }
        placed(&problems, outer);
    };
    inside(Encoding::Plain, plain);
    if let Some(decoded) = percent_decoded(plain) {
        inside(Encoding::Percent, &decoded);
    }
}

/// Every problem says something, somewhere in the document.
pub(crate) fn placed(problems: &[Problem], text: &str) {
    let lines = text.split('\n').count();
    for problem in problems {
        assert!(!problem.message.is_empty() && !problem.code.is_empty());
        let place = problem.place.as_ref().expect("a place");
        assert!((1..=lines).contains(&(place.line as usize)) && place.column >= 1, "{place:?}");
    }
}

fn canonical(json: &Json<'_>) {
    let once = spelling(json);
    let source = Source::new("canonical".into(), &once);
    let again = read(&source, &LIMITS, &mut Vec::new()).expect("a canonical spelling is JSON");
    assert_eq!(spelling(&again), once, "the canonical spelling has another one");
}

/// The canonical spelling.
pub(crate) fn spelling(json: &Json<'_>) -> String {
    let mut out = Vec::new();
    json.canonical(&mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn each<'j, 'a>(json: &'j Json<'a>, see: &mut impl FnMut(&'j Json<'a>)) {
    see(json);
    match &json.value {
        Value::List(items) => items.iter().for_each(|item| each(item, see)),
        Value::Object(members) => members.iter().for_each(|member| each(&member.value, see)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Known(_) => {}
    }
}

/// What serde_json reads, members in order and kept when they repeat.
#[derive(Debug)]
enum Tree {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    fn repeats(&self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
            Self::List(items) => items.iter().any(Self::repeats),
            Self::Object(members) => {
                let mut names: Vec<&String> = members.iter().map(|(name, _)| name).collect();
                names.sort();
                let twice = names.windows(2).any(|pair| pair.first() == pair.last());
                twice || members.iter().any(|(_, value)| value.repeats())
            }
        }
    }

    fn is(&self, json: &Json<'_>) -> bool {
        match (self, &json.value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(a), Value::Bool(b)) => a == b,
            (Self::Number(a), Value::Number(text)) => {
                let b: f64 = text.parse().expect("a number");
                (a - b).abs() <= b.abs() * 1e-12
            }
            (Self::Text(a), Value::Text(b)) => a == b,
            (Self::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is(b))
            }
            (Self::Object(a), Value::Object(b)) => {
                let same = |((name, a), b): (&(String, Self), _)| {
                    let b: &keyward::engine::json::Member<'_> = b;
                    *name == b.name && a.is(&b.value)
                };
                a.len() == b.len() && a.iter().zip(b).all(same)
            }
            _ => false,
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Tree, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Tree::Object(object))
    }
}
