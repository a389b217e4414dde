//! Amazon Resource Names.

use super::account::AccountId;
use super::text::position;

/// An ARN cut into its six parts. The last part keeps its colons.
///
/// Source: IAM User Guide, "Identify AWS resources with Amazon Resource Names (ARNs)".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// The whole text.
    pub text: &'a str,
    /// `aws`, `aws-cn`, `aws-us-gov` and so on.
    pub partition: &'a str,
    /// `kms`, `iam`, `sts` and so on.
    pub service: &'a str,
    /// Region; empty for global resources.
    pub region: &'a str,
    /// Account as written; empty or an alias such as `aws` for some resources.
    pub account: &'a str,
    /// Everything after the fifth colon.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Cuts `text` into its parts; `None` when it is not an ARN.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut resource = text.strip_prefix("arn:")?;
        let mut part = || {
            let end = position(resource.as_bytes(), b':')?;
            let (part, rest) = resource.split_at_checked(end)?;
            resource = rest.get(1..)?;
            Some(part)
        };
        let (partition, service, region, account) = (part()?, part()?, part()?, part()?);
        let well_formed = !partition.is_empty() && !service.is_empty() && !resource.is_empty();
        well_formed.then_some(Self { text, partition, service, region, account, resource })
    }

    /// The account, when it is twelve digits.
    #[must_use]
    pub fn account_id(&self) -> Option<AccountId> {
        AccountId::parse(self.account)
    }

    /// The six parts in order, the scheme first.
    #[must_use]
    pub fn parts(&self) -> [&'a str; 6] {
        ["arn", self.partition, self.service, self.region, self.account, self.resource]
    }
}

#[cfg(test)]
mod tests {
    use super::Arn;

    #[track_caller]
    fn check(text: &str, resource: Option<&str>) {
        assert_eq!(Arn::parse(text).map(|arn| arn.resource), resource, "{text:?}");
    }

    #[test]
    fn an_arn_has_six_parts_and_keeps_later_colons() {
        check("arn:aws:kms:us-west-2:111122223333:key/1", Some("key/1"));
        check("arn:aws:s3:::bucket/a:b", Some("bucket/a:b"));
        check("arn:aws:kms:us-west-2:111122223333", None);
        check("arn:aws:kms:us-west-2:111122223333:", None);
        check("arm:aws:kms:us-west-2:111122223333:key/1", None);
        check("arn::kms:us-west-2:111122223333:key/1", None);
    }
}
