//! AWS's words for a denial.
//!
//! Source: IAM User Guide, "Troubleshoot access denied error messages"; AWS KMS Developer Guide,
//! "Troubleshooting AWS KMS permissions".

use super::decision::{Answer, Decision, Denial, Layer, Leg, Missing};
use crate::engine::kms::action::Action;

const ACCESS_DENIED: &str = "AccessDeniedException";
const NOT_FOUND: &str = "NotFoundException";
const DRY_RUN: &str = "DryRunOperationException";

impl Leg<'_> {
    /// What KMS would raise; `None` when allowed.
    #[must_use]
    pub fn error_code(&self) -> Option<&'static str> {
        match &self.decision {
            Decision::Allow(_) => None,
            Decision::Deny(Denial::KeyState(refusal)) => Some(refusal.exception),
            Decision::Deny(Denial::Implicit(Missing::UnknownKey | Missing::UnknownGrant)) => {
                Some(NOT_FOUND)
            }
            Decision::Deny(Denial::Implicit(_) | Denial::Explicit(_)) => Some(ACCESS_DENIED),
        }
    }
}

impl Answer<'_> {
    /// What KMS would raise; `None` when allowed, but for dry runs.
    #[must_use]
    pub fn error_code(&self) -> Option<&'static str> {
        let code = self.decisive().map_or(Some(ACCESS_DENIED), Leg::error_code);
        code.or(self.dry_run.then_some(DRY_RUN))
    }

    /// AWS's sentence; `None` when allowed, but for dry runs.
    #[must_use]
    pub fn message(&self) -> Option<String> {
        let leg = self.decisive()?;
        match &leg.decision {
            Decision::Allow(_) if self.dry_run => {
                Some("The request would have succeeded, but the DryRun option is set.".to_owned())
            }
            Decision::Allow(_) => None,
            Decision::Deny(Denial::KeyState(refusal)) => Some(refusal.message(&leg.resource)),
            Decision::Deny(Denial::Explicit(by))
                if self.is_foreign(leg) && by.layer == Layer::KeyPolicy =>
            {
                Some(self.vague(leg))
            }
            Decision::Deny(Denial::Explicit(by)) => {
                let layer = by.layer.in_words();
                let article = if layer.starts_with('i') { "an" } else { "a" };
                Some(format!("{} with an explicit deny in {article} {layer}", self.refusal(leg)))
            }
            Decision::Deny(Denial::Implicit(missing)) => Some(self.implicit(leg, *missing)),
        }
    }

    fn implicit(&self, leg: &Leg<'_>, missing: Missing) -> String {
        let layer = match missing {
            Missing::UnknownKey if leg.resource.contains(":alias/") => {
                return format!("Alias {} is not found.", leg.resource);
            }
            Missing::UnknownKey => return format!("Key '{}' does not exist", leg.resource),
            Missing::UnknownGrant => return "The grant does not exist on the key.".to_owned(),
            Missing::UnknownForeignKey | Missing::CrossAccount | Missing::OtherPartition => {
                return self.vague(leg);
            }
            Missing::Layer(Layer::KeyPolicy | Layer::Grant) | Missing::SourceArnDiffers => {
                if self.is_foreign(leg) {
                    return self.vague(leg);
                }
                Layer::KeyPolicy
            }
            Missing::Layer(layer) => layer,
            Missing::UnknownEndpoint => Layer::Endpoint,
            Missing::AwsManaged
            | Missing::UnknownPrincipal
            | Missing::ReservedAlias
            | Missing::NotRetirable => Layer::Identity,
        };
        let action = leg.action.name();
        format!("{} because no {} allows the {action} action", self.refusal(leg), layer.in_words())
    }

    /// The first half of the sentence.
    fn refusal(&self, leg: &Leg<'_>) -> String {
        let (principal, action) = (self.principal, leg.action.name());
        let new_key = leg.action == Action::TagResource && leg.resource.ends_with(":key/*");
        if new_key {
            return format!("User: {principal} is not authorized to perform: {action}");
        }
        format!(
            "User: {principal} is not authorized to perform: {action} on resource: {}",
            leg.resource
        )
    }

    /// For keys of other accounts KMS does not tell which it is.
    fn vague(&self, leg: &Leg<'_>) -> String {
        format!(
            "User: {} is not authorized to perform: {} on this resource because the resource does not exist in \
             this Region, no resource-based policies allow access, or a resource-based policy explicitly denies \
             access",
            self.principal,
            leg.action.name()
        )
    }

    /// Whether the leg is about a key of another account, or partition, than the caller's.
    fn is_foreign(&self, leg: &Leg<'_>) -> bool {
        let part = |arn: &str, index: usize| arn.split(':').nth(index).map(str::to_owned);
        let differs = |index: &usize| part(self.principal, *index) != part(&leg.resource, *index);
        leg.resource.starts_with("arn:") && [1, 4].iter().any(differs)
    }
}
