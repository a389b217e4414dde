//! Switches for what AWS's documents leave open, and the profile.

/// How policies are read where AWS's documentation is silent or contradicts itself. The default of
/// each switch is the reading that fails closed, where there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Evaluation {
    /// Which rules: AWS's, or the stricter reading that wants key policy and identity policy.
    pub profile: Profile,
    /// Whether a foreign grantee needs an identity policy too.
    pub cross_account_grant: CrossAccountGrant,
    /// Whether names of encryption-context pairs in grant constraints heed case.
    pub grant_ec_key_case: KeyCase,
    /// Whether boundaries and session policies limit what a grant allows.
    pub grants_limited_by_boundary: GrantLimit,
    /// What a grant to an account means for its users and roles.
    pub grant_account_grantee: AccountGrantee,
    /// Whether NotPrincipal exempts a caller whose account is not listed.
    pub notprincipal_requires_account: Required,
    /// Whether `{"AWS": "*"}` in an Allow matches a service principal.
    pub aws_star_matches_service: AwsStar,
    /// A multivalued condition key tested without a set operator.
    pub multivalue_without_setop: MultivalueWithoutSetop,
    /// `ForAnyValue:…IfExists` on an absent key.
    pub forany_ifexists_absent: ForAnyIfExists,
    /// Tag and alias condition keys in key policies.
    pub abac_keys_in_key_policy: AbacInKeyPolicy,
    /// Whether authorization comes before the key state check.
    pub auth_before_state: AuthBeforeState,
    /// How the `AWS_RAM` policy of a shared key is read.
    pub ram_policy: RamPolicy,
    /// A caller that the set does not describe.
    pub unknown_principal: Unknown,
    /// A VPC endpoint that the set does not describe.
    pub unknown_vpc_endpoint: Unknown,
    /// Whether a federated session without issuer stands for the user of its name.
    pub federated_by_name: FederatedByName,
}

macro_rules! switch {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// The values as configuration writes them, the default first.
            pub const VALUES: &'static [&'static str] = &[$($text),+];

            /// The value that `text` names.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }

            /// The value as configuration writes it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

switch! {
    /// Which rules decide.
    Profile {
        /// As AWS KMS.
        #[default] Aws = "aws",
        /// In the same account both the key policy (or a grant) and an identity policy must allow,
        /// unless the key policy allows through the account.
        DualControl = "dual-control",
    }
}
switch! {
    /// Whether a grantee of another account needs an identity policy too.
    CrossAccountGrant {
        /// Unless the grant was issued from the caller's own account.
        #[default] IssuerAware = "issuer_aware",
        /// Always.
        AlwaysIam = "always_iam",
        /// Never.
        GrantOnly = "grant_only",
    }
}
switch! {
    /// Case of names.
    KeyCase {
        /// Counts.
        #[default] Sensitive = "sensitive",
        /// Does not count.
        Insensitive = "insensitive",
    }
}
switch! {
    /// Whether boundaries and session policies limit grants.
    GrantLimit {
        /// As for key policies: a grant to a role or to the user behind a federated session is
        /// limited; one to a user or session is not.
        #[default] AsKeyPolicy = "as_key_policy",
        /// Every grant is limited.
        Always = "always",
        /// No grant is limited.
        Never = "never",
    }
}
switch! {
    /// What a grant to an account means.
    AccountGrantee {
        /// As delegation in a key policy: identity policies must also allow.
        #[default] IdentityRequired = "identity_required",
        /// The grant alone allows.
        GrantOnly = "grant_only",
    }
}
switch! {
    /// Whether something is required.
    Required {
        /// It is.
        #[default] Yes = "true",
        /// It is not.
        No = "false",
    }
}
switch! {
    /// `{"AWS": "*"}` in an Allow and service principals.
    AwsStar {
        /// Does not match them.
        #[default] NoMatch = "false",
        /// Matches them.
        Match = "true",
    }
}
switch! {
    /// A multivalued condition key tested without a set operator.
    MultivalueWithoutSetop {
        /// Cannot be known: never allows and always denies.
        #[default] Unsure = "unsure",
        /// As with ForAnyValue.
        ForAny = "any_value",
        /// Never holds.
        NoMatch = "never",
    }
}
switch! {
    /// `ForAnyValue:…IfExists` on an absent key.
    ForAnyIfExists {
        /// Cannot be known.
        #[default] Unsure = "unsure",
        /// Holds, as IfExists says.
        True = "true",
        /// Does not hold, as ForAnyValue says.
        False = "false",
    }
}
switch! {
    /// Tag and alias condition keys in key policies.
    AbacInKeyPolicy {
        /// Never allow; deny when they would with the key there or absent.
        #[default] FailClosed = "fail_closed",
        /// Evaluated with the attributes of the key.
        Populated = "populated",
        /// Evaluated as if the key had no tags and no aliases.
        Absent = "absent",
    }
}
switch! {
    /// Authorization before or after the key state.
    AuthBeforeState {
        /// Authorization first.
        #[default] Yes = "true",
        /// A key state that forbids the operation is reported first.
        No = "false",
    }
}
switch! {
    /// How the `AWS_RAM` policy of a shared key is read.
    RamPolicy {
        /// As more statements of the key policy.
        #[default] Statements = "statements",
        /// Its Allows do not count; its Denies do.
        DenyOnly = "deny_only",
    }
}
switch! {
    /// Who or what the set does not hold.
    Unknown {
        /// Denied where the set describes others of its kind.
        #[default] DenyWhereDescribed = "deny-where-described",
        /// Denied.
        Deny = "deny",
        /// As if it had no policies.
        NoPolicies = "no-policies",
    }
}
switch! {
    /// The user behind a federated session without issuer.
    FederatedByName {
        /// The user of the same name.
        #[default] Yes = "true",
        /// No one: only the session itself counts.
        No = "false",
    }
}

impl Evaluation {
    /// The names of the switches, as configuration writes them below `evaluation.`.
    pub const NAMES: &'static [&'static str] = &[
        "profile",
        "cross_account_grant",
        "grant_ec_key_case",
        "grants_limited_by_boundary",
        "grant_account_grantee",
        "notprincipal_requires_account",
        "aws_star_matches_service",
        "multivalue_without_setop",
        "forany_ifexists_absent",
        "abac_keys_in_key_policy",
        "auth_before_state",
        "ram_policy",
        "unknown_principal",
        "unknown_vpc_endpoint",
        "federated_by_name",
    ];

    /// The names and values of all switches, as configuration writes them.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let values = [
            self.profile.name(),
            self.cross_account_grant.name(),
            self.grant_ec_key_case.name(),
            self.grants_limited_by_boundary.name(),
            self.grant_account_grantee.name(),
            self.notprincipal_requires_account.name(),
            self.aws_star_matches_service.name(),
            self.multivalue_without_setop.name(),
            self.forany_ifexists_absent.name(),
            self.abac_keys_in_key_policy.name(),
            self.auth_before_state.name(),
            self.ram_policy.name(),
            self.unknown_principal.name(),
            self.unknown_vpc_endpoint.name(),
            self.federated_by_name.name(),
        ];
        Self::NAMES.iter().copied().zip(values)
    }

    /// Sets one switch by name and value.
    ///
    /// # Errors
    ///
    /// No such switch, or no such value of it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), InvalidSwitch> {
        macro_rules! choose {
            ($($field:ident: $kind:ident),+ $(,)?) => {
                match name {
                    $(stringify!($field) => {
                        self.$field = $kind::parse(value).ok_or_else(|| InvalidSwitch::Value {
                            name: name.to_owned(),
                            value: value.to_owned(),
                            expected: $kind::VALUES,
                        })?;
                    })+
                    _ => return Err(InvalidSwitch::Name(name.to_owned())),
                }
            };
        }
        choose! {
            profile: Profile,
            cross_account_grant: CrossAccountGrant,
            grant_ec_key_case: KeyCase,
            grants_limited_by_boundary: GrantLimit,
            grant_account_grantee: AccountGrantee,
            notprincipal_requires_account: Required,
            aws_star_matches_service: AwsStar,
            multivalue_without_setop: MultivalueWithoutSetop,
            forany_ifexists_absent: ForAnyIfExists,
            abac_keys_in_key_policy: AbacInKeyPolicy,
            auth_before_state: AuthBeforeState,
            ram_policy: RamPolicy,
            unknown_principal: Unknown,
            unknown_vpc_endpoint: Unknown,
            federated_by_name: FederatedByName,
        }
        Ok(())
    }
}

/// A switch that does not exist, or cannot have this value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSwitch {
    /// There is no such switch.
    #[error("no switch `evaluation.{0}`")]
    Name(String),
    /// The switch has other values.
    #[error("`evaluation.{name}` cannot be `{value}`: expected one of {expected:?}")]
    Value {
        /// The switch.
        name: String,
        /// The value that was given.
        value: String,
        /// The values that it can have.
        expected: &'static [&'static str],
    },
}

#[cfg(test)]
mod tests {
    use super::{Evaluation, InvalidSwitch, Profile};

    #[test]
    fn every_switch_can_be_set_by_name_and_refuses_nonsense() {
        for name in Evaluation::NAMES {
            let refused = Evaluation::default().set(name, "nonsense");
            let Err(InvalidSwitch::Value { expected, .. }) = refused else {
                panic!("{name}: {refused:?}")
            };
            for value in expected {
                let mut evaluation = Evaluation::default();
                assert_eq!(evaluation.set(name, value), Ok(()), "{name} = {value}");
                let shown = evaluation.values().find(|(other, _)| other == name);
                assert_eq!(shown, Some((*name, *value)));
            }
        }
        assert!(matches!(Evaluation::default().set("nonsense", "x"), Err(InvalidSwitch::Name(_))));
    }

    #[test]
    fn the_profile_is_a_switch() {
        let mut evaluation = Evaluation::default();
        assert_eq!(evaluation.set("profile", "dual-control"), Ok(()));
        assert_eq!(evaluation.profile, Profile::DualControl);
    }
}
