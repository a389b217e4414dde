//! The elements of a statement: principals, actions, resources.

use std::borrow::Cow;

use super::PolicyKind;
use super::arn_pattern::ResourcePattern;
use super::document::{Reader, strings_of};
use super::principal::PrincipalPattern;
use super::statement::{Effect, Principals, Resources};
use crate::engine::json::{Json, Member, Span, Value};
use crate::engine::kms::action::ActionSet;

/// `Principal` and `NotPrincipal`.
///
/// Source: IAM User Guide, "AWS JSON policy elements: Principal", "NotPrincipal".
pub(super) fn principals(
    principal: Option<&Json<'_>>,
    not_principal: Option<&Member<'_>>,
    effect: Effect,
    whole: Span,
    reader: &mut Reader<'_, '_>,
) -> Option<Principals> {
    let kind = reader.kind();
    if !kind.names_principals() {
        for span in
            principal.map(|json| json.span).into_iter().chain(not_principal.map(|m| m.name_span))
        {
            reader
                .error(
                    "unexpected-principal",
                    format!("a statement of a {} names no principal", kind.in_words()),
                    span,
                )
                .help("the policy is about the identities that carry it");
        }
        return Some(Principals::Bearer);
    }
    if let Some(member) = not_principal {
        if effect == Effect::Allow {
            reader
                .error(
                    "allow-with-not-principal",
                    "`NotPrincipal` cannot be used with `Allow`",
                    member.name_span,
                )
                .help("name those who are allowed in `Principal`");
        }
        if matches!(kind, PolicyKind::Rcp | PolicyKind::FullAccessRcp) {
            reader.error(
                "bad-principal",
                "a resource control policy has no `NotPrincipal`",
                member.name_span,
            );
        }
        return patterns(&member.value, reader).map(Principals::AllBut);
    }
    let Some(json) = principal else {
        reader
            .error("missing-principal", format!("a statement of a {} needs `Principal`", kind.in_words()), whole)
            .help("name whom the statement is about, or write `\"Principal\": \"*\"` with a condition");
        return None;
    };
    let everyone = matches!(&json.value, Value::Text(text) if text == "*");
    if !everyone && matches!(kind, PolicyKind::Rcp | PolicyKind::FullAccessRcp) {
        reader
            .error(
                "bad-principal",
                "the principal of a resource control policy is exactly `*`",
                json.span,
            )
            .help("narrow it with conditions such as `aws:PrincipalArn`");
        return None;
    }
    patterns(json, reader).map(Principals::These)
}

fn patterns(json: &Json<'_>, reader: &mut Reader<'_, '_>) -> Option<Box<[PrincipalPattern]>> {
    let families = match &json.value {
        Value::Text(text) if text == "*" => return Some([PrincipalPattern::Everyone].into()),
        Value::Object(families) if !families.is_empty() => families,
        _ => {
            reader
                .error(
                    "bad-principal",
                    "a principal is `*` or an object such as `{\"AWS\": \"…\"}`",
                    json.span,
                )
                .help("write `\"Principal\": {\"AWS\": \"arn:aws:iam::111122223333:role/Name\"}`");
            return None;
        }
    };
    let mut patterns = Vec::new();
    for family in families {
        let read: fn(&str) -> Result<PrincipalPattern, &'static str> = match &*family.name {
            "AWS" => PrincipalPattern::aws,
            "Service" => PrincipalPattern::service,
            "Federated" => |text| Ok(PrincipalPattern::Provider(text.into())),
            name => {
                reader
                    .error(
                        "bad-principal",
                        format!("KMS knows no principals of kind `{name}`"),
                        family.name_span,
                    )
                    .help("kinds of principals are `AWS`, `Service` and `Federated`");
                continue;
            }
        };
        let texts = strings_of(&family.value, reader)?;
        let found = reader.each(&texts, "bad-principal", |text| {
            read(text).map_err(|expected| format!("`{text}` is no principal: expected {expected}"))
        })?;
        patterns.extend(found);
    }
    Some(patterns.into())
}

/// `Action` and `NotAction`.
///
/// Source: IAM User Guide, "IAM JSON policy elements: Action", "NotAction".
pub(super) fn actions(
    action: Option<&Json<'_>>,
    not_action: Option<&Member<'_>>,
    whole: Span,
    reader: &mut Reader<'_, '_>,
) -> Option<Actions> {
    let kind = reader.kind();
    if let Some(member) = not_action {
        if kind == PolicyKind::Rcp {
            reader.error(
                "bad-action",
                "a resource control policy has no `NotAction`",
                member.name_span,
            );
        }
        return action_set(&member.value, reader).map(Actions::complement);
    }
    let Some(json) = action else {
        missing("Action", "missing-action", whole, reader);
        return None;
    };
    action_set(json, reader)
}

/// The actions of a statement.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Actions {
    /// Those that are meant for certain.
    pub(super) sure: ActionSet,
    /// Those that are meant, or may be.
    pub(super) possible: ActionSet,
}

impl Actions {
    fn complement(self) -> Self {
        Self { sure: self.possible.complement(), possible: self.sure.complement() }
    }

    /// Those that are perhaps not meant.
    pub(super) fn doubtful(self) -> ActionSet {
        self.possible.intersection(self.sure.complement())
    }
}

fn action_set(json: &Json<'_>, reader: &mut Reader<'_, '_>) -> Option<Actions> {
    let mut actions = Actions::default();
    for (text, span) in strings_of(json, reader)? {
        let matching = ActionSet::matching(&text);
        let service = text.split_once(':').filter(|(_, name)| !name.is_empty());
        let service = service.map(|(service, _)| service).filter(|service| !service.is_empty());
        let vague = service.is_some_and(|service| service.contains(['*', '?']));
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            // It would match nothing, in a Deny too.
            reader
                .error("bad-action", format!("`{text}` is no action"), span)
                .help("an action has no blanks, and no characters beyond ASCII");
        } else if text != "*" && service.is_none() {
            reader
                .error("bad-action", format!("`{text}` is no action"), span)
                .help("an action has the form `kms:Decrypt`; `*` alone stands for all");
        } else if text == "*" && reader.kind() == PolicyKind::Rcp {
            reader.error(
                "bad-action",
                "an action of a resource control policy needs its service, such as `kms:*`",
                span,
            );
        } else if matching.is_empty() && is_kms(&text) {
            reader
                .warning("unknown-action", format!("KMS has no action `{text}`"), span)
                .help("permission to re-encrypt is `kms:ReEncryptFrom` and `kms:ReEncryptTo`, or `kms:ReEncrypt*`");
        } else if vague && !matching.is_empty() {
            // Source: IAM User Guide, "IAM JSON policy elements: Action" (the service namespace).
            reader
                .warning("vague-action", format!("the service of `{text}` has a wildcard: an Allow does not count, a Deny does"), span)
                .help("name the service, such as `kms:*`; `*` alone stands for all actions of all services");
        }
        actions.possible = actions.possible.union(matching);
        if !vague {
            actions.sure = actions.sure.union(matching);
        }
    }
    Some(actions)
}

fn is_kms(action: &str) -> bool {
    action.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("kms:"))
}

/// `Resource` and `NotResource`.
///
/// Source: IAM User Guide, "IAM JSON policy elements: Resource", "NotResource".
pub(super) fn resources(
    resource: Option<&Json<'_>>,
    not_resource: Option<&Member<'_>>,
    whole: Span,
    reader: &mut Reader<'_, '_>,
) -> Option<Resources> {
    if let Some(member) = not_resource {
        let texts = strings_of(&member.value, reader)?;
        return resource_patterns(&texts, reader).map(Resources::AllBut);
    }
    let Some(json) = resource else {
        missing("Resource", "missing-resource", whole, reader);
        return None;
    };
    let texts = strings_of(json, reader)?;
    let patterns = resource_patterns(&texts, reader);
    if texts.iter().any(|(text, _)| text == "*") {
        return Some(Resources::Any);
    }
    patterns.map(Resources::These)
}

fn resource_patterns(
    texts: &[(Cow<'_, str>, Span)],
    reader: &mut Reader<'_, '_>,
) -> Option<Box<[ResourcePattern]>> {
    let variables = reader.variables();
    for (text, span) in texts {
        if is_misspelt(text, variables) {
            // It would match nothing, in a Deny too.
            reader
                .error("bad-resource", format!("`{text}` is no resource"), *span)
                .help("ARNs of keys and aliases have no blanks, and no characters beyond ASCII");
        } else if !ResourcePattern::is_arn(text) {
            reader
                .warning("resource-not-arn", format!("the resource `{text}` matches nothing: it is not an ARN"), *span)
                .help("write the ARN of the key, such as `arn:aws:kms:us-west-2:111122223333:key/…`, or `*`");
        }
    }
    reader.each(texts, "bad-variable", |text| ResourcePattern::parse(text, variables))
}

/// Whether it is meant for KMS and holds what no name in KMS has, or is `*` but for blanks.
fn is_misspelt(text: &str, variables: bool) -> bool {
    if text.trim() == "*" {
        return text != "*";
    }
    let service = text.split(':').nth(2).unwrap_or_default();
    service.trim() == "kms" && !is_plain(text, variables)
}

/// Whether all characters outside variables are visible ASCII.
fn is_plain(text: &str, variables: bool) -> bool {
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("${").filter(|_| variables) {
        if !visible(before) {
            return false;
        }
        rest = inside.split_once('}').map_or("", |(_, after)| after);
    }
    visible(rest)
}

/// Without action or resource a statement never matches. KMS accepts that in key policies; in any
/// other policy it is an error.
///
/// Source: AWS KMS Developer Guide, "Creating a key policy".
fn missing(element: &str, code: &'static str, whole: Span, reader: &mut Reader<'_, '_>) {
    if reader.kind() == PolicyKind::Key {
        reader
            .warning(code, format!("the statement has no `{element}` and never matches"), whole)
            .help(format!("add `{element}`, or remove the statement"));
    } else {
        let kind = reader.kind().in_words();
        reader.error(code, format!("a statement of a {kind} needs `{element}`"), whole);
    }
}
