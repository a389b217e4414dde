//! A whole set of documents, built and asked.

use std::sync::Arc;

use keyward::engine::bundle::{Document, Options};
use keyward::engine::json::{Source, read};
use keyward::engine::problem::{Problems, Severity};
use keyward::engine::snapshot::Snapshot;
use keyward::engine::snapshot::build::{Built, build};
use keyward::wire::cases::assertions::verify;
use keyward::wire::proto::request::request;
use keyward::wire::v1;

use super::json::{placed, spelling};
use super::set::{ask_of, noon};

/// What stands between the documents of an input.
pub(crate) const BETWEEN: &str = "\n%%\n";

/// Builds what any texts say.
///
/// A set is refused with a problem that has its place, or is used; its revision does not depend on
/// how or in which order the documents are written. The set answers, and is asked about its own
/// keys and principals.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let documents: Vec<Document> = text
        .split(BETWEEN)
        .take(8)
        .enumerate()
        .map(|(index, text)| Document { name: format!("{index}.json").into(), text: text.into() })
        .collect();
    let options = Options { allow_empty: true, ..Options::default() };
    match build(&documents, &options) {
        Err(problems) => refused(&problems, &documents),
        Ok(built) => used(&built, &documents, &options),
    }
}

fn refused(problems: &Problems, documents: &[Document]) {
    let errors = problems.as_slice().iter().filter(|problem| problem.severity == Severity::Error);
    assert!(errors.count() > 0, "refused without an error");
    for problem in problems.as_slice() {
        let named = problem.place.as_ref().map(|place| &place.document);
        let document = named.and_then(|name| documents.iter().find(|one| one.name == *name));
        match document {
            Some(document) => placed(std::slice::from_ref(problem), &document.text),
            None => assert!(named.is_none(), "a problem of no document: {problem:?}"),
        }
    }
}

fn used(built: &Built, documents: &[Document], options: &Options) {
    let again: Vec<Document> = documents.iter().rev().map(rewritten).collect();
    let rebuilt = match build(&again, options) {
        Ok(rebuilt) => rebuilt,
        Err(problems) => panic!("refused when written otherwise: {problems}"),
    };
    assert_eq!(rebuilt.snapshot.revision, built.snapshot.revision, "another revision");
    for problem in verify(built, noon()) {
        assert!(problem.place.is_some() && !problem.message.is_empty());
    }
    for (principal, action, key) in questions(&built.snapshot) {
        let message = v1::AuthorizeRequest {
            principal: Some(v1::Principal { arn: principal, ..v1::Principal::default() }),
            action: action.to_owned(),
            key_id: key,
            encryption_context: [("tenant".to_owned(), "42".to_owned())].into(),
            context: [("aws:SourceVpce".to_owned(), "vpce-1".to_owned())].into(),
            ..v1::AuthorizeRequest::default()
        };
        if let Ok(request) = request(&message, noon()) {
            ask_of(&built.snapshot, &request);
        }
    }
}

/// The same document in its canonical spelling, under another name.
fn rewritten(document: &Document) -> Document {
    let source = Source::new(Arc::clone(&document.name), &document.text);
    let json = read(&source, &Options::default().limits, &mut Vec::new());
    let text = spelling(&json.expect("a document that was used"));
    Document { name: format!("again-{}", document.name).into(), text: text.into() }
}

/// The keys and principals of a set, and strangers, each with each.
fn questions(snapshot: &Snapshot) -> Vec<(String, &'static str, String)> {
    let mut keys: Vec<&str> = snapshot.keys.keys().collect();
    keys.sort_unstable();
    let mut principals: Vec<String> = snapshot.users.keys().map(|arn| arn.to_string()).collect();
    principals.extend(
        snapshot
            .roles
            .keys()
            .map(|(account, name)| format!("arn:aws:sts::{account}:assumed-role/{name}/session")),
    );
    principals.sort_unstable();
    principals.truncate(3);
    principals.extend([
        "arn:aws:iam::111122223333:root".to_owned(),
        "arn:aws:sts::444455556666:federated-user/stranger".to_owned(),
        "logs.amazonaws.com".to_owned(),
    ]);
    let mut questions = Vec::new();
    for key in keys.into_iter().take(2) {
        for principal in &principals {
            for action in ["kms:Decrypt", "DescribeKey", "kms:PutKeyPolicy"] {
                questions.push((principal.clone(), action, key.to_owned()));
            }
        }
    }
    questions
}
