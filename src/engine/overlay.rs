//! Documents over documents: what some describe takes the place of what others say of the same.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::bundle::{Document, Limits};
use super::json::{Json, Member, Source, read, write_text};

/// Lists of things that have an ARN.
const WITH_ARN: [&str; 4] = ["UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"];

/// Members that describe a key, beside `KeyMetadata`.
const OF_A_KEY: [&str; 7] =
    ["Policy", "Aliases", "Tags", "Grants", "KeyRotationEnabled", "RamPolicy", "KeyLastUsage"];

/// The documents of a set with others over them.
///
/// A user, group, role, managed policy, grant, alias, VPC endpoint or organization that `over`
/// describes is left out of `base`. A key too; but what its new description leaves out (its grants,
/// say, or its state) stays as it was. Texts that are no JSON are left to whoever builds the set.
/// Places in `over` keep their lines.
#[must_use]
pub fn overlay(base: &[Document], over: &[Document], limits: &Limits) -> Vec<Document> {
    let sources: Vec<Source<'_>> = over
        .iter()
        .map(|document| Source::new(Arc::clone(&document.name), &document.text))
        .collect();
    let parsed: Vec<Option<Json<'_>>> =
        sources.iter().map(|source| read(source, limits, &mut Vec::new())).collect();
    let mut described = Described::default();
    parsed.iter().flatten().for_each(|json| described.take(json));
    let mut kept: HashMap<String, Kept> = HashMap::new();
    let mut documents: Vec<Document> = Vec::with_capacity(base.len() + over.len());
    for document in base {
        if !described.is_in(&document.text) {
            documents.push(document.clone());
            continue;
        }
        let source = Source::new(Arc::clone(&document.name), &document.text);
        let Some(json) = read(&source, limits, &mut Vec::new()) else {
            documents.push(document.clone());
            continue;
        };
        let rest = described.rest(&json, &mut kept);
        documents
            .extend(rest.map(|text| Document { name: document.name.clone(), text: text.into() }));
    }
    for (document, json) in over.iter().zip(&parsed) {
        let text = match json {
            Some(json) => completed(document, json, &kept),
            None => Arc::clone(&document.text),
        };
        documents.push(Document { name: Arc::clone(&document.name), text });
    }
    documents
}

/// What a key's new description may leave out: members as texts, by name.
#[derive(Debug, Default)]
struct Kept {
    members: Vec<(String, String)>,
    metadata: Vec<(String, String)>,
}

/// What documents describe.
#[derive(Debug, Default)]
struct Described {
    keys: HashSet<String>,
    /// Keys whose grants, or aliases, are all told; by ARN and by id.
    with_grants: HashSet<String>,
    with_aliases: HashSet<String>,
    /// Users, groups, roles, policies and aliases by ARN, VPC endpoints by id.
    named: HashSet<String>,
    /// By id.
    grants: HashSet<String>,
    organization: bool,
}

impl Described {
    fn take(&mut self, json: &Json<'_>) {
        for key in keys(json) {
            let Some(arn) = key_arn(key) else { continue };
            let both = [arn.to_owned(), id_of(arn).to_owned()];
            if key.member("Grants").is_some() {
                self.with_grants.extend(both.clone());
            }
            if key.member("Aliases").is_some() {
                self.with_aliases.extend(both);
            }
            self.keys.insert(arn.to_owned());
        }
        for name in WITH_ARN {
            self.named.extend(list(json, name).iter().filter_map(|item| text(item, "Arn")));
        }
        self.named.extend(
            list(json, "VpcEndpoints").iter().filter_map(|item| text(item, "VpcEndpointId")),
        );
        if json.member("KeyMetadata").is_none() {
            self.named
                .extend(list(json, "Aliases").iter().filter_map(|item| text(item, "AliasArn")));
            self.grants
                .extend(list(json, "Grants").iter().filter_map(|item| text(item, "GrantId")));
        }
        self.organization |= json.member("Organization").is_some();
    }

    /// Whether a text may say something of what is described.
    fn is_in(&self, text: &str) -> bool {
        // Escapes may spell a name otherwise.
        let escaped = text.contains("\\/") || text.contains("\\u");
        let names = self.named.iter().chain(&self.grants).map(String::as_str);
        escaped
            || (self.organization && text.contains("Organization"))
            || names.chain(self.keys.iter().map(|arn| id_of(arn))).any(|name| text.contains(name))
    }

    /// A document without what is described; nothing, if nothing is left. What it says of keys that
    /// are described is added to `kept`.
    fn rest(&self, json: &Json<'_>, kept: &mut HashMap<String, Kept>) -> Option<String> {
        let members = json.as_object()?;
        let own = key_arn(json).filter(|arn| self.keys.contains(*arn));
        if let Some(arn) = own {
            kept.entry(arn.to_owned()).or_default().add(json);
        }
        let is_key = json.member("KeyMetadata").is_some();
        let mut left: Vec<(String, String)> = Vec::new();
        for member in members {
            let name = &*member.name;
            if own.is_some() && (name == "KeyMetadata" || OF_A_KEY.contains(&name)) {
                continue;
            }
            let stays = |item: &Json<'_>| match name {
                "Keys" => !key_arn(item).is_some_and(|arn| self.keys.contains(arn)),
                "VpcEndpoints" => !named(item, "VpcEndpointId", &self.named),
                "Aliases" if !is_key => {
                    !named(item, "AliasArn", &self.named)
                        && !named(item, "TargetKeyId", &self.with_aliases)
                }
                "Grants" => {
                    !named(item, "GrantId", &self.grants)
                        && !named(item, "KeyId", &self.with_grants)
                }
                name if WITH_ARN.contains(&name) => !named(item, "Arn", &self.named),
                _ => true,
            };
            if name == "Keys" {
                for key in list(json, "Keys").iter().filter(|item| !stays(item)) {
                    if let Some(arn) = key_arn(key) {
                        kept.entry(arn.to_owned()).or_default().add(key);
                    }
                }
            }
            if name == "Organization" && self.organization {
                continue;
            }
            let value = match member.value.as_list() {
                Some(items) => {
                    let items: Vec<String> =
                        items.iter().filter(|item| stays(item)).map(written).collect();
                    if items.is_empty() {
                        continue;
                    }
                    format!("[{}]", items.join(","))
                }
                None => written(&member.value),
            };
            left.push((name.to_owned(), value));
        }
        // Beside what describes something, documents have members that are ignored.
        let describes = |(name, _): &(String, String)| {
            name == "KeyMetadata"
                || ["Keys", "Grants", "Aliases", "VpcEndpoints", "Organization", "Assertions"]
                    .contains(&&**name)
                || WITH_ARN.contains(&&**name)
        };
        left.iter().any(describes).then(|| format!("{{{}}}", members_text(&left)))
    }
}

impl Kept {
    fn add(&mut self, key: &Json<'_>) {
        let all = key.as_object().unwrap_or_default();
        let of_key = |member: &&Member<'_>| OF_A_KEY.contains(&&*member.name);
        let pair = |member: &Member<'_>| (member.name.clone().into_owned(), written(&member.value));
        self.members.extend(all.iter().filter(of_key).map(pair));
        let metadata = key.member("KeyMetadata").and_then(Json::as_object).unwrap_or_default();
        self.metadata.extend(metadata.iter().map(pair));
    }
}

/// A document with what its keys leave out, written before the brace that closes each.
fn completed(document: &Document, json: &Json<'_>, kept: &HashMap<String, Kept>) -> Arc<str> {
    let mut insertions: Vec<(usize, String)> = Vec::new();
    for key in keys(json) {
        let Some(kept) = key_arn(key).and_then(|arn| kept.get(arn)) else { continue };
        let mut complete = |object: &Json<'_>, kept: &[(String, String)]| {
            let left_out = |(name, _): &&(String, String)| object.member(name).is_none();
            let missing: Vec<(String, String)> = kept.iter().filter(left_out).cloned().collect();
            let empty = object.as_object().is_none_or(|members| members.is_empty());
            if !missing.is_empty() && !empty {
                insertions.push((object.span.end - 1, format!(",{}", members_text(&missing))));
            }
        };
        complete(key, &kept.members);
        if let Some(metadata) = key.member("KeyMetadata") {
            complete(metadata, &kept.metadata);
        }
    }
    if insertions.is_empty() {
        return Arc::clone(&document.text);
    }
    insertions.sort_by_key(|(offset, _)| *offset);
    let slice = |range: Range<usize>| document.text.get(range).unwrap_or_default();
    let (mut text, mut from) = (String::new(), 0);
    for (offset, inserted) in insertions {
        text.push_str(slice(from..offset));
        text.push_str(&inserted);
        from = offset;
    }
    text.push_str(slice(from..document.text.len()));
    text.into()
}

/// The objects that describe keys.
fn keys<'j, 'a>(json: &'j Json<'a>) -> impl Iterator<Item = &'j Json<'a>> {
    let itself = json.member("KeyMetadata").is_some().then_some(json);
    itself.into_iter().chain(list(json, "Keys"))
}

fn key_arn<'j>(key: &'j Json<'_>) -> Option<&'j str> {
    key.member("KeyMetadata")?.member("Arn")?.as_text()
}

fn id_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

fn list<'j, 'a>(json: &'j Json<'a>, name: &str) -> &'j [Json<'a>] {
    json.member(name).and_then(Json::as_list).unwrap_or_default()
}

fn text(json: &Json<'_>, name: &str) -> Option<String> {
    json.member(name)?.as_text().map(str::to_owned)
}

fn named(json: &Json<'_>, name: &str, among: &HashSet<String>) -> bool {
    json.member(name).and_then(Json::as_text).is_some_and(|text| among.contains(text))
}

fn written(json: &Json<'_>) -> String {
    let mut bytes = Vec::new();
    json.canonical(&mut bytes);
    String::from_utf8(bytes).unwrap_or_default()
}

fn members_text(members: &[(String, String)]) -> String {
    let one = |(name, value): &(String, String)| {
        let mut bytes = Vec::new();
        write_text(name, &mut bytes);
        format!("{}:{value}", String::from_utf8(bytes).unwrap_or_default())
    };
    members.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
