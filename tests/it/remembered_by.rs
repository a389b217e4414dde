//! Every input of a decision that stands in the policy set is part of what remembered policies are
//! found again by.

use std::cell::RefCell;
use std::sync::Arc;

use hashbrown::HashMap;
use keyward::engine::decide::memory::{Findings, Grounds, Held, Memory};
use keyward::engine::decide::remembering;
use keyward::engine::evaluation::{Evaluation, InvalidSwitch};
use keyward::engine::kms::key_state::{KeyOrigin, KeySpec, KeyState, KeyUsage, MultiRegionKeyType};
use keyward::engine::policy::gist::Marks;
use keyward::engine::policy::{Policy, session};
use keyward::engine::snapshot::organization::{Level, Member, Organization};
use keyward::engine::snapshot::{
    Attached, Extras, Identity, Key, PolicySet, Snapshot, Surroundings,
};
use keyward::engine::term::account::AccountId;
use keyward::engine::term::time::Timestamp;
use keyward::wire::proto::request::request;
use serde_json::json;

use crate::doors::noon;
use crate::remembered::{KEY, World, deny, policy, question};

/// Tells on what grounds it was asked, and keeps nothing.
#[derive(Default)]
struct Asked(RefCell<Vec<Held>>);

impl Memory for Asked {
    fn worthwhile(&self) -> u32 {
        0
    }
    fn recall(&self, grounds: &Grounds<'_>) -> Option<Findings> {
        self.0.borrow_mut().push(grounds.hold());
        None
    }
    fn keep(&self, _: &Grounds<'_>, _: Findings) {}
}

/// On what grounds the question is decided by a set.
fn grounds(set: PolicySet) -> Option<Held> {
    let snapshot = Snapshot { policies: Arc::new(set), ..Snapshot::default() };
    let message = question("kms:Decrypt");
    let request = request(&message, noon()).expect("a good request");
    let asked = Asked::default();
    let _ = remembering(&snapshot, &request, &asked);
    asked.0.into_inner().pop()
}

/// What becomes another one.
trait Other {
    fn other(&mut self);
}

/// Lists every field of a structure once: one that is missing does not compile.
macro_rules! inputs {
    ($name:ident of $kind:ident: $($field:ident),+ $(,)?) => {
        fn $name() -> Vec<(&'static str, fn(&mut $kind))> {
            let _ = |whole: $kind| {
                let $kind { $($field: _),+ } = whole;
            };
            vec![$((stringify!($field), |whole| whole.$field.other())),+]
        }
    };
}

inputs! {
    of_key of Key:
    arn, account, policy, state, spec, usage, origin, custom_key_store, aws_managed, multi_region,
    multi_region_type, extras,
}
inputs! { of_extras of Extras: ram_policy, aliases, tags, unused_since }
inputs! {
    of_identity of Identity:
    arn, account, name, unique_id, policies, boundary, tags, service_linked, marks, effort,
}
inputs! { of_organization of Organization: id, management_account, accounts }
inputs! { of_member of Member: path, levels }
inputs! { of_level of Level: service_control_policies, resource_control_policies }
inputs! { of_attached of Attached: id, policy }

fn another() -> Arc<Policy> {
    session("another", &policy(json!([deny()])).to_string()).expect("a policy")
}

macro_rules! others {
    ($($kind:ty: |$value:pat_param| $other:expr;)+) => {
        $(impl Other for $kind {
            fn other(&mut self) {
                let $value = &*self;
                *self = $other;
            }
        })+
    };
}

others! {
    bool: |is| !is;
    u32: |number| number + 1;
    Marks: |_| Self::NONE;
    Arc<str>: |text| format!("{text}-2").into();
    Box<str>: |text| format!("{text}-2").into();
    Option<Box<str>>: |text| text.is_none().then(|| "x".into());
    AccountId: |_| AccountId::parse("444455556666").expect("an account");
    Option<AccountId>: |_| AccountId::parse("111122223333");
    Arc<Policy>: |_| another();
    Option<Arc<Policy>>: |policy| policy.is_none().then(another);
    KeyState: |_| Self::Disabled;
    KeySpec: |_| Self::from_name(Self::NAMES[Self::NAMES.len() - 1]).expect("a spec");
    KeyUsage: |_| Self::from_name(Self::NAMES[Self::NAMES.len() - 1]).expect("a usage");
    KeyOrigin: |_| Self::from_name(Self::NAMES[Self::NAMES.len() - 1]).expect("an origin");
    Option<MultiRegionKeyType>: |_| MultiRegionKeyType::from_name("PRIMARY");
    Vec<Box<str>>: |texts| texts.iter().cloned().chain(["alias/x".into()]).collect();
    Vec<(Box<str>, Box<str>)>: |tags| tags.iter().cloned().chain([("x".into(), "".into())]).collect();
    Option<Box<Extras>>: |extras| extras.is_none().then(|| {
        Box::new(Extras { aliases: vec!["alias/x".into()], ..Extras::default() })
    });
    Box<[(Box<str>, Box<str>)]>: |tags| tags.iter().cloned().chain([("x".into(), "".into())]).collect();
    Option<Timestamp>: |_| Some(noon());
    Arc<[Attached]>: |all| all.iter().cloned().chain([Attached { id: "x".into(), policy: another() }]).collect();
    Option<Arc<[Attached]>>: |all| if all.is_none() { Some([].into()) } else { None };
    Option<Attached>: |attached| attached.is_none().then(|| Attached { id: "x".into(), policy: another() });
    Box<[Level]>: |levels| levels.iter().skip(1).cloned().collect();
    HashMap<AccountId, Member>: |_| Self::new();
}

/// The inputs of which policies know nothing: a name that is told, a number that others give.
const UNASKED: [&str; 4] = ["role.marks", "role.effort", "attached.id", "boundary.id"];

fn key(set: &mut PolicySet, change: fn(&mut Key)) {
    let mut key = Key::clone(set.key(KEY).expect("the key"));
    change(&mut key);
    set.keys.remove(KEY);
    set.keys.insert(Arc::new(key));
}

fn surroundings(set: &mut PolicySet) -> &mut Surroundings {
    Arc::make_mut(&mut set.surroundings)
}

fn role(set: &mut PolicySet) -> &mut Identity {
    surroundings(set).roles.values_mut().next().expect("the role")
}

fn organization(set: &mut PolicySet) -> &mut Organization {
    surroundings(set).organization.as_mut().expect("the organization")
}

fn member(set: &mut PolicySet) -> &mut Member {
    organization(set).accounts.values_mut().next().expect("the account")
}

fn attached(set: &mut PolicySet) -> &mut Attached {
    Arc::make_mut(&mut role(set).policies).first_mut().expect("a policy")
}

fn scp(set: &mut PolicySet) -> &mut Attached {
    let policies = &mut member(set).levels[0].service_control_policies;
    Arc::make_mut(policies.as_mut().expect("a list")).first_mut().expect("a policy")
}

#[test]
fn each_input_of_the_set_counts() {
    let set = PolicySet::clone(&World::new().pdp.snapshot().policies);
    let before = grounds(set.clone()).expect("grounds");
    assert_eq!(grounds(set.clone()).as_ref(), Some(&before));
    let mut checked = 0;
    let mut check = |name: String, change: &dyn Fn(&mut PolicySet)| {
        let mut other = set.clone();
        change(&mut other);
        match grounds(other) {
            Some(after) => assert_eq!(after == before, UNASKED.contains(&&*name), "{name}"),
            // Under its name there is no key then.
            None => assert_eq!(name, "key.arn"),
        }
        checked += 1;
    };
    for (name, change) in of_key() {
        check(format!("key.{name}"), &|set| key(set, change));
    }
    for (name, change) in of_extras() {
        check(format!("key.extras.{name}"), &|set| {
            let mut other = Key::clone(set.key(KEY).expect("the key"));
            change(other.extras.get_or_insert_default());
            set.keys.insert(Arc::new(other));
        });
    }
    for (name, change) in of_identity() {
        check(format!("role.{name}"), &|set| change(role(set)));
    }
    for (name, change) in of_attached() {
        check(format!("attached.{name}"), &|set| change(attached(set)));
        check(format!("boundary.{name}"), &|set| {
            change(role(set).boundary.as_mut().expect("a boundary"));
        });
    }
    for (name, change) in of_organization() {
        check(format!("organization.{name}"), &|set| change(organization(set)));
    }
    check("organization".to_owned(), &|set| surroundings(set).organization = None);
    for (name, change) in of_member() {
        check(format!("member.{name}"), &|set| change(member(set)));
    }
    for (name, change) in of_level() {
        check(format!("level.{name}"), &|set| change(&mut member(set).levels[0]));
    }
    check("scp.policy".to_owned(), &|set| scp(set).policy = another());
    check("endpoint".to_owned(), &|set| {
        surroundings(set).endpoints.insert("vpce-1".into(), another());
    });
    check("no endpoint".to_owned(), &|set| surroundings(set).endpoints.clear());
    for (name, value) in Evaluation::NAMES.iter().flat_map(switched) {
        check(format!("evaluation.{name}={value}"), &|set| {
            set.evaluation.set(name, value).expect("a value");
        });
    }
    assert!(checked > 60, "only {checked} inputs");
}

/// A switch with each of its values but the one that it has.
fn switched(name: &&'static str) -> Vec<(&'static str, &'static str)> {
    let default = Evaluation::default();
    let has = default.values().find(|(other, _)| other == name).expect("a switch").1;
    let refused = Evaluation::default().set(name, "nonsense").expect_err("no such value");
    let InvalidSwitch::Value { expected, .. } = refused else { panic!("{refused}") };
    expected.iter().filter(|value| **value != has).map(|value| (*name, *value)).collect()
}
