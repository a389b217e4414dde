//! From a folder to a snapshot, again and again: what did not change is not read again.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::progress::Progress;
use crate::engine::bundle::{Document, Options};
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::build::{Assembly, Built, Interned, Piece, Recall};
use crate::store::directory::texts::Texts;
use crate::store::directory::watch::Watch;
use crate::store::directory::{Directory, Found, Known, Look, Scope, Unreadable};

/// What must hold of a set beyond its being valid: its assertions. The errors among the problems
/// refuse the set.
pub type Verify<'a> = &'a dyn Fn(&Built, Documents<'_>) -> Vec<Problem>;

/// Has the documents of a set at hand, for whoever wants to look at the texts.
pub type Documents<'d> = &'d dyn Fn() -> Result<Vec<Document>, Problem>;

/// Tries to read a folder while it stays the same.
const TRIES: usize = 5;

/// Files that one thread reads by itself: for fewer, others are not worth waking.
const ALONE: usize = 32;

/// Reads and compiles the policy set in a folder, and verifies it.
///
/// # Errors
///
/// Everything that is wrong with it: what cannot be read, what cannot be used, and what does not
/// hold.
pub fn load(folder: &Path, options: &Options, verify: Verify<'_>) -> Result<Built, Problems> {
    Loader::new(folder, options.clone()).once(verify)
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum NotLoaded {
    /// The set cannot be used.
    #[error(transparent)]
    Refused(Problems),
    /// The folder cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The folder did not stay the same while it was read.
    #[error(transparent)]
    Restless(#[from] Restless),
}

/// The folder did not stay the same while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the folder of the policies changes faster than it can be read")]
pub struct Restless;

/// Whether changes that are found are taken over, or must settle first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// They are taken over; what changes meanwhile is read at once.
    AtOnce,
    /// They have settled: they are taken over, unless more is told meanwhile.
    Settled,
    /// They are news: they are taken over when the next look finds no more of them.
    Unsettled,
}

impl From<Restless> for Problem {
    fn from(restless: Restless) -> Self {
        Self::error("restless-folder", restless.to_string()).help(
            "keep files that are always being written elsewhere; write a new set beside the old \
             one, and swap a link to it",
        )
    }
}

/// A policy set in a folder, as far as it was read.
#[derive(Debug)]
pub struct Loader {
    directory: Directory,
    options: Options,
    /// Compiled policies, each once, now and later.
    interned: Interned,
    /// What the documents say.
    assembly: Assembly,
    /// Documents that cannot be read, and why.
    faults: BTreeMap<Arc<str>, Problem>,
    /// Whether what was read is not yet in an answer of [`Loader::load`].
    pending: bool,
    /// Whether only a look at everything can tell what is there.
    unsure: bool,
    /// What is wrong with what was read last.
    refused: Option<Problems>,
    progress: Progress,
}

impl Loader {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(folder: &Path, options: Options) -> Self {
        let directory = Directory::new(folder, &options.limits);
        Self {
            directory,
            options,
            interned: Interned::default(),
            assembly: Assembly::default(),
            faults: BTreeMap::new(),
            pending: true,
            unsure: true,
            refused: None,
            progress: Progress::default(),
        }
    }

    /// Tells how far it is.
    #[must_use]
    pub fn telling(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Reads, compiles and verifies the set once.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn once(mut self, verify: Verify<'_>) -> Result<Built, Problems> {
        match self.load(&Scope::Contents, &mut Watch::off(), verify) {
            Ok(Some(built)) => Ok(built),
            // Everything is new to a new loader.
            Ok(None) => Err(Problem::from(Restless).into()),
            Err(NotLoaded::Refused(problems)) => Err(problems),
            Err(NotLoaded::Unreadable(error)) => Err(Problem::from(error).into()),
            Err(NotLoaded::Restless(error)) => Err(Problem::from(error).into()),
        }
    }

    /// The same folder, of which nothing is known.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self::new(self.directory.root(), self.options.clone())
    }

    /// How many documents there are.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.assembly.len()
    }

    /// Whether what it knows is what it gave last: a good set, and nothing was read since.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.pending && !self.unsure && self.refused.is_none()
    }

    /// What is wrong with what was read last, if it was refused.
    #[must_use]
    pub fn refused(&self) -> Option<&Problems> {
        self.refused.as_ref()
    }

    /// Reads what changed, and compiles and verifies the set; `None` if nothing changed.
    ///
    /// # Errors
    ///
    /// There is no new snapshot. After a refused set, nothing is answered until something changes.
    pub fn load(
        &mut self,
        scope: &Scope,
        watch: &mut Watch,
        verify: Verify<'_>,
    ) -> Result<Option<Built>, NotLoaded> {
        self.load_in(Haste::AtOnce, scope, watch, verify)
    }

    /// Like [`Loader::load`], where changes may have to settle first.
    ///
    /// # Errors
    ///
    /// There is no new snapshot, or not yet.
    pub fn load_in(
        &mut self,
        haste: Haste,
        scope: &Scope,
        watch: &mut Watch,
        verify: Verify<'_>,
    ) -> Result<Option<Built>, NotLoaded> {
        self.pending |= *scope == Scope::Contents;
        self.read(scope, haste, watch)?;
        if !self.pending {
            return Ok(None);
        }
        let made = self.make(verify).inspect_err(|_| self.unsure = true)?;
        self.pending = false;
        self.refused = made.as_ref().err().cloned();
        made.map(Some).map_err(NotLoaded::Refused)
    }

    /// Compiles and verifies what was read. Where a text that is wanted once more is another by
    /// then, nothing is said of the set.
    fn make(&mut self, verify: Verify<'_>) -> Result<Result<Built, Problems>, Restless> {
        let directory = &self.directory;
        let made = self.assembly.assemble(&self.options, &|name| directory.text(name));
        let mut built = match made {
            Ok(built) => built,
            Err(problems) => return Ok(Err(problems)),
        };
        let restless = Cell::new(false);
        let verified = verify(&built, &|| {
            let documents = self.texts().into_documents().map(|document| {
                restless.set(restless.get() || document.is_none());
                document.ok_or(Restless.into())
            });
            documents.collect()
        });
        if restless.get() {
            return Err(Restless);
        }
        built.warnings.extend(verified);
        Ok(match Problems::refusing(built.warnings.clone()) {
            Some(problems) => Err(problems),
            None => Ok(built),
        })
    }

    /// The documents as text once more.
    #[must_use]
    pub fn texts(&self) -> Texts {
        self.directory.texts()
    }

    /// Reads what changed, all of one moment.
    fn read(&mut self, scope: &Scope, haste: Haste, watch: &mut Watch) -> Result<(), NotLoaded> {
        let mut scope =
            if self.unsure && *scope != Scope::Contents { &Scope::Stamps } else { scope };
        self.unsure = true;
        for _ in 0..TRIES {
            let look = self.directory.look(scope, watch)?;
            let changed = self.take(look)?;
            let told = watch.trouble().is_none();
            let moved = changed.is_none();
            // Without news, only another look tells whether there is more to come.
            let settles = match haste {
                Haste::AtOnce => false,
                Haste::Settled => !told || watch.is_loose(),
                Haste::Unsettled => true,
            };
            if changed != Some(false) && settles {
                return Err(Restless.into());
            }
            let stays = || watch.is_quiet() && self.directory.is_unchanged(told);
            if !moved && (changed == Some(false) || stays()) {
                self.unsure = false;
                return Ok(());
            }
            if watch.take().loose && haste == Haste::Settled {
                return Err(Restless.into());
            }
            scope = &Scope::Stamps;
        }
        Err(Restless.into())
    }

    /// Takes over what a look found: whether something changed; `None` if that cannot be told.
    fn take(&mut self, look: Look) -> Result<Option<bool>, NotLoaded> {
        let mut changed = false;
        for name in &look.gone {
            changed |= self.assembly.remove(name);
            self.faults.remove(name);
        }
        // The folder was told that these are gone, and does not say so twice: whatever comes of
        // the rest, the next answer is without them.
        self.pending |= changed;
        let read = self.read_all(&look)?;
        let mut faults: BTreeMap<Arc<str>, Problem> = look.faults.into_iter().collect();
        let mut moved = false;
        for chunk in read {
            moved |= chunk.moved;
            changed |= !chunk.pieces.is_empty();
            faults.extend(chunk.faults);
            self.directory.remember(chunk.seen, chunk.lost);
            for (name, _) in &chunk.pieces {
                self.faults.remove(name);
            }
            self.assembly.extend(chunk.pieces);
        }
        if look.whole {
            let mended = |name: &&Arc<str>| !faults.contains_key(*name);
            for name in self.faults.keys().filter(mended) {
                changed |= self.assembly.remove(name);
            }
            self.faults.retain(|name, _| faults.contains_key(name));
        }
        for (name, problem) in faults {
            if self.faults.get(&name) != Some(&problem) {
                self.assembly.set(Arc::clone(&name), Piece::unreadable(problem.clone()));
                self.faults.insert(name, problem);
                changed = true;
            }
        }
        self.pending |= changed;
        Ok((!moved).then_some(changed))
    }

    /// Reads and compiles files, one after the other.
    fn read_some(
        &self,
        look: &Look,
        names: &[Arc<str>],
        recall: &mut Recall,
    ) -> Result<Chunk, Unreadable> {
        let seen = Vec::with_capacity(names.len());
        let mut chunk = Chunk { seen, ..Chunk::default() };
        for name in names {
            let (found, seen) = self.directory.read(look, name)?;
            match seen {
                Some(seen) => chunk.seen.push((Arc::clone(name), seen)),
                None => chunk.lost.push(Arc::clone(name)),
            }
            let name = Arc::clone(name);
            match found {
                Found::Same => {}
                Found::Fault(problem) => chunk.faults.push((name, problem)),
                Found::Moved => chunk.moved = true,
                Found::Text(text) => {
                    let document = Document { name, text };
                    let piece = Piece::read(&document, &self.options, &self.interned, recall);
                    if chunk.pieces.is_empty() {
                        // Mostly all of them say something, or nearly none.
                        chunk.pieces.reserve_exact(names.len());
                    }
                    chunk.pieces.push((document.name, piece));
                }
            }
        }
        chunk.pieces.shrink_to_fit();
        Ok(chunk)
    }

    /// Reads and compiles files, by several threads if there are many: [`ALONE`] of them at a time.
    fn read_all(&self, look: &Look) -> Result<Vec<Chunk>, Unreadable> {
        if look.files.len() <= ALONE {
            return Ok(vec![self.read_some(look, &look.files, &mut Recall::default())?]);
        }
        let count = self.progress.count(look.files.len());
        let next = AtomicUsize::new(0);
        let chunks: Vec<&[Arc<str>]> = look.files.chunks(ALONE).collect();
        let work = || {
            let (mut done, mut recall) = (Vec::new(), Recall::default());
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(chunk) = chunks.get(at) else { return done };
                done.push((at, self.read_some(look, chunk, &mut recall)));
                count(chunk.len());
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(chunks.len());
        let mut done = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            for other in others {
                done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            done
        });
        done.sort_unstable_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, chunk)| chunk).collect()
    }
}

/// What files have become that were read one after the other.
#[derive(Debug, Default)]
struct Chunk {
    /// What is to be remembered of each.
    seen: Vec<(Arc<str>, Known)>,
    /// Those of which nothing is to be remembered.
    lost: Vec<Arc<str>>,
    /// What those say that say something else.
    pieces: Vec<(Arc<str>, Piece)>,
    /// Those that cannot be documents.
    faults: Vec<(Arc<str>, Problem)>,
    /// Whether one of them is gone, or changes just now.
    moved: bool,
}
