mod codes;
mod merging;
mod policies;
mod revision;

use super::{Built, build};
use crate::engine::bundle::{Document, Options};
use crate::engine::problem::Problem;

const ARN: &str = "arn:aws:kms:us-west-2:111122223333:key/1";

fn documents(texts: &[&str]) -> Vec<Document> {
    let numbered = texts.iter().enumerate();
    numbered
        .map(|(n, text)| Document { name: format!("{n}.json").into(), text: (*text).into() })
        .collect()
}

#[track_caller]
fn built(texts: &[&str]) -> Built {
    let built = build(&documents(texts), &Options::default());
    built.unwrap_or_else(|problems| panic!("{problems}"))
}

/// Errors and warnings.
fn problems(texts: &[&str], options: &Options) -> Vec<Problem> {
    match build(&documents(texts), options) {
        Ok(built) => built.warnings,
        Err(problems) => problems.as_slice().to_vec(),
    }
}

/// A key with the default policy and some more members.
fn key(members: &str) -> String {
    format!(r#"{{"KeyMetadata":{{"Arn":"{ARN}"}},"Policy":"default",{members}"CloudFront":0}}"#)
}
