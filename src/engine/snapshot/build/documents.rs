//! Documents: told apart by their members.

use super::reading::Reading;
use crate::engine::json::{Json, read_among};
use crate::engine::term::text::same;

/// The members by which a document is recognised.
const MEMBERS: [&str; 11] = [
    "KeyMetadata",
    "Keys",
    "UserDetailList",
    "GroupDetailList",
    "RoleDetailList",
    "Policies",
    "Grants",
    "Aliases",
    "VpcEndpoints",
    "Organization",
    "Assertions",
];

impl Reading<'_> {
    /// Reads the document.
    pub(super) fn document(&mut self) {
        let problems = &mut self.said.problems;
        let (limits, among) = (&self.options.limits, self.recall.among());
        let Some(json) = read_among(self.source, limits, problems, among) else {
            self.said.unread = true;
            return;
        };
        let Some(members) = json.as_object() else {
            let message = format!("the document is {}, expected an object", json.in_words());
            return self.unknown_document(message, &json);
        };
        if !members.iter().any(|member| MEMBERS.contains(&&*member.name)) {
            let misspelt = |name: &str| MEMBERS.into_iter().find(|known| same(known, name));
            let hint = members.iter().find_map(|member| misspelt(&member.name));
            let hint = hint.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            let message = format!("the document has no member that says what it describes{hint}");
            return self.unknown_document(message, &json);
        }
        for name in MEMBERS {
            // Any of them may be misspelt beside another that is not.
            self.member(&json, name);
        }
        self.check_complete(&json);
        self.things(&json);
    }

    fn unknown_document(&mut self, message: String, json: &Json<'_>) {
        let help = format!("expected at least one of {}", MEMBERS.join(", "));
        self.said.unread = true;
        self.error("unknown-document", message, &help, json.span);
    }

    fn things(&mut self, json: &Json<'_>) {
        if json.member("KeyMetadata").is_some() {
            self.key(json);
        } else {
            let aliases = self.list(json, "Aliases");
            self.aliases(aliases, None);
            let grants = self.list(json, "Grants");
            self.grants(grants, None);
        }
        for key in self.list(json, "Keys") {
            self.check_complete(key);
            self.key(key);
        }
        for user in self.list(json, "UserDetailList") {
            self.user(user);
        }
        for group in self.list(json, "GroupDetailList") {
            self.group(group);
        }
        for role in self.list(json, "RoleDetailList") {
            self.role(role);
        }
        for policy in self.list(json, "Policies") {
            self.managed_policy(policy);
        }
        for endpoint in self.list(json, "VpcEndpoints") {
            self.endpoint(endpoint);
        }
        if let Some(organization) = self.member(json, "Organization") {
            self.organization(organization);
        }
        for assertion in self.list(json, "Assertions") {
            self.assertion(assertion);
        }
    }

    /// Reports lists that were cut off: what is missing may be a limit.
    ///
    /// Source: IAM API Reference, `GetAccountAuthorizationDetails` (`IsTruncated`); AWS KMS API
    /// Reference, `ListGrants` (`Truncated`); AWS CLI User Guide, "Pagination" (`NextToken`).
    fn check_complete(&mut self, json: &Json<'_>) {
        for name in ["IsTruncated", "Truncated"] {
            if self.truth(json, name) == Some(true) {
                self.truncated(json, name);
            }
        }
        let token = self.member(json, "NextToken").and_then(Json::as_text);
        if token.is_some_and(|token| !token.is_empty()) {
            self.truncated(json, "NextToken");
        }
    }

    fn truncated(&mut self, json: &Json<'_>, name: &str) {
        let span = json.member(name).map_or(json.span, |json| json.span);
        let message = format!("`{name}` says that this is not all");
        self.error(
            "truncated-export",
            message,
            "export all pages: the AWS command line does so by default",
            span,
        );
        self.said.unread = true;
    }
}
