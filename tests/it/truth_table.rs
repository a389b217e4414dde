//! The truth table of `combine`: a golden file to review, and laws that hold in every row of it.
//!
//! After a change that is meant: `KEYWARD_UPDATE_GOLDEN=1 cargo test --test it truth_table`, and
//! read the difference.

use std::fmt::Write as _;
use std::fs;

use keyward::engine::decide::combine::{Allows, Limits, Path, Says, Verdicts, combine};
use keyward::engine::decide::decision::{Decision, Denial, Layer, Matched, Missing};

const GOLDEN: &str = "tests/golden/combine.txt";

const YES_NO: [bool; 2] = [false, true];

/// What a layer that must allow can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says3 {
    Allows,
    NoLimit,
    Silent,
}

const SAYS: [Says3; 3] = [Says3::Allows, Says3::NoLimit, Says3::Silent];

/// The caller's own policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Own {
    identity: Says3,
    boundary: Says3,
    session: Says3,
}

/// A grant: none, one that another account issued, one that the caller's account issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Issued {
    None,
    Elsewhere,
    Here,
}

const ISSUED: [Issued; 3] = [Issued::None, Issued::Elsewhere, Issued::Here];

/// How key policy and grants name the caller: itself, what is behind it, its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    policy: [bool; 3],
    grants: [Issued; 3],
}

/// A row of the table, before Deny and bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Service { policy: bool, grant: bool },
    NoKey(Own),
    Same { named: Named, own: Own, dual: bool },
    Cross { named: Named, own: Own },
    Retire { by_grant: bool, by_policy: bool, own: Own },
}

fn by(layer: Layer, policy_id: &'static str) -> Matched<'static> {
    Matched { layer, policy_id, statement: None }
}

fn says(says: Says3, layer: Layer, id: &'static str) -> Says<'static> {
    match says {
        Says3::Allows => Says::Allows(by(layer, id)),
        Says3::NoLimit => Says::NoLimit,
        Says3::Silent => Says::Silent,
    }
}

impl Own {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for identity in SAYS {
            for boundary in SAYS {
                for session in SAYS {
                    all.push(Self { identity, boundary, session });
                }
            }
        }
        all
    }

    fn limits(self) -> Limits<'static> {
        Limits {
            identity: says(self.identity, Layer::Identity, "I"),
            boundary: says(self.boundary, Layer::Boundary, "B"),
            session: says(self.session, Layer::Session, "S"),
        }
    }

    fn bounds_allow(self) -> bool {
        self.boundary != Says3::Silent && self.session != Says3::Silent
    }

    fn allow(self) -> bool {
        self.identity != Says3::Silent && self.bounds_allow()
    }

    /// Its layers that say nothing.
    fn silent(self) -> Vec<Layer> {
        let layers = [
            (self.identity, Layer::Identity),
            (self.boundary, Layer::Boundary),
            (self.session, Layer::Session),
        ];
        layers
            .into_iter()
            .filter(|(says, _)| *says == Says3::Silent)
            .map(|(_, layer)| layer)
            .collect()
    }
}

impl Named {
    fn all(issued: &[Issued]) -> Vec<Self> {
        let mut all = Vec::new();
        for policy in 0..8_u8 {
            let policy = [policy & 1 != 0, policy & 2 != 0, policy & 4 != 0];
            for direct in issued {
                for behind in issued {
                    for account in issued {
                        all.push(Self { policy, grants: [*direct, *behind, *account] });
                    }
                }
            }
        }
        all
    }

    fn key_policy(self) -> Allows<'static> {
        let one = |there: bool, id| there.then(|| by(Layer::KeyPolicy, id));
        Allows {
            direct: one(self.policy[0], "Kd"),
            behind: one(self.policy[1], "Kb"),
            account: one(self.policy[2], "Ka"),
        }
    }

    fn grants(self) -> Allows<'static> {
        self.granted(|issued| issued != Issued::None, ["Gd", "Gb", "Ga"])
    }

    fn own_grants(self) -> Allows<'static> {
        self.granted(|issued| issued == Issued::Here, ["Hd", "Hb", "Ha"])
    }

    fn granted(self, counts: impl Fn(Issued) -> bool, ids: [&'static str; 3]) -> Allows<'static> {
        let one = |at: usize| counts(self.grants[at]).then(|| by(Layer::Grant, ids[at]));
        Allows { direct: one(0), behind: one(1), account: one(2) }
    }

    fn nothing(self) -> bool {
        self.policy == [false; 3] && self.grants == [Issued::None; 3]
    }

    /// In the words of the table.
    fn shown(self) -> String {
        let policy = ["d", "b", "a"]
            .iter()
            .zip(self.policy)
            .map(|(name, there)| if there { name } else { "." });
        let grants = ["d", "b", "a"].iter().zip(self.grants).map(|(name, issued)| match issued {
            Issued::None => ".".to_owned(),
            Issued::Elsewhere => (*name).to_owned(),
            Issued::Here => name.to_uppercase(),
        });
        format!("{}  {}", policy.collect::<String>(), grants.collect::<String>())
    }
}

impl Row {
    /// Every row.
    fn all() -> Vec<Self> {
        let mut rows = Vec::new();
        for policy in YES_NO {
            rows.extend(YES_NO.map(|grant| Self::Service { policy, grant }));
        }
        for own in Own::all() {
            rows.push(Self::NoKey(own));
            for named in Named::all(&[Issued::None, Issued::Elsewhere]) {
                rows.extend(YES_NO.map(|dual| Self::Same { named, own, dual }));
            }
            rows.extend(Named::all(&ISSUED).into_iter().map(|named| Self::Cross { named, own }));
            for by_grant in YES_NO {
                rows.extend(YES_NO.map(|by_policy| Self::Retire { by_grant, by_policy, own }));
            }
        }
        rows
    }

    /// What is decided when a Deny or a bar stands before it, or neither.
    fn decide_after(
        self,
        denied: Option<Matched<'static>>,
        barred: Option<Missing>,
    ) -> Decision<'static> {
        let decide = |path: Path<'static, '_>| combine(&Verdicts { denied, barred, path });
        let limits = self.own().map(Own::limits);
        let named = self.named().unwrap_or(Named { policy: [false; 3], grants: [Issued::None; 3] });
        let (key_policy, grants) = (&named.key_policy(), &named.grants());
        match (self, &limits) {
            (Self::NoKey(_), Some(limits)) => decide(Path::NoKey(limits)),
            (Self::Same { dual, .. }, Some(limits)) => {
                decide(Path::SameAccount { key_policy, grants, limits, dual_control: dual })
            }
            (Self::Cross { .. }, Some(limits)) => {
                let own_grants = &named.own_grants();
                decide(Path::CrossAccount { key_policy, grants, own_grants, limits })
            }
            (Self::Retire { by_grant, by_policy, .. }, Some(limits)) => {
                let by_grant = by_grant.then(|| by(Layer::Grant, "Gd"));
                decide(Path::Retire { by_grant, by_policy, limits })
            }
            (Self::Service { policy, grant }, _) => decide(Path::Service {
                key_policy: policy.then(|| by(Layer::KeyPolicy, "Kd")),
                grant: grant.then(|| by(Layer::Grant, "Gd")),
            }),
            (_, None) => panic!("every other row has policies of the caller's own"),
        }
    }

    fn decide(self) -> Decision<'static> {
        self.decide_after(None, None)
    }

    fn allowed(self) -> bool {
        matches!(self.decide(), Decision::Allow(_))
    }

    fn own(self) -> Option<Own> {
        match self {
            Self::Service { .. } => None,
            Self::NoKey(own)
            | Self::Same { own, .. }
            | Self::Cross { own, .. }
            | Self::Retire { own, .. } => Some(own),
        }
    }

    fn with_own(self, own: Own) -> Self {
        match self {
            Self::Service { .. } => self,
            Self::NoKey(_) => Self::NoKey(own),
            Self::Same { named, dual, .. } => Self::Same { named, own, dual },
            Self::Cross { named, .. } => Self::Cross { named, own },
            Self::Retire { by_grant, by_policy, .. } => Self::Retire { by_grant, by_policy, own },
        }
    }

    fn named(self) -> Option<Named> {
        match self {
            Self::Same { named, .. } | Self::Cross { named, .. } => Some(named),
            Self::Service { .. } | Self::NoKey(_) | Self::Retire { .. } => None,
        }
    }

    fn with_named(self, named: Named) -> Self {
        match self {
            Self::Same { own, dual, .. } => Self::Same { named, own, dual },
            Self::Cross { own, .. } => Self::Cross { named, own },
            Self::Service { .. } | Self::NoKey(_) | Self::Retire { .. } => self,
        }
    }

    /// The rows in which one grant is missing.
    fn without_a_grant(self) -> Vec<Self> {
        let fewer = |named: Named| {
            (0..3).filter(move |at| named.grants[*at] != Issued::None).map(move |at| {
                let mut fewer = named;
                fewer.grants[at] = Issued::None;
                fewer
            })
        };
        match self {
            Self::Service { policy, grant: true } => vec![Self::Service { policy, grant: false }],
            Self::Retire { by_grant: true, by_policy, own } => {
                vec![Self::Retire { by_grant: false, by_policy, own }]
            }
            _ => self
                .named()
                .into_iter()
                .flat_map(fewer)
                .map(|named| self.with_named(named))
                .collect(),
        }
    }
}

/// The decision as a cell of the table: what an allow rests on, or `-` and the layer that is missing.
fn cell(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Allow(permit) if permit.basis().next().is_none() => "yes".to_owned(),
        Decision::Allow(permit) => permit.basis().map(|by| by.policy_id).collect(),
        Decision::Deny(Denial::Implicit(Missing::Layer(layer))) => match layer {
            Layer::KeyPolicy => "-key".to_owned(),
            Layer::Identity => "-id".to_owned(),
            Layer::Boundary => "-bd".to_owned(),
            Layer::Session => "-ss".to_owned(),
            other => panic!("{other:?} is missing where it has no say"),
        },
        Decision::Deny(Denial::Implicit(Missing::NotRetirable)) => "-ret".to_owned(),
        Decision::Deny(denial) => panic!("{denial:?} without a Deny or a bar"),
    }
}

/// The columns: identity policy, boundary, session policies. `NoLimit` of the two latter is as
/// `Allows`, as a law below says.
fn columns() -> Vec<(String, Own)> {
    let mut columns = Vec::new();
    for (i, identity) in [("I", Says3::Allows), ("n", Says3::NoLimit), ("-", Says3::Silent)] {
        for (b, boundary) in [("B", Says3::Allows), ("-", Says3::Silent)] {
            for (s, session) in [("S", Says3::Allows), ("-", Says3::Silent)] {
                columns.push((format!("{i}{b}{s}"), Own { identity, boundary, session }));
            }
        }
    }
    columns
}

/// A line of the table: its name, and the row that it is with what the caller's own policies say.
type Line = (String, Box<dyn Fn(Own) -> Row>);

fn table(out: &mut String, title: &str, rows: &[Line]) {
    let head = |out: &mut String, text: &str| {
        let width = rows.iter().map(|(name, _)| name.len().max(11)).max().unwrap_or(0);
        write!(out, "{text:width$} |").expect("a text");
    };
    writeln!(out, "\n{title}\n").expect("a text");
    head(out, if rows.len() > 4 { "key  grants" } else { "" });
    for (name, _) in columns() {
        write!(out, " {name:<5}").expect("a text");
    }
    end(out);
    for (name, row) in rows {
        head(out, name);
        for (_, own) in columns() {
            write!(out, " {:<5}", cell(&row(own).decide())).expect("a text");
        }
        end(out);
    }
}

/// Ends a line, without blanks at its end.
fn end(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

fn golden() -> String {
    let mut out = String::from(LEGEND);
    let rows = Row::all().len();
    writeln!(
        out,
        "\nA Deny that applies: explicit deny in all {rows} rows, whatever else is said."
    )
    .expect("a text");
    writeln!(out, "Barred: implicit deny in all {rows} rows without a Deny.").expect("a text");
    writeln!(out, "\nA service that acts as itself\n").expect("a text");
    for policy in YES_NO {
        for grant in YES_NO {
            let decided = cell(&Row::Service { policy, grant }.decide());
            let yes = |there: bool| if there { "yes" } else { "no" };
            writeln!(out, "key policy {:<3}  grant {:<3} | {decided}", yes(policy), yes(grant))
                .expect("a text");
        }
    }
    let one = |name: &str, row: Box<dyn Fn(Own) -> Row>| (name.to_owned(), row);
    table(&mut out, "No key is involved", &[one("", Box::new(Row::NoKey))]);
    for (title, dual) in [
        ("A key of the caller's account", false),
        ("A key of the caller's account, profile dual-control", true),
    ] {
        let rows: Vec<Line> = Named::all(&[Issued::None, Issued::Elsewhere])
            .into_iter()
            .map(|named| one(&named.shown(), Box::new(move |own| Row::Same { named, own, dual })))
            .collect();
        table(&mut out, title, &rows);
    }
    let rows: Vec<Line> = Named::all(&ISSUED)
        .into_iter()
        .map(|named| one(&named.shown(), Box::new(move |own| Row::Cross { named, own })))
        .collect();
    table(&mut out, "A key of another account", &rows);
    let mut rows = Vec::new();
    for (by_grant, grant) in [(true, "the grant lets the caller"), (false, "the grant does not")] {
        for (by_policy, policy) in [(true, "policies count"), (false, "policies do not count")] {
            let row = move |own| Row::Retire { by_grant, by_policy, own };
            rows.push(one(&format!("{grant}, {policy}"), Box::new(row)));
        }
    }
    table(&mut out, "RetireGrant", &rows);
    out
}

const LEGEND: &str = "\
The truth table of src/engine/decide/combine.rs.

Rows: how the key policy and how grants name the caller.
  d  the caller itself, or everyone      b  the role, or the user behind a federated session
  a  the caller's account                .  not at all
  In another account a grant in capitals was issued from the caller's own account.
Columns: what the caller's identity policies, boundary and session policies say.
  I B S  allows      n  no such policy can limit (the root user)      -  says nothing
  A boundary or session policy that is not there is as one that allows.
Cells: what an allow rests on, or `-` and what is missing.
  K key policy, G grant, H grant issued from the caller's own account, each with d, b or a as above;
  I identity policy; yes: on nothing, for the root user
  -key key policy or grant   -id identity policy   -bd boundary   -ss session policies   -ret RetireGrant
";

#[test]
fn the_golden_file_is_what_combine_decides() {
    let found = golden();
    if std::env::var_os("KEYWARD_UPDATE_GOLDEN").is_some() {
        fs::write(GOLDEN, &found).expect("the golden file");
    }
    let kept = fs::read_to_string(GOLDEN).expect("the golden file");
    for (number, (kept, found)) in kept.lines().zip(found.lines()).enumerate() {
        assert_eq!(kept, found, "{GOLDEN} line {}", number + 1);
    }
    assert_eq!(kept, found, "{GOLDEN} has more or fewer lines");
}

#[test]
fn a_deny_anywhere_is_a_deny_and_a_barred_request_is_never_allowed() {
    let missing = [
        Missing::CrossAccount,
        Missing::UnknownKey,
        Missing::UnknownForeignKey,
        Missing::UnknownPrincipal,
        Missing::UnknownEndpoint,
        Missing::ReservedAlias,
        Missing::AwsManaged,
        Missing::UnknownGrant,
        Missing::NotRetirable,
        Missing::SourceArnDiffers,
        Missing::Layer(Layer::Scp),
        Missing::Layer(Layer::Rcp),
        Missing::Layer(Layer::Endpoint),
    ];
    let layers = [
        Layer::KeyPolicy,
        Layer::Identity,
        Layer::Boundary,
        Layer::Session,
        Layer::Scp,
        Layer::Rcp,
        Layer::Endpoint,
    ];
    for (index, row) in Row::all().into_iter().enumerate() {
        let (barred, layer) = (missing[index % missing.len()], layers[index % layers.len()]);
        for bar in [None, Some(barred)] {
            let denied = Some(by(layer, "deny"));
            let Decision::Deny(Denial::Explicit(by)) = row.decide_after(denied, bar) else {
                panic!("{row:?} is not denied")
            };
            assert_eq!((by.layer, by.policy_id), (layer, "deny"));
        }
        let Decision::Deny(Denial::Implicit(said)) = row.decide_after(None, Some(barred)) else {
            panic!("{row:?} is not barred")
        };
        assert_eq!(said, barred);
    }
}

#[test]
fn an_identity_policy_alone_opens_no_key() {
    for row in Row::all() {
        if row.named().is_some_and(Named::nothing) {
            assert!(!row.allowed(), "{row:?}");
        }
    }
}

#[test]
fn removing_a_grant_never_allows() {
    for row in Row::all() {
        for fewer in row.without_a_grant() {
            assert!(row.allowed() || !fewer.allowed(), "{row:?}");
        }
    }
}

#[test]
fn removing_an_allow_never_allows() {
    for row in Row::all() {
        if let Some(named) = row.named() {
            for at in (0..3).filter(|at| named.policy[*at]) {
                let mut fewer = named;
                fewer.policy[at] = false;
                assert!(row.allowed() || !row.with_named(fewer).allowed(), "{row:?}");
            }
        }
        if let Some(own) = row.own() {
            for fewer in [
                Own { identity: Says3::Silent, ..own },
                Own { boundary: Says3::Silent, ..own },
                Own { session: Says3::Silent, ..own },
            ] {
                assert!(row.allowed() || !row.with_own(fewer).allowed(), "{row:?}");
            }
        }
    }
}

#[test]
fn what_is_not_there_limits_as_little_as_what_allows() {
    for row in Row::all() {
        let Some(own) = row.own() else { continue };
        for other in
            [Own { boundary: Says3::NoLimit, ..own }, Own { session: Says3::NoLimit, ..own }]
        {
            let limits = (own.boundary, own.session);
            if limits.0 == Says3::Silent && other.boundary != Says3::Silent
                || limits.1 == Says3::Silent && other.session != Says3::Silent
            {
                continue;
            }
            assert_eq!(cell(&row.decide()), cell(&row.with_own(other).decide()), "{row:?}");
        }
        // The root user needs no identity policy: it is never worse off for it.
        if own.identity == Says3::Allows {
            let root = row.with_own(Own { identity: Says3::NoLimit, ..own });
            assert_eq!(row.allowed(), root.allowed(), "{row:?}");
        }
    }
}

#[test]
fn services_need_no_policy_of_their_own() {
    for policy in YES_NO {
        for grant in YES_NO {
            let row = Row::Service { policy, grant };
            assert_eq!(row.allowed(), policy || grant, "{row:?}");
        }
    }
}

/// Source: IAM User Guide, "Policy evaluation logic" (resource-based policies and implicit denies in
/// other policy types), "Permissions boundaries for IAM entities".
#[test]
fn implicit_denies_count_by_how_the_key_policy_names_the_caller() {
    let quiet = |layer: Layer| {
        let allows =
            Own { identity: Says3::Allows, boundary: Says3::Allows, session: Says3::Allows };
        match layer {
            Layer::Identity => Own { identity: Says3::Silent, ..allows },
            Layer::Boundary => Own { boundary: Says3::Silent, ..allows },
            _ => Own { session: Says3::Silent, ..allows },
        }
    };
    // Named: identity policy silent, boundary silent, session policies silent.
    for (policy, allowed) in [
        ([true, false, false], [true, true, true]),
        ([false, true, false], [true, false, false]),
        ([false, false, true], [false, false, false]),
    ] {
        let layers = [Layer::Identity, Layer::Boundary, Layer::Session];
        for (layer, allowed) in layers.into_iter().zip(allowed) {
            let named = Named { policy, grants: [Issued::None; 3] };
            let row = Row::Same { named, own: quiet(layer), dual: false };
            assert_eq!(row.allowed(), allowed, "{row:?}");
            let decided = row.decide();
            if let Decision::Deny(Denial::Implicit(missing)) = decided {
                assert_eq!(missing, Missing::Layer(layer));
            }
            let foreign = Row::Cross { named, own: quiet(layer) };
            assert!(!foreign.allowed(), "{foreign:?}");
        }
    }
}

#[test]
fn a_foreign_key_needs_both_accounts() {
    for row in Row::all() {
        let Row::Cross { named, own } = row else { continue };
        let here = |at: usize| named.grants[at] == Issued::Here;
        let by_own_grant = here(0) || (here(1) && own.bounds_allow());
        assert_eq!(row.allowed(), !named.nothing() && (own.allow() || by_own_grant), "{row:?}");
    }
}

#[test]
fn a_key_of_the_account_is_opened_in_four_ways() {
    for row in Row::all() {
        let Row::Same { named, own, dual } = row else { continue };
        let has = |at: usize| named.policy[at] || named.grants[at] != Issued::None;
        let near = has(0) || (has(1) && own.bounds_allow());
        let expected = if dual && !named.policy[2] {
            // A grant, also one to the account, counts for the key policy.
            let granted = named.grants[2] != Issued::None && own.bounds_allow();
            (near || granted) && own.identity != Says3::Silent
        } else {
            near || (has(2) && own.allow())
        };
        assert_eq!(row.allowed(), expected, "{row:?}");
    }
}

#[test]
fn dual_control_allows_nothing_that_aws_does_not() {
    for row in Row::all() {
        let Row::Same { named, own, dual: true } = row else { continue };
        let aws = Row::Same { named, own, dual: false };
        assert!(aws.allowed() || !row.allowed(), "{row:?}");
    }
}

#[test]
fn what_is_on_no_key_and_what_retires_a_grant_asks_whom_it_must() {
    for row in Row::all() {
        match row {
            Row::NoKey(own) => assert_eq!(row.allowed(), own.allow(), "{row:?}"),
            Row::Retire { by_grant, by_policy, own } => {
                assert_eq!(row.allowed(), by_grant || (by_policy && own.allow()), "{row:?}");
            }
            Row::Service { .. } | Row::Same { .. } | Row::Cross { .. } => {}
        }
    }
}

#[test]
fn an_allow_rests_on_something_and_a_denial_names_what_is_silent() {
    for row in Row::all() {
        match row.decide() {
            Decision::Allow(permit) => {
                let root = row.own().is_some_and(|own| own.identity == Says3::NoLimit);
                let keyless = matches!(row, Row::NoKey(_) | Row::Retire { .. });
                assert!(permit.basis().next().is_some() || (root && keyless), "{row:?}");
            }
            Decision::Deny(Denial::Implicit(Missing::Layer(Layer::KeyPolicy))) => {}
            Decision::Deny(Denial::Implicit(Missing::Layer(layer))) => {
                let silent = row.own().map(Own::silent).unwrap_or_default();
                assert!(silent.contains(&layer), "{row:?} lacks {layer:?}");
            }
            Decision::Deny(Denial::Implicit(Missing::NotRetirable)) => {
                assert!(matches!(row, Row::Retire { by_grant: false, by_policy: false, .. }));
            }
            Decision::Deny(denial) => panic!("{row:?}: {denial:?}"),
        }
    }
}
