//! Members whose names are right but for their case: ignored they would take a limit with them.

use serde_json::Value;

/// The members of documents that say something.
const KNOWN: [&str; 65] = [
    "AWSAccountId",
    "Accounts",
    "AliasArn",
    "AliasName",
    "Aliases",
    "Arn",
    "Assertions",
    "AttachedManagedPolicies",
    "Constraints",
    "Content",
    "CreationDate",
    "CustomKeyStoreId",
    "DefaultVersionId",
    "Document",
    "Enabled",
    "EncryptionContextEquals",
    "EncryptionContextSubset",
    "GrantId",
    "GrantToken",
    "GranteePrincipal",
    "GranteeServicePrincipal",
    "Grants",
    "GroupDetailList",
    "GroupList",
    "GroupPolicyList",
    "Id",
    "IsDefaultVersion",
    "IsTruncated",
    "IssuingAccount",
    "KeyId",
    "KeyLastUsage",
    "KeyManager",
    "KeyMetadata",
    "KeySpec",
    "KeyState",
    "KeyUsage",
    "Keys",
    "ManagementAccountId",
    "MultiRegion",
    "Operations",
    "Organization",
    "OrganizationalUnits",
    "Origin",
    "PermissionsBoundary",
    "PermissionsBoundaryArn",
    "Policies",
    "Policy",
    "PolicyArn",
    "PolicyDocument",
    "PolicyName",
    "PolicyVersionList",
    "RamPolicy",
    "ResourceControlPolicies",
    "RetiringPrincipal",
    "RetiringServicePrincipal",
    "RoleDetailList",
    "RolePolicyList",
    "Root",
    "ServiceControlPolicies",
    "SourceArn",
    "State",
    "Tags",
    "Truncated",
    "UserDetailList",
    "UserPolicyList",
];

/// What holds names of the user's choosing, or is read by rules of its own.
const APART: [&str; 9] = [
    "Assertions",
    "AssumeRolePolicyDocument",
    "Content",
    "Document",
    "EncryptionContextEquals",
    "EncryptionContextSubset",
    "Policy",
    "PolicyDocument",
    "RamPolicy",
];

/// Whether every member of a document is spelt as it should be, or is nothing that counts.
pub(crate) fn is_right(document: &Value) -> bool {
    match document {
        Value::Object(members) => members.iter().all(|(name, value)| {
            let mut known = KNOWN.iter();
            let misspelt = known.any(|known| name != known && name.eq_ignore_ascii_case(known));
            !misspelt && (APART.contains(&name.as_str()) || is_right(value))
        }),
        Value::Array(items) => items.iter().all(is_right),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}
