//! The switches for what AWS's documents leave open: the `options` of a case.

use serde_json::Value;

use super::Refusal;

/// The values of every switch, by name. The first value is the default.
pub(crate) const SWITCHES: [(&str, &[&str]); 15] = [
    ("profile", &["aws", "dual-control"]),
    ("unknown_principal", &["deny-where-described", "deny", "no-policies"]),
    ("unknown_vpc_endpoint", &["deny-where-described", "deny", "no-policies"]),
    ("federated_by_name", &["true", "false"]),
    ("cross_account_grant", &["issuer_aware", "always_iam", "grant_only"]),
    ("grant_ec_key_case", &["sensitive", "insensitive"]),
    ("grants_limited_by_boundary", &["as_key_policy", "always", "never"]),
    ("grant_account_grantee", &["identity_required", "grant_only"]),
    ("notprincipal_requires_account", &["true", "false"]),
    ("aws_star_matches_service", &["false", "true"]),
    ("multivalue_without_setop", &["unsure", "any_value", "never"]),
    ("forany_ifexists_absent", &["unsure", "true", "false"]),
    ("abac_keys_in_key_policy", &["fail_closed", "populated", "absent"]),
    ("auth_before_state", &["true", "false"]),
    ("ram_policy", &["statements", "deny_only"]),
];

/// The switches as one case sets them.
pub(crate) struct Switches {
    chosen: Vec<(String, String)>,
}

impl Switches {
    pub(crate) fn read(options: &Value) -> Result<Self, Refusal> {
        let mut chosen: Vec<(String, String)> = Vec::new();
        for (name, value) in options.as_object().into_iter().flatten() {
            let name = name.strip_prefix("evaluation.").unwrap_or(name);
            let value = match value {
                Value::Bool(value) => value.to_string(),
                Value::String(value) => value.clone(),
                _ => return Err(Refusal::Case),
            };
            let known = SWITCHES.iter().find(|(known, _)| *known == name);
            let twice = chosen.iter().any(|(earlier, _)| earlier == name);
            if twice || !known.is_some_and(|(_, values)| values.contains(&value.as_str())) {
                return Err(Refusal::Case);
            }
            chosen.push((name.to_owned(), value));
        }
        Ok(Self { chosen })
    }

    /// The value of a switch.
    pub(crate) fn value(&self, name: &str) -> &str {
        let (_, values) = SWITCHES.iter().find(|switch| switch.0 == name).expect("a switch");
        let chosen = self.chosen.iter().find(|(chosen, _)| chosen == name);
        chosen.map_or(values[0], |(_, value)| value)
    }

    /// Whether the switch has this value.
    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        let (_, values) = SWITCHES.iter().find(|switch| switch.0 == name).expect("a switch");
        assert!(values.contains(&value), "{name} has no value {value}");
        self.value(name) == value
    }
}
