//! An organization: which policies limit which account.

use hashbrown::HashMap;

use super::Attached;
use crate::engine::term::account::AccountId;

/// An AWS organization.
///
/// Source: AWS Organizations User Guide, "SCP evaluation", "RCP evaluation".
#[derive(Clone, Debug)]
pub struct Organization {
    /// `o-…`.
    pub id: Box<str>,
    /// The account that service control policies and resource control policies do not limit.
    pub management_account: Option<AccountId>,
    /// The member accounts.
    pub accounts: HashMap<AccountId, Member>,
}

impl Organization {
    /// Whether the account belongs to it. The management account does, wherever it stands.
    #[must_use]
    pub fn holds(&self, account: AccountId) -> bool {
        self.management_account == Some(account) || self.accounts.contains_key(&account)
    }
}

/// A member account.
#[derive(Clone, Debug)]
pub struct Member {
    /// The value of `aws:PrincipalOrgPaths`: `o-…/r-…/ou-…/`.
    pub path: Box<str>,
    /// Root, organizational units, account.
    pub levels: Box<[Level]>,
}

/// What one level of an organization attaches.
#[derive(Clone, Debug)]
pub struct Level {
    /// Service control policies. `None` does not limit; an empty list allows nothing.
    pub service_control_policies: Option<std::sync::Arc<[Attached]>>,
    /// Resource control policies. `None` does not limit; an empty list allows nothing.
    pub resource_control_policies: Option<std::sync::Arc<[Attached]>>,
}
