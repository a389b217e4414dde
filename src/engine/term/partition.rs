//! The groups of Regions into which AWS is cut.

use std::fmt;

/// A partition, such as `aws` or `aws-us-gov`. Accounts, principals and keys of one do not exist in
/// another.
///
/// Source: AWS General Reference, "AWS resources in other partitions" (ARN format).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partition([u8; 11]); // Invariant: letters, digits and hyphens, filled up with zeros.

impl Partition {
    /// The partition in `text`, if it has the form of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut name = [0; 11];
        name.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        let lawful =
            |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        (!text.is_empty() && text.as_bytes().iter().all(lawful)).then_some(Self(name))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        self.0.get(..length).and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default()
    }
}

/// The partition that an ARN names; `None` when the text starts as no ARN does.
#[must_use]
pub fn partition_of(arn: &str) -> Option<&str> {
    let rest = arn.strip_prefix("arn:")?;
    let end = rest.bytes().position(|byte| byte == b':')?;
    rest.get(..end)
}

/// Whether two ARNs are of one partition.
#[must_use]
#[inline]
pub fn same_partition(one: &str, other: &str) -> bool {
    let usual = |arn: &str| arn.as_bytes().first_chunk::<8>() == Some(b"arn:aws:");
    (usual(one) && usual(other)) || partition_of(one) == partition_of(other)
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Partition({self})")
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Partition, partition_of};

    #[track_caller]
    fn check(text: &str, valid: bool) {
        let found = Partition::parse(text);
        assert_eq!(found.map(|found| found.to_string()).as_deref(), valid.then_some(text));
    }

    #[test]
    fn a_partition_has_a_short_plain_name() {
        for known in ["aws", "aws-cn", "aws-us-gov", "aws-iso-b", "aws-eusc"] {
            check(known, true);
        }
        for unknown in ["", "aws ", "AWS", "aws:cn", "aws-of-a-long-name", "ä"] {
            check(unknown, false);
        }
    }

    #[test]
    fn an_arn_names_its_partition() {
        assert_eq!(partition_of("arn:aws-cn:iam::111122223333:root"), Some("aws-cn"));
        assert_eq!(partition_of("arn:aws"), None);
        assert_eq!(partition_of("s3.amazonaws.com"), None);
    }
}
