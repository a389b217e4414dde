//! Where the statements of a set stand in its documents.

use hashbrown::HashMap;

use crate::engine::bundle::{Document, Limits};
use crate::engine::json::{Encoding, Json, Source, Span, Value, percent_decoded, read};
use crate::engine::policy::{Policy, PolicyKind, compile};
use crate::engine::problem::Place;

/// The place of a statement and those of its conditions, in the order of the policy.
#[derive(Clone, Debug)]
pub struct StatementPlace {
    /// Of the statement.
    pub place: Place,
    /// Of its conditions.
    pub conditions: Vec<Place>,
}

/// Where policies stand: equal ones at the first of their places.
#[derive(Debug, Default)]
pub struct Places(HashMap<Policy, Vec<StatementPlace>>);

impl Places {
    /// Finds the policies of documents that were read without errors.
    #[must_use]
    pub fn of(documents: &[Document], limits: &Limits) -> Self {
        let mut places = Self::default();
        for document in documents {
            let source = Source::new(document.name.clone(), &document.text);
            let Some(json) = read(&source, limits, &mut Vec::new()) else { continue };
            let mut open = vec![&json];
            while let Some(json) = open.pop() {
                match &json.value {
                    Value::List(items) => open.extend(items),
                    Value::Object(members) => {
                        for member in members {
                            places.take(&member.name, &member.value, &source, limits);
                            open.push(&member.value);
                        }
                    }
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::Text(_)
                    | Value::Known(_) => {}
                }
            }
        }
        places
    }

    /// The places of the statements of a policy; none for what stands in no document, such as the
    /// default key policy.
    #[must_use]
    pub fn statements(&self, policy: &Policy) -> &[StatementPlace] {
        self.0.get(policy).map_or(&[], Vec::as_slice)
    }

    fn take(&mut self, name: &str, json: &Json<'_>, source: &Source<'_>, limits: &Limits) {
        let Some(kinds) = kinds(name) else { return };
        let Value::Text(text) = &json.value else {
            return self.compile(kinds, json, source);
        };
        let encoded = text.starts_with('%').then(|| percent_decoded(text)).flatten();
        let (encoding, text) = match &encoded {
            Some(decoded) => (Encoding::Percent, decoded.as_str()),
            None => (Encoding::Plain, &**text),
        };
        let source = Source::nested(source, json.span, encoding, text);
        if let Some(json) = read(&source, limits, &mut Vec::new()) {
            self.compile(kinds, &json, &source);
        }
    }

    fn compile(&mut self, kinds: &[PolicyKind], json: &Json<'_>, source: &Source<'_>) {
        if json.member("Statement").is_none() {
            return;
        }
        for kind in kinds {
            let Some(policy) = compile(*kind, json, source, &mut Vec::new()) else { continue };
            self.0.entry(policy).or_insert_with(|| statements(json, source));
        }
    }
}

/// The kinds of policies that a member of this name may hold.
fn kinds(name: &str) -> Option<&'static [PolicyKind]> {
    match name {
        "Policy" | "RamPolicy" => Some(&[PolicyKind::Key]),
        "PolicyDocument" => Some(&[PolicyKind::Identity, PolicyKind::Endpoint]),
        "Document" => Some(&[PolicyKind::Identity]),
        "Content" => Some(&[PolicyKind::Scp, PolicyKind::Rcp, PolicyKind::FullAccessRcp]),
        _ => None,
    }
}

fn statements(policy: &Json<'_>, source: &Source<'_>) -> Vec<StatementPlace> {
    let Some(statements) = policy.member("Statement") else { return Vec::new() };
    let items = statements.as_list().unwrap_or_else(|| std::slice::from_ref(statements));
    let place = |item: &Json<'_>| StatementPlace {
        place: source.place(Span { start: item.span.start, end: item.span.start + 1 }),
        conditions: conditions(item, source),
    };
    items.iter().map(place).collect()
}

/// In the order in which a condition block is compiled.
fn conditions(statement: &Json<'_>, source: &Source<'_>) -> Vec<Place> {
    let operators = statement.member("Condition").and_then(Json::as_object).unwrap_or_default();
    let keys = operators.iter().flat_map(|member| member.value.as_object().unwrap_or_default());
    keys.map(|member| source.place(member.name_span)).collect()
}
