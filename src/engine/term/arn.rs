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
    /// Where the colons behind partition, service, Region and account stand.
    colons: [u32; 4],
}

impl<'a> Arn<'a> {
    /// Cuts `text` into its parts; `None` when it is not an ARN.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        Self::usual(text).or_else(|| Self::general(text))
    }

    /// Most ARNs are known by their shape: `arn:aws:`, a service of three letters, an account. What
    /// is found here is what [`Self::general`] finds.
    #[inline]
    fn usual(text: &'a str) -> Option<Self> {
        let rest = text.as_bytes().strip_prefix(b"arn:aws:")?;
        let ([service @ .., b':'], rest) = rest.split_first_chunk::<4>()? else { return None };
        let region = position(rest, b':')?;
        let (account, rest) = rest.get(region + 1..)?.split_first_chunk::<12>()?;
        let is_usual = AccountId::of(account).is_some()
            && service.iter().all(u8::is_ascii_lowercase)
            && rest.len() > 1
            && rest.first() == Some(&b':');
        let region = u32::try_from(12 + region).ok()?;
        is_usual.then_some(Self { text, colons: [7, 11, region, region + 13] })
    }

    fn general(text: &'a str) -> Option<Self> {
        let mut rest = text.strip_prefix("arn:")?;
        let mut colons = [0; 4];
        for colon in &mut colons {
            let end = position(rest.as_bytes(), b':')?;
            rest = rest.get(end + 1..)?;
            *colon = u32::try_from(text.len() - rest.len() - 1).ok()?;
        }
        let [partition, service, _, account] = colons;
        // Neither partition nor service nor resource is empty.
        let well_formed =
            partition > 4 && service > partition + 1 && text.len() > account as usize + 1;
        well_formed.then_some(Self { text, colons })
    }

    /// `aws`, `aws-cn`, `aws-us-gov` and so on.
    #[must_use]
    pub fn partition(&self) -> &'a str {
        let [end, ..] = self.colons;
        self.part("arn:".len(), end)
    }

    /// `kms`, `iam`, `sts` and so on.
    #[must_use]
    pub fn service(&self) -> &'a str {
        let [before, end, ..] = self.colons;
        self.part(before as usize + 1, end)
    }

    /// Region; empty for global resources.
    #[must_use]
    pub fn region(&self) -> &'a str {
        let [_, before, end, _] = self.colons;
        self.part(before as usize + 1, end)
    }

    /// Account as written; empty or an alias such as `aws` for some resources.
    #[must_use]
    pub fn account(&self) -> &'a str {
        let [.., before, end] = self.colons;
        self.part(before as usize + 1, end)
    }

    /// Everything after the fifth colon.
    #[must_use]
    pub fn resource(&self) -> &'a str {
        let [.., before] = self.colons;
        self.text.get(before as usize + 1..).unwrap_or_default()
    }

    /// The account, when it is twelve digits.
    #[must_use]
    pub fn account_id(&self) -> Option<AccountId> {
        let [.., before, end] = self.colons;
        AccountId::of(self.text.as_bytes().get(before as usize + 1..end as usize)?)
    }

    /// Whether it names a Region.
    #[must_use]
    pub fn has_region(&self) -> bool {
        let [_, before, end, _] = self.colons;
        end > before + 1
    }

    /// The six parts in order, the scheme first.
    #[must_use]
    pub fn parts(&self) -> [&'a str; 6] {
        let (partition, service, region) = (self.partition(), self.service(), self.region());
        ["arn", partition, service, region, self.account(), self.resource()]
    }

    fn part(&self, start: usize, end: u32) -> &'a str {
        self.text.get(start..end as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Arn;

    #[track_caller]
    fn check(text: &str, resource: Option<&str>) {
        assert_eq!(Arn::parse(text).map(|arn| arn.resource()), resource, "{text:?}");
    }

    #[test]
    fn an_arn_has_six_parts_and_keeps_later_colons() {
        check("arn:aws:kms:us-west-2:111122223333:key/1", Some("key/1"));
        check("arn:aws:s3:::bucket/a:b", Some("bucket/a:b"));
        check("arn:aws:kms:us-west-2:111122223333", None);
        check("arn:aws:kms:us-west-2:111122223333:", None);
        check("arm:aws:kms:us-west-2:111122223333:key/1", None);
        check("arn::kms:us-west-2:111122223333:key/1", None);
        check("arn:aws::us-west-2:111122223333:key/1", None);
        check("arn:aws:kms:us-west-2:11112222333:key/1", Some("key/1"));
        check("arn:aws:kms:us-west-2:111122223333x:key/1", Some("key/1"));
    }

    #[test]
    fn an_arn_of_the_usual_shape_is_cut_as_every_other() {
        let (mut usual, whole) = (0, "arn:aws:kms:us-west-2:111122223333:key/1:2");
        for cut in 0..=whole.len() {
            for with in ["", ":", "::", "a", "1", "é"] {
                let text = [&whole[..cut], with, &whole[(cut + 1).min(whole.len())..]].concat();
                for text in
                    [text.clone(), text.replace("us-west-2", ""), text.replace("kms", "k:s")]
                {
                    let found = Arn::usual(&text);
                    usual += usize::from(found.is_some());
                    assert!(found.is_none() || found == Arn::general(&text), "{text:?}");
                    assert_eq!(Arn::parse(&text), Arn::general(&text), "{text:?}");
                }
            }
        }
        assert!(usual > 50, "{usual}");
    }
}
