//! Whether a statement applies, and what a policy says by its statements.
//!
//! Source: IAM User Guide, "IAM JSON policy elements reference"; AWS KMS Developer Guide, "ABAC for
//! AWS KMS".

use super::caller::{Caller, Kind};
use super::condition::{self, Setting};
use super::context::{Context, is_abac};
use super::pattern::{glob, signs};
use super::policy::{Policy, Statement};
use super::principals::{self, Naming};
use super::resources::{Resource, resource_matches};
use super::switches::Switches;
use super::truth::Truth;
use super::variables;

/// One authorization, as the statements see it.
pub(crate) struct Question<'a> {
    /// With prefix.
    pub(crate) action: &'a str,
    pub(crate) resource: &'a Resource,
    pub(crate) context: &'a Context,
    pub(crate) caller: &'a Caller<'a>,
    pub(crate) switches: &'a Switches,
}

/// Actions ignore case; `*` alone stands for those of every service. In that of the service no
/// pattern has a wildcard.
fn action_pattern_matches(pattern: &str, action: &str) -> Truth {
    if pattern == "*" {
        return Truth::True;
    }
    let like = |pattern: &str, text: &str| {
        Truth::of(glob(&signs(&pattern.to_lowercase()), &text.to_lowercase()))
    };
    match (pattern.split_once(':'), action.split_once(':')) {
        (Some((service, name)), Some((own_service, own_name))) => {
            let matched = like(service, own_service).and(like(name, own_name));
            if service.contains(['*', '?']) { matched.doubted() } else { matched }
        }
        _ => Truth::False,
    }
}

/// Without either element a statement is about nothing.
fn action_matches(statement: &Statement, action: &str) -> Truth {
    let any = |list: &[String]| Truth::any(list.iter().map(|p| action_pattern_matches(p, action)));
    match (&statement.action, &statement.not_action) {
        (Some(list), _) => any(list),
        (None, Some(list)) => any(list).not(),
        (None, None) => Truth::False,
    }
}

/// Everything but the principal, with a given context.
fn rest_matches(statement: &Statement, question: &Question<'_>, context: &Context) -> Truth {
    let variables = statement.variables;
    let setting = Setting { context, variables, switches: question.switches };
    action_matches(statement, question.action)
        .and(resource_matches(statement, question.resource, context))
        .and(condition::holds(&statement.conditions, &setting))
}

/// Whether the statement depends on tags or aliases of the KMS key.
fn depends_on_abac(statement: &Statement) -> bool {
    let mut names: Vec<String> = statement.conditions.iter().map(|t| t.key.clone()).collect();
    if statement.variables {
        let tests = statement.conditions.iter().filter(|test| test.comparison.takes_variables());
        let resources = [&statement.resource, &statement.not_resource];
        // `*` in the list leaves nothing to depend on.
        let resources = resources.into_iter().flatten().filter(|list| !list.contains(&"*".into()));
        let texts = tests.flat_map(|test| &test.values).chain(resources.flatten());
        names.extend(texts.flat_map(|text| variables::names(text)));
    }
    names.iter().any(|name| is_abac(name))
}

/// Everything but the principal, in a key policy. Key policies cannot depend on tags and aliases of
/// the key: an Allow that does never applies, a Deny applies if it would with them or without.
fn rest_matches_in_key_policy(statement: &Statement, question: &Question<'_>) -> Truth {
    let populated = rest_matches(statement, question, question.context);
    if !depends_on_abac(statement) {
        return populated;
    }
    let absent = rest_matches(statement, question, &question.context.without_abac());
    match question.switches.value("abac_keys_in_key_policy") {
        "populated" => populated,
        "absent" => absent,
        _ if statement.allows => Truth::False,
        _ => populated.or(absent),
    }
}

/// The principal half of a Deny.
fn denies_caller(statement: &Statement, question: &Question<'_>) -> Truth {
    match (&statement.principal, &statement.not_principal) {
        (Some(named), _) => principals::name_for_deny(named, question.caller),
        (None, Some(listed)) => {
            principals::not_principal_applies(listed, question.caller, question.switches)
        }
        (None, None) => Truth::False,
    }
}

/// A Deny of a policy without principals: identity policy, boundary, session policy, SCP.
pub(crate) fn policy_denies(policy: &Policy, question: &Question<'_>) -> bool {
    let applies = |s: &Statement| rest_matches(s, question, question.context);
    policy.statements.iter().any(|s| !s.allows && applies(s).is_enough_to_deny())
}

/// An Allow of a policy without principals.
pub(crate) fn policy_allows(policy: &Policy, question: &Question<'_>) -> bool {
    let applies = |s: &Statement| rest_matches(s, question, question.context);
    policy.statements.iter().any(|s| s.allows && applies(s).is_enough_to_allow())
}

/// A Deny of a policy with principals: RCP, endpoint policy.
pub(crate) fn resource_policy_denies(policy: &Policy, question: &Question<'_>) -> bool {
    let applies =
        |s: &Statement| denies_caller(s, question).and(rest_matches(s, question, question.context));
    policy.statements.iter().any(|s| !s.allows && applies(s).is_enough_to_deny())
}

/// An Allow of a policy with principals.
pub(crate) fn resource_policy_allows(policy: &Policy, question: &Question<'_>) -> bool {
    let names = |s: &Statement| match &s.principal {
        Some(named) => principals::name_for_allow(named, question.caller, question.switches),
        None => Truth::False,
    };
    let applies = |s: &Statement| names(s).and(rest_matches(s, question, question.context));
    policy.statements.iter().any(|s| s.allows && applies(s).is_enough_to_allow())
}

pub(crate) fn key_policy_denies(policy: &Policy, question: &Question<'_>) -> bool {
    let applies =
        |s: &Statement| denies_caller(s, question).and(rest_matches_in_key_policy(s, question));
    policy.statements.iter().any(|s| !s.allows && applies(s).is_enough_to_deny())
}

/// How the Allow statements of a key policy that apply name the caller.
pub(crate) fn key_policy_namings(policy: &Policy, question: &Question<'_>) -> Vec<Naming> {
    let is_service = question.caller.kind == Kind::Service;
    let aws_star_counts = question.switches.is("aws_star_matches_service", "true");
    let mut namings = Vec::new();
    for statement in policy.statements.iter().filter(|s| s.allows) {
        let Some(principal) = &statement.principal else { continue };
        if !rest_matches_in_key_policy(statement, question).is_enough_to_allow() {
            continue;
        }
        for (naming, truth) in principals::namings(principal, question.caller) {
            // `*` is no permission for a service; that every AWS identity is one, a switch says.
            let counts = match naming {
                Naming::Everyone => !is_service,
                Naming::EveryAwsIdentity => !is_service || aws_star_counts,
                _ => true,
            };
            if truth.is_enough_to_allow() && counts {
                namings.push(naming);
            }
        }
    }
    namings
}
