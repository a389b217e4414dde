//! The members of a case: each goes into the request, in its place.

use crate::engine::json::{Json, Member, Span, Value};
use crate::wire::proto::json::read as read_message;
use crate::wire::v1;
use prost_reflect::{Kind, MessageDescriptor};

/// What is wrong with a value, and where.
pub(super) type Wrong = (String, Span);

type Taken<T> = Result<T, Wrong>;

/// A member of a case that goes into the request: its name, the field of the request in messages
/// of invalid requests, and how it is taken.
pub(super) struct Taking {
    pub(super) name: &'static str,
    pub(super) field: &'static str,
    pub(super) take: fn(&Json<'_>, &mut v1::AuthorizeRequest) -> Taken<()>,
}

/// Every member that goes into the request.
pub(super) const TAKINGS: [Taking; 16] = [
    Taking {
        name: "principal",
        field: "principal",
        take: |json, to| put(text(json), &mut who(to).arn),
    },
    Taking {
        name: "role_arn",
        field: "principal.role_arn",
        take: |json, to| put(text(json), &mut who(to).role_arn),
    },
    Taking {
        name: "issuer_arn",
        field: "principal.issuer_arn",
        take: |json, to| put(text(json), &mut who(to).issuer_arn),
    },
    Taking {
        name: "tags",
        field: "principal.tags",
        take: |json, to| put(pairs(json), &mut who(to).tags),
    },
    Taking {
        name: "session_policies",
        field: "principal.session_policies",
        take: |json, to| put(policies(json), &mut who(to).session_policies),
    },
    Taking {
        name: "user_id",
        field: "principal.user_id",
        take: |json, to| put(text(json), &mut who(to).user_id),
    },
    Taking {
        name: "source_identity",
        field: "principal.source_identity",
        take: |json, to| put(text(json), &mut who(to).source_identity),
    },
    Taking { name: "action", field: "action", take: |json, to| put(text(json), &mut to.action) },
    Taking { name: "key", field: "key_id", take: |json, to| put(text(json), &mut to.key_id) },
    Taking { name: "region", field: "region", take: |json, to| put(text(json), &mut to.region) },
    Taking {
        name: "encryption_context",
        field: "encryption_context",
        take: |json, to| put(pairs(json), &mut to.encryption_context),
    },
    Taking {
        name: "grant_tokens",
        field: "grant_tokens",
        take: |json, to| put(texts(json), &mut to.grant_tokens),
    },
    Taking {
        name: "via_service",
        field: "via_service",
        take: |json, to| put(text(json), &mut to.via_service),
    },
    Taking {
        name: "parameters",
        field: "parameters",
        take: |json, to| put(parameters(json).map(Some), &mut to.parameters),
    },
    Taking {
        name: "dry_run",
        field: "dry_run",
        take: |json, to| put(truth(json), &mut to.dry_run),
    },
    Taking { name: "context", field: "context", take: context },
];

fn who(message: &mut v1::AuthorizeRequest) -> &mut v1::Principal {
    message.principal.get_or_insert_default()
}

fn put<T>(taken: Taken<T>, into: &mut T) -> Taken<()> {
    *into = taken?;
    Ok(())
}

fn wrong<T>(json: &Json<'_>, expected: &str) -> Taken<T> {
    let hint = match json.value {
        Value::Number(_) | Value::Bool(_) if expected == "a text" => ": put it in quotes",
        _ => "",
    };
    Err((format!("expected {expected}, found {}{hint}", json.in_words()), json.span))
}

/// A text.
pub(super) fn text(json: &Json<'_>) -> Taken<String> {
    json.as_text().map_or_else(|| wrong(json, "a text"), |text| Ok(text.to_owned()))
}

fn truth(json: &Json<'_>) -> Taken<bool> {
    json.as_bool().map_or_else(|| wrong(json, "true or false"), Ok)
}

fn texts(json: &Json<'_>) -> Taken<Vec<String>> {
    let items = json.as_list().map_or_else(|| wrong(json, "a list of texts"), Ok)?;
    items.iter().map(text).collect()
}

/// A value of a pair: a text; a number or truth value as it is written, as policies have it.
fn scalar(json: &Json<'_>) -> Taken<String> {
    match &json.value {
        Value::Text(text) => Ok(text.clone().into_owned()),
        Value::Number(number) => Ok((*number).to_owned()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null | Value::List(_) | Value::Object(_) | Value::Known(_) => wrong(json, "a text"),
    }
}

fn members<'j, 'a>(json: &'j Json<'a>) -> Taken<&'j [Member<'a>]> {
    json.as_object().map_or_else(|| wrong(json, "an object"), Ok)
}

fn pairs(json: &Json<'_>) -> Taken<std::collections::HashMap<String, String>> {
    let pair = |member: &Member<'_>| Ok((member.name.clone().into_owned(), scalar(&member.value)?));
    members(json)?.iter().map(pair).collect()
}

/// Policies as texts that hold JSON, or written out.
fn policies(json: &Json<'_>) -> Taken<Vec<String>> {
    let items = json.as_list().map_or_else(|| wrong(json, "a list of policies"), Ok)?;
    let one = |item: &Json<'_>| match &item.value {
        Value::Text(text) => Ok(text.clone().into_owned()),
        Value::Object(_) => Ok(written(item)),
        _ => wrong(item, "a policy, as an object or as a text that holds one"),
    };
    items.iter().map(one).collect()
}

/// The value as JSON text.
pub(super) fn written(json: &Json<'_>) -> String {
    let mut bytes = Vec::new();
    json.canonical(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Condition keys; a list is a multivalued key.
fn context(json: &Json<'_>, to: &mut v1::AuthorizeRequest) -> Taken<()> {
    for member in members(json)? {
        let name = member.name.clone().into_owned();
        match member.value.as_list() {
            None => {
                to.context.insert(name, scalar(&member.value)?);
            }
            Some(items) => {
                let values = items.iter().map(scalar).collect::<Taken<_>>()?;
                to.multivalued_context.insert(name, v1::StringList { values });
            }
        }
    }
    Ok(())
}

fn parameters(json: &Json<'_>) -> Taken<v1::Parameters> {
    members(json)?;
    if let Some(wrong) = v1::descriptor("Parameters").and_then(|message| unknown(json, &message)) {
        return Err(wrong);
    }
    read_message("Parameters", &written(json)).map_err(|message| (message, json.span))
}

/// The first member that the message does not have, however deep.
fn unknown(json: &Json<'_>, message: &MessageDescriptor) -> Option<Wrong> {
    // Texts, such as instants, stand for some messages.
    for member in json.as_object()? {
        let Some(field) = message
            .get_field_by_json_name(&member.name)
            .or_else(|| message.get_field_by_name(&member.name))
        else {
            return Some((format!("unknown member `{}`", member.name), member.name_span));
        };
        let Kind::Message(inner) = field.kind() else { continue };
        if field.is_map() {
            continue;
        }
        let found = match member.value.as_list() {
            Some(items) => items.iter().find_map(|item| unknown(item, &inner)),
            None => unknown(&member.value, &inner),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}
