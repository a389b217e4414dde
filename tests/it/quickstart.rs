//! The policy set of the README, its questions and its answers.

use std::path::Path;

use keyward::engine::bundle::Options;
use keyward::pdp::load::load;
use keyward::wire::proto::json::read;
use keyward::wire::v1::AuthorizeRequest;
use serde_json::Value;

use crate::doors::{Door, parsed, verified};

#[tokio::test]
async fn every_question_has_the_answer_that_is_written_beside_it() {
    let built =
        load(Path::new("examples/quickstart"), &Options::default(), &verified).expect("a good set");
    assert_eq!(built.warnings, []);
    let mut door = Door::open(built.snapshot).await;
    let questions =
        std::fs::read_to_string("examples/quickstart-questions.jsonl").expect("questions");
    for line in questions.lines() {
        let question = parsed(line);
        let request: AuthorizeRequest =
            read("AuthorizeRequest", &question["request"].to_string()).expect("a request");
        let response = door.client.authorize(request).await.expect("an answer").into_inner();
        let expected = &question["expect"];
        assert_eq!(response.decision().as_str_name(), expected["decision"], "{}", question["name"]);
        if let Value::String(message) = &expected["message"] {
            assert!(
                response.message.ends_with(message),
                "{}: {}",
                question["name"],
                response.message
            );
        }
    }
    door.close().await;
}
