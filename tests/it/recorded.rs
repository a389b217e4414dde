//! What AWS's own tools print, served as it is.

use std::path::Path;

use keyward::engine::bundle::Options;
use keyward::pdp::load::load;
use keyward::wire::proto::json::read;
use keyward::wire::v1::AuthorizeRequest;

use crate::doors::{Door, parsed, verified};

#[tokio::test]
async fn an_export_of_an_account_is_served_as_it_is() {
    let built = load(Path::new("tests/data/moto/policies"), &Options::default(), &verified)
        .expect("a good set");
    let mut door = Door::open(built.snapshot).await;
    let questions = std::fs::read_to_string("tests/data/moto/questions.jsonl").expect("questions");
    for line in questions.lines() {
        let question = parsed(line);
        let request: AuthorizeRequest =
            read("AuthorizeRequest", &question["request"].to_string()).expect("a request");
        let response = door.client.authorize(request).await.expect("an answer").into_inner();
        assert_eq!(
            response.decision().as_str_name(),
            question["expect"]["decision"],
            "{}: {}",
            question["name"],
            response.message
        );
    }
    door.close().await;
}
