//! A smaller case on which two answers still differ in the same way.

use serde_json::Value;

/// Takes away documents, statements, conditions, fields, one after the other, as long as the case
/// keeps what is interesting about it.
pub(crate) fn shrink(case: &Value, is_interesting: impl Fn(&Value) -> bool) -> Value {
    let mut case = case.clone();
    loop {
        let before = case.clone();
        let mut index = 0;
        while let Some(smaller) = smaller(&case, &mut index.clone()) {
            if is_interesting(&smaller) {
                case = smaller;
            } else {
                index += 1;
            }
        }
        if case == before {
            return case;
        }
    }
}

/// The value without its `index`th part, outer parts first; the index is counted down.
fn smaller(value: &Value, index: &mut usize) -> Option<Value> {
    match value {
        Value::Object(members) => {
            for name in members.keys() {
                if taken(index) {
                    let mut fewer = members.clone();
                    fewer.remove(name);
                    return Some(fewer.into());
                }
            }
            members.iter().find_map(|(name, member)| {
                let mut changed = members.clone();
                changed.insert(name.clone(), smaller(member, index)?);
                Some(changed.into())
            })
        }
        Value::Array(items) => {
            for at in 0..items.len() {
                if taken(index) {
                    let mut fewer = items.clone();
                    fewer.remove(at);
                    return Some(fewer.into());
                }
            }
            items.iter().enumerate().find_map(|(at, item)| {
                let mut changed = items.clone();
                changed[at] = smaller(item, index)?;
                Some(changed.into())
            })
        }
        // Policies are sometimes texts.
        Value::String(text) if text.starts_with('{') => {
            let inside: Value = serde_json::from_str(text).ok()?;
            smaller(&inside, index).map(|inside| inside.to_string().into())
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Whether this part is the one; otherwise it is passed over.
fn taken(index: &mut usize) -> bool {
    let here = *index == 0;
    *index = index.saturating_sub(1);
    here
}

#[test]
fn what_does_not_matter_is_taken_away() {
    let case = serde_json::json!({
        "documents": [{"Policy": "{\"Statement\":[{\"Sid\":\"a\"},{\"Sid\":\"b\"}]}"}, {"x": 1}],
        "request": {"action": "kms:Decrypt", "region": "us-west-2"},
    });
    let shrunk = shrink(&case, |case| case.to_string().contains(r#"\"Sid\":\"b\""#));
    let expected = serde_json::json!({"documents":
        [{"Policy": "{\"Statement\":[{\"Sid\":\"b\"}]}"}]});
    assert_eq!(shrunk, expected);
}
