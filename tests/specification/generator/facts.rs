//! What the condition keys of the request will hold, for conditions that are to be met.

use super::random::Random;
use super::scene::{HOME, Kind, ORGANIZATION, SERVICE, SOURCE_ARN, Scene, account_of};
use crate::law::{arn, values};

/// Condition keys and values that are the same in every case.
const FIXED: [(&str, &str); 40] = [
    ("aws:SecureTransport", "true"),
    ("aws:RequestedRegion", "us-west-2"),
    ("kms:KeySpec", "SYMMETRIC_DEFAULT"),
    ("kms:KeyUsage", "ENCRYPT_DECRYPT"),
    ("kms:KeyOrigin", "AWS_KMS"),
    ("kms:CustomerMasterKeySpec", "SYMMETRIC_DEFAULT"),
    ("kms:MultiRegion", "false"),
    ("kms:MultiRegionKeyType", "PRIMARY"),
    ("kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT"),
    ("aws:ResourceTag/team", "red"),
    ("aws:PrincipalTag/team", "red"),
    ("aws:PrincipalOrgID", ORGANIZATION),
    ("aws:ResourceOrgID", ORGANIZATION),
    ("aws:PrincipalOrgPaths", "o-example123/r-ab12/ou-ab12-1/"),
    ("kms:ViaService", "s3.us-west-2.amazonaws.com"),
    ("kms:GrantIsForAWSResource", "false"),
    ("kms:ReEncryptOnSameKey", "false"),
    ("kms:RotationPeriodInDays", "365"),
    ("kms:ScheduleKeyDeletionPendingWindowInDays", "30"),
    ("kms:TrailingDaysWithoutKeyUsage", "0"),
    ("kms:BypassPolicyLockoutSafetyCheck", "true"),
    ("kms:RecipientAttestation:PCR1", "1de4f2"),
    ("kms:GrantOperations", "Decrypt"),
    ("kms:GrantConstraintType", "EncryptionContextSubset"),
    ("kms:MessageType", "RAW"),
    ("kms:PolicyName", "default"),
    ("kms:ValidTo", "1798761600"),
    ("aws:TagKeys", "team"),
    ("aws:RequestTag/team", "red"),
    ("aws:CalledVia", "athena.amazonaws.com"),
    ("kms:CustomerMasterKeyUsage", "ENCRYPT_DECRYPT"),
    ("kms:ExpirationModel", "KEY_MATERIAL_EXPIRES"),
    ("kms:GranteeServicePrincipal", SERVICE),
    ("kms:GrantConstraintSourceArn", SOURCE_ARN),
    ("kms:RecipientAttestation:ImageSha384", "ab12"),
    ("kms:RecipientAttestation:NitroTPMPCR4", "00ff"),
    ("kms:RetiringPrincipal", "arn:aws:iam::111122223333:role/Admin"),
    ("kms:RetiringServicePrincipal", SERVICE),
    ("kms:WrappingKeySpec", "RSA_2048"),
    ("kms:WrappingAlgorithm", "RSAES_OAEP_SHA_256"),
];

/// Parameters of the request and the condition keys that they give.
const GIVEN: [(&str, &str); 29] = [
    ("/bypassPolicyLockoutSafetyCheck", "kms:BypassPolicyLockoutSafetyCheck"),
    ("/destinationEncryptionAlgorithm", "kms:EncryptionAlgorithm"),
    ("/encryptionAlgorithm", "kms:EncryptionAlgorithm"),
    ("/expirationModel", "kms:ExpirationModel"),
    ("/grant/constraints/sourceArn", "kms:GrantConstraintSourceArn"),
    ("/grant/granteePrincipal", "kms:GranteePrincipal"),
    ("/grant/granteeServicePrincipal", "kms:GranteeServicePrincipal"),
    ("/grant/operations/0", "kms:GrantOperations"),
    ("/grant/retiringPrincipal", "kms:RetiringPrincipal"),
    ("/grant/retiringServicePrincipal", "kms:RetiringServicePrincipal"),
    ("/keyAgreementAlgorithm", "kms:KeyAgreementAlgorithm"),
    ("/keyPairSpec", "kms:DataKeyPairSpec"),
    ("/keySpec", "kms:KeySpec"),
    ("/keyUsage", "kms:KeyUsage"),
    ("/macAlgorithm", "kms:MacAlgorithm"),
    ("/messageType", "kms:MessageType"),
    ("/multiRegion", "kms:MultiRegion"),
    ("/origin", "kms:KeyOrigin"),
    ("/pendingWindowInDays", "kms:ScheduleKeyDeletionPendingWindowInDays"),
    ("/policyName", "kms:PolicyName"),
    ("/primaryRegion", "kms:PrimaryRegion"),
    ("/recipientAttestation/PCR1", "kms:RecipientAttestation:PCR1"),
    ("/replicaRegion", "kms:ReplicaRegion"),
    ("/rotationPeriodInDays", "kms:RotationPeriodInDays"),
    ("/signingAlgorithm", "kms:SigningAlgorithm"),
    ("/tagKeys/0", "aws:TagKeys"),
    ("/tags/0/tagValue", "aws:RequestTag/team"),
    ("/wrappingAlgorithm", "kms:WrappingAlgorithm"),
    ("/wrappingKeySpec", "kms:WrappingKeySpec"),
];

impl Scene {
    pub(crate) fn note_facts(&mut self, random: &mut Random) {
        let is_session = self.kind == Kind::Session;
        let principal = if is_session { &self.entity } else { &self.caller };
        let alias = self.alias_of(&self.key).to_owned();
        let now = values::instant(self.now).map(values::seconds).expect("an instant");
        let mut facts = vec![
            ("aws:PrincipalArn", principal.clone()),
            ("aws:PrincipalArn", principal.clone()),
            ("aws:PrincipalAccount", self.account.clone()),
            ("kms:CallerAccount", self.account.clone()),
            ("aws:PrincipalIsAWSService", (self.kind == Kind::Service).to_string()),
            ("aws:PrincipalType", if is_session { "AssumedRole" } else { "User" }.to_owned()),
            ("aws:ResourceAccount", account_of(&self.key)),
            ("aws:EpochTime", now.to_string()),
            ("aws:CurrentTime", self.now.to_owned()),
            ("kms:ResourceAliases", alias.clone()),
            ("kms:RequestAlias", alias),
            ("aws:ViaAWSService", self.request["viaService"].is_string().to_string()),
            ("kms:GranteePrincipal", format!("arn:aws:iam::{HOME}:user/Bob")),
        ];
        match self.kind {
            Kind::User => facts.extend([
                ("aws:username", arn::last_name(&self.caller).to_owned()),
                ("aws:userid", "AIDAALICE111122223333".to_owned()),
            ]),
            Kind::Session => facts.extend([
                ("aws:userid", "AROAAPP111122223333:s1".to_owned()),
                ("aws:SourceIdentity", "alice@example.com".to_owned()),
            ]),
            Kind::Federated | Kind::Root => {}
            Kind::Service => facts.extend([
                ("aws:PrincipalServiceName", self.caller.clone()),
                ("aws:PrincipalServiceNamesList", self.caller.clone()),
            ]),
        }
        let fixed = FIXED.iter().map(|(key, value)| (*key, (*value).to_owned()));
        facts.extend(fixed);
        self.facts = facts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        for (key, value) in self.request["context"].as_object().into_iter().flatten() {
            // Twice: such keys are worth testing more often.
            let fact = (key.clone(), value.as_str().unwrap_or("").to_owned());
            self.facts.extend([fact.clone(), fact]);
        }
        for (place, key) in GIVEN {
            if let Some(value) = self.request["parameters"].pointer(place) {
                let value = value.as_str().map_or(value.to_string(), str::to_owned);
                // Few operations have the key: it is worth testing in these.
                self.facts.extend(vec![(key.to_owned(), value); 6]);
            }
        }
        if ["DisableKey", "ScheduleKeyDeletion"].contains(&self.action.as_str()) {
            for days in ["0", "1", "29", "31", "210"] {
                let fact = ("kms:TrailingDaysWithoutKeyUsage".to_owned(), days.to_owned());
                self.facts.extend(vec![fact; 4]);
            }
        }
        let mut pairs = self.encryption_context.clone();
        pairs.extend(encryption_context(random));
        for (name, value) in pairs {
            self.facts.push((format!("kms:EncryptionContext:{name}"), value));
            self.facts.push(("kms:EncryptionContextKeys".to_owned(), name));
        }
    }
}

/// One to four pairs; rarely two names that differ by case alone, and so are one condition key.
pub(crate) fn encryption_context(random: &mut Random) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    if random.chance(7) {
        for name in ["team", "Team"] {
            pairs.push((name.to_owned(), random.pick(&["red", "red", "blue"]).to_owned()));
        }
    }
    for _ in 0..=random.below(2) {
        let names = [
            (16, "team"),
            (12, "app"),
            (8, "aws:s3:arn"),
            (2, "Team"),
            (1, "größe"),
            (1, "GRÖßE"),
            (1, "${team}"),
        ];
        let name = random.weighted(&names);
        let values = ["red", "blue", "Red", "*", "r?d", "a:b", "", "größe", "GRÖßE", "😀", "${*}"];
        let value = random.pick(&values);
        if !pairs.iter().any(|(known, _)| known == name) {
            pairs.push((name.to_owned(), value.to_owned()));
        }
    }
    pairs
}
