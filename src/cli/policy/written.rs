//! Statements and cases as texts: JSON as people write it, YAML for cases.

use std::fmt::Write as _;

use super::inputs::Inputs;
use super::template::Template;

/// A statement of a key policy that allows.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    sid: String,
    principals: Vec<String>,
    actions: Vec<String>,
    conditions: Vec<Condition>,
}

impl Statement {
    /// Allows `actions` to `principals`.
    pub(super) fn allow(sid: &str, principals: &[String], actions: &[&str]) -> Self {
        Self {
            sid: sid.to_owned(),
            principals: principals.to_vec(),
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            conditions: Vec::new(),
        }
    }

    /// Under conditions.
    pub(super) fn under(self, conditions: Vec<Condition>) -> Self {
        Self { conditions, ..self }
    }
}

/// A condition.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    operator: String,
    key: String,
    values: Vec<String>,
}

impl Condition {
    /// With one value.
    pub(super) fn text(operator: &str, key: &str, value: &str) -> Self {
        Self::texts(operator, key, &[value.to_owned()])
    }

    /// With values of which one must fit.
    pub(super) fn texts(operator: &str, key: &str, values: &[String]) -> Self {
        Self { operator: operator.to_owned(), key: key.to_owned(), values: values.to_vec() }
    }
}

/// A case of a template.
#[derive(Clone, Debug, Default)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) principal: String,
    pub(super) role_arn: Option<String>,
    pub(super) action: String,
    pub(super) key: String,
    pub(super) context: Vec<(String, String)>,
    pub(super) via_service: Option<String>,
    /// As JSON.
    pub(super) parameters: Option<String>,
    pub(super) decision: &'static str,
    pub(super) reason: Option<&'static str>,
}

/// The policy of a template; with the key, where a whole document is wanted.
pub(super) fn policy(template: Template, inputs: &Inputs) -> String {
    if !inputs.whole {
        return format!("{}\n", block(template, inputs, ""));
    }
    let (spec, usage) = inputs.kind.metadata();
    let mut metadata = format!(
        "\n    \"Arn\": {},\n    \"KeySpec\": \"{spec}\",\n    \"KeyUsage\": \"{usage}\"",
        quoted(&inputs.key_arn)
    );
    if template == Template::MultiRegion {
        metadata.push_str(
            ",\n    \"MultiRegion\": true,\n    \"MultiRegionConfiguration\": {\"MultiRegionKeyType\": \"PRIMARY\"}",
        );
    }
    let rotates =
        if spec == "SYMMETRIC_DEFAULT" { "\n  \"KeyRotationEnabled\": true," } else { "" };
    let lint = explanations(template, inputs);
    format!(
        "{{\n  \"KeyMetadata\": {{{metadata}\n  }},{rotates}\n  \"Policy\": {}{lint}\n}}\n",
        block(template, inputs, "  ")
    )
}

/// What lint would find and what is meant as it is.
fn explanations(template: Template, inputs: &Inputs) -> String {
    let found = template.explained(inputs);
    if found.is_empty() {
        return String::new();
    }
    let one = |(code, why): &(&str, &str)| {
        format!("\n    {{\"Code\": {}, \"Why\": {}}}", quoted(code), quoted(why))
    };
    let all: Vec<String> = found.iter().map(one).collect();
    format!(",\n  \"Lint\": [{}\n  ]", all.join(","))
}

fn block(template: Template, inputs: &Inputs, indent: &str) -> String {
    let id = if template == Template::Default { "key-default-1" } else { template.name() };
    let statements: Vec<String> = template
        .statements(inputs)
        .iter()
        .map(|one| statement(one, &format!("{indent}    ")))
        .collect();
    format!(
        "{{\n{indent}  \"Version\": \"2012-10-17\",\n{indent}  \"Id\": \"{id}\",\n{indent}  \"Statement\": [\n{}\n{indent}  ]\n{indent}}}",
        statements.join(",\n")
    )
}

fn statement(statement: &Statement, indent: &str) -> String {
    let inner = format!("{indent}  ");
    let mut text = format!(
        "{indent}{{\n{inner}\"Sid\": {},\n{inner}\"Effect\": \"Allow\",\n{inner}\"Principal\": {{\"AWS\": {}}},\n\
         {inner}\"Action\": {},\n{inner}\"Resource\": \"*\"",
        quoted(&statement.sid),
        texts(&statement.principals, &inner),
        texts(&statement.actions, &inner)
    );
    if !statement.conditions.is_empty() {
        let operators: Vec<String> = statement
            .conditions
            .chunk_by(|a, b| a.operator == b.operator)
            .map(|same| {
                let keys: Vec<String> = same
                    .iter()
                    .map(|one| format!("{}: {}", quoted(&one.key), texts(&one.values, &inner)))
                    .collect();
                let operator = same.first().map_or("", |one| &one.operator);
                format!("\n{inner}  {}: {{{}}}", quoted(operator), keys.join(", "))
            })
            .collect();
        // Writing to a text cannot fail.
        let _ = write!(text, ",\n{inner}\"Condition\": {{{}\n{inner}}}", operators.join(","));
    }
    format!("{text}\n{indent}}}")
}

/// Columns that a list may take before it is broken into lines.
const WIDE: usize = 90;

/// One text, or a list of them.
fn texts(texts: &[String], indent: &str) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    match quoted.as_slice() {
        [one] => one.clone(),
        many => {
            let line = format!("[{}]", many.join(", "));
            if line.len() <= WIDE {
                return line;
            }
            let mut lines: Vec<String> = vec![String::new()];
            for (index, text) in many.iter().enumerate() {
                let comma = if index + 1 < many.len() { "," } else { "" };
                let Some(last) = lines.last_mut() else { continue };
                if !last.is_empty() && last.len() + text.len() + 2 > WIDE {
                    lines.push(format!("{text}{comma}"));
                } else {
                    let space = if last.is_empty() { "" } else { " " };
                    // Writing to a text cannot fail.
                    let _ = write!(last, "{space}{text}{comma}");
                }
            }
            let lines: Vec<String> =
                lines.iter().map(|line| format!("\n{indent}  {line}")).collect();
            format!("[{}\n{indent}]", lines.concat())
        }
    }
}

/// A text as JSON has it, and YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Cases as a YAML list.
pub(super) fn cases(cases: &[Case]) -> String {
    let mut text = String::from("# keyward test --policies FOLDER FILE\n");
    for case in cases {
        let mut line = |name: &str, value: &str| {
            let start = if name == "name" { "- " } else { "  " };
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{start}{name}: {value}");
        };
        line("name", &case.name);
        line("principal", &quoted(&case.principal));
        if let Some(role) = &case.role_arn {
            line("role_arn", &quoted(role));
        }
        line("action", &case.action);
        line("key", &quoted(&case.key));
        if !case.context.is_empty() {
            let pairs = case.context.iter();
            let pairs: Vec<String> =
                pairs.map(|(name, value)| format!("{}: {}", quoted(name), quoted(value))).collect();
            line("encryption_context", &format!("{{{}}}", pairs.join(", ")));
        }
        if let Some(service) = &case.via_service {
            line("via_service", &quoted(service));
        }
        if let Some(parameters) = &case.parameters {
            line("parameters", parameters);
        }
        let reason = case.reason.map(|reason| format!(", reason: {reason}")).unwrap_or_default();
        line("expect", &format!("{{decision: {}{reason}}}", case.decision));
    }
    text
}
