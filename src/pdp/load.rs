//! From a folder to a snapshot, again and again: what did not change is not read again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::engine::bundle::{Document, Options};
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::build::{Built, build};
use crate::store::directory::watch::Watch;
use crate::store::directory::{Directory, Found, Look, Scope, Seen, ToRead, Unreadable};

/// What must hold of a set beyond its being valid: its assertions. The errors among the problems
/// refuse the set.
pub type Verify<'a> = &'a dyn Fn(&Built) -> Vec<Problem>;

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
    let mut loader = Loader::new(folder, options.clone());
    match loader.load(&Scope::Contents, &mut Watch::off(), verify) {
        Ok(Some(built)) => Ok(built),
        // Everything is new to a new loader.
        Ok(None) => Err(Problem::from(Restless).into()),
        Err(NotLoaded::Refused(problems)) => Err(problems),
        Err(NotLoaded::Unreadable(error)) => Err(Problem::from(error).into()),
        Err(NotLoaded::Restless(error)) => Err(Problem::from(error).into()),
    }
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
#[error("the folder keeps changing while it is read")]
pub struct Restless;

impl From<Restless> for Problem {
    fn from(restless: Restless) -> Self {
        Self::error("restless-folder", restless.to_string())
            .help("write a new set beside the old one, and swap a link to it")
    }
}

/// A policy set in a folder, as far as it was read.
#[derive(Debug)]
pub struct Loader {
    directory: Directory,
    options: Options,
    documents: BTreeMap<Arc<str>, Arc<str>>,
    faults: BTreeMap<Arc<str>, Problem>,
    /// Whether what was read is not yet in an answer of [`Loader::load`].
    pending: bool,
    /// Whether only a look at everything can tell what is there.
    unsure: bool,
    /// What is wrong with what was read last.
    refused: Option<Problems>,
}

impl Loader {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(folder: &Path, options: Options) -> Self {
        let directory = Directory::new(folder, &options.limits);
        let (documents, faults) = (BTreeMap::new(), BTreeMap::new());
        Self { directory, options, documents, faults, pending: true, unsure: true, refused: None }
    }

    /// The same folder, of which nothing is known.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self::new(self.directory.root(), self.options.clone())
    }

    /// How many documents there are.
    #[must_use]
    pub fn documents(&self) -> usize {
        self.documents.len() + self.faults.len()
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
        self.pending |= *scope == Scope::Contents;
        self.read(scope, watch)?;
        if !std::mem::take(&mut self.pending) {
            return Ok(None);
        }
        let made = self.make(verify);
        self.refused = made.as_ref().err().cloned();
        made.map(Some).map_err(NotLoaded::Refused)
    }

    /// Compiles and verifies what was read.
    fn make(&self, verify: Verify<'_>) -> Result<Built, Problems> {
        let documents = self.documents.iter();
        let documents: Vec<Document> = documents
            .map(|(name, text)| Document { name: Arc::clone(name), text: Arc::clone(text) })
            .collect();
        let faults: Vec<Problem> = self.faults.values().cloned().collect();
        if let Some(problems) = Problems::refusing(faults) {
            return Err(problems);
        }
        let mut built = build(&documents, &self.options)?;
        built.warnings.extend(verify(&built));
        match Problems::refusing(built.warnings.clone()) {
            Some(problems) => Err(problems),
            None => Ok(built),
        }
    }

    /// Reads what changed, all of one moment.
    fn read(&mut self, scope: &Scope, watch: &mut Watch) -> Result<(), NotLoaded> {
        let mut scope =
            if self.unsure && *scope != Scope::Contents { &Scope::Stamps } else { scope };
        self.unsure = true;
        for _ in 0..TRIES {
            let look = self.directory.look(scope, watch)?;
            let whole = !matches!(scope, Scope::Paths(_));
            let changed = self.take(look, whole)?;
            let told = watch.trouble().is_none();
            let moved = changed.is_none();
            let stays = || watch.is_quiet() && self.directory.is_unchanged(told);
            if !moved && (changed == Some(false) || stays()) {
                self.unsure = false;
                return Ok(());
            }
            drop(watch.take());
            scope = &Scope::Stamps;
        }
        Err(Restless.into())
    }

    /// Takes over what a look found: whether something changed; `None` if that cannot be told.
    fn take(&mut self, look: Look, whole: bool) -> Result<Option<bool>, NotLoaded> {
        let mut changed = false;
        for name in &look.gone {
            changed |= self.documents.remove(name).is_some() | self.faults.remove(name).is_some();
        }
        let found = read_all(&self.directory, &look)?;
        let mut faults: BTreeMap<Arc<str>, Problem> = look.faults.into_iter().collect();
        let mut moved = false;
        for (file, (found, seen)) in look.files.iter().zip(found) {
            let name = &file.name;
            self.directory.remember(name, &seen);
            match found {
                Found::Same => {}
                Found::Text(text) => {
                    self.documents.insert(Arc::clone(name), text);
                    changed = true;
                    self.faults.remove(name);
                }
                Found::Fault(problem) => {
                    changed |= self.documents.remove(name).is_some();
                    faults.insert(Arc::clone(name), problem);
                }
                Found::Moved => moved = true,
            }
        }
        if whole {
            changed |= self.faults != faults;
            self.faults = faults;
        } else {
            for (name, problem) in faults {
                changed |= self.faults.get(&name) != Some(&problem);
                self.faults.insert(name, problem);
            }
        }
        self.pending |= changed;
        Ok((!moved).then_some(changed))
    }
}

/// Reads files, by several threads if there are many.
fn read_all(directory: &Directory, look: &Look) -> Result<Vec<(Found, Seen)>, Unreadable> {
    let read = |file: &ToRead| directory.read(look, file);
    if look.files.len() <= ALONE {
        return look.files.iter().map(read).collect();
    }
    let next = AtomicUsize::new(0);
    let chunks: Vec<&[ToRead]> = look.files.chunks(ALONE).collect();
    let work = || {
        let mut done = Vec::new();
        while let Some((index, chunk)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, chunks.get(at)?)))
        {
            done.push((index, chunk.iter().map(read).collect::<Result<Vec<_>, _>>()));
        }
        done
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
    done.sort_unstable_by_key(|(index, _)| *index);
    let mut all = Vec::with_capacity(look.files.len());
    for (_, chunk) in done {
        all.extend(chunk?);
    }
    Ok(all)
}
