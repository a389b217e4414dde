//! Where something is wrong between documents: found out when it has to be told.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;

use super::entities::Mark;
use super::link::Unplaced;
use super::piece::Piece;
use crate::engine::json::{Source, Span};
use crate::engine::problem::{Place, Problem};

/// The problems with their places.
pub(super) fn place(
    unplaced: Vec<Unplaced>,
    pieces: &[(&Arc<str>, &Piece)],
    texts: &dyn Fn(usize) -> Option<Arc<str>>,
) -> Vec<Problem> {
    // By document, so that each is looked into once.
    let key = |mark: Mark| (mark.document, mark.span.start, mark.span.end);
    let all = unplaced.iter().flat_map(|found| [Some(found.at), found.first]).flatten();
    let wanted: BTreeSet<(usize, usize, usize)> = all.map(key).collect();
    let wanted: Vec<(usize, usize, usize)> = wanted.into_iter().collect();
    let mut marks: HashMap<(usize, usize, usize), Place> = HashMap::new();
    for of_one in wanted.chunk_by(|(a, _, _), (b, _, _)| a == b) {
        let Some((document, _, _)) = of_one.first() else { continue };
        let Some((name, _)) = pieces.get(*document) else { continue };
        // A document that can no longer be read is shown without its lines.
        let text = texts(*document).unwrap_or_else(|| Arc::from(""));
        let source = Source::new(Arc::clone(name), &text);
        for (_, start, end) in of_one {
            let place = source.place(Span { start: *start, end: *end });
            marks.insert((*document, *start, *end), place);
        }
    }
    let of = |mark: Mark| marks.get(&key(mark)).cloned();
    let finished = |found: &Unplaced| {
        let mut problem = found.problem.clone();
        problem.place = of(found.at);
        if let Some(first) = found.first.and_then(of) {
            problem.message.push_str(&first.to_string());
        }
        problem
    };
    unplaced.iter().map(finished).collect()
}
