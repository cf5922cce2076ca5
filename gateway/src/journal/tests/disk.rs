//! A disk that fails when told to: a layer between SQLite and the system's files.
//!
//! SQLite's own unix layer does the work; this one counts what changes a file (write, sync, truncate, delete, the making
//! of a file, growth of the shared index) and can fail the k-th, or end the process there. Beside the real files it keeps
//! what would be left after a power cut: for each file the bytes as of its last sync, and what was done since, of which
//! any part may or may not have reached the disk.

mod vfs;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rng::Rng;

/// What a sector's write does not tear.
const SECTOR: usize = 512;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing: to count.
    None,
    /// Operations `at..until` fail.
    Fail {
        at: u64,
        until: u64,
        /// No room (ENOSPC) in place of EIO.
        full: bool,
        /// A failed sync loses what it should have written, and the next one succeeds, as on Linux.
        lose: bool,
    },
    /// The power goes at operation `at`: it may still reach the disk, in part; nothing after it does.
    Cut { at: u64 },
}

#[derive(Debug, Clone)]
enum Pending {
    Write(usize, Vec<u8>),
    Truncate(usize),
    Delete,
}

/// One file as the disk has it.
#[derive(Debug, Clone, Default)]
struct Durable {
    /// `None`: it does not exist.
    bytes: Option<Vec<u8>>,
    pending: Vec<Pending>,
    /// Its first sync is one of the folder too: the unix layer does so for the journals that it makes.
    syncs_folder: bool,
}

impl Durable {
    fn apply(bytes: &mut Option<Vec<u8>>, op: &Pending, sector: &mut impl FnMut() -> bool) {
        match op {
            Pending::Delete => *bytes = None,
            Pending::Truncate(len) => bytes.get_or_insert_default().truncate(*len),
            Pending::Write(at, data) => {
                let bytes = bytes.get_or_insert_default();
                let mut from = 0;
                while from < data.len() {
                    // Up to the next border between sectors.
                    let to = data.len().min(from + SECTOR - (at + from) % SECTOR);
                    if sector() {
                        if bytes.len() < at + to {
                            bytes.resize(at + to, 0);
                        }
                        bytes[at + from..at + to].copy_from_slice(&data[from..to]);
                    }
                    from = to;
                }
            }
        }
    }

    fn sync(&mut self) {
        self.bytes.get_or_insert_default();
        for op in std::mem::take(&mut self.pending) {
            Self::apply(&mut self.bytes, &op, &mut || true);
        }
    }

    /// The file was deleted, and that lasts from now on.
    fn settle_delete(&mut self) {
        let deleted = self
            .pending
            .iter()
            .rposition(|op| matches!(op, Pending::Delete));
        if let Some(deleted) = deleted {
            self.bytes = None;
            self.pending.drain(..=deleted);
        }
    }

    /// One of the states that the disk may be in if the power goes now.
    fn left(&self, rng: &mut Rng) -> Option<Vec<u8>> {
        let mut bytes = self.bytes.clone();
        let n = self.pending.len() as u64;
        match rng.below(5) {
            0 => {}
            1 => self
                .pending
                .iter()
                .for_each(|op| Self::apply(&mut bytes, op, &mut || true)),
            // In order, up to somewhere in the middle of one.
            2 => {
                let whole = rng.below(n + 1);
                for (i, op) in (0..).zip(&self.pending) {
                    if i < whole {
                        Self::apply(&mut bytes, op, &mut || true);
                    } else if i == whole && matches!(op, Pending::Write(..)) {
                        let mut left = rng.below(9);
                        Self::apply(&mut bytes, op, &mut || {
                            left = left.saturating_sub(1);
                            left > 0
                        });
                    }
                }
            }
            // Any sectors, in any order; in the second form the file has grown all the same (zeros).
            grown => {
                for op in &self.pending {
                    if let (Pending::Write(at, data), 4) = (op, grown) {
                        let bytes = bytes.get_or_insert_default();
                        bytes.resize(bytes.len().max(at + data.len()), 0);
                    }
                    if matches!(op, Pending::Write(..)) || rng.one_in(2) {
                        Self::apply(&mut bytes, op, &mut || !rng.one_in(2));
                    }
                }
            }
        }
        bytes
    }
}

#[derive(Debug)]
struct State {
    fault: Fault,
    ops: u64,
    /// Operations that were made to fail.
    failed: u64,
    cut: bool,
    rng: Rng,
    files: HashMap<PathBuf, Durable>,
}

/// What to do with an operation.
enum Verdict {
    Go,
    Fail { full: bool, lose: bool },
    Cut,
}

impl State {
    fn verdict(&mut self) -> Verdict {
        if self.cut {
            return Verdict::Fail {
                full: false,
                lose: false,
            };
        }
        let op = self.ops;
        self.ops += 1;
        match self.fault {
            Fault::Fail {
                at,
                until,
                full,
                lose,
            } if (at..until).contains(&op) => {
                self.failed += 1;
                Verdict::Fail { full, lose }
            }
            Fault::Cut { at } if at == op => {
                self.failed += 1;
                self.cut = true;
                Verdict::Cut
            }
            _ => Verdict::Go,
        }
    }

    fn file(&mut self, path: &Path) -> &mut Durable {
        self.files
            .entry(path.to_path_buf())
            .or_insert_with(|| Durable {
                // Whatever is there before the first look is on the disk.
                bytes: std::fs::read(path).ok(),
                pending: Vec::new(),
                syncs_folder: false,
            })
    }

    fn sync(&mut self, path: &Path) {
        let file = self.file(path);
        file.sync();
        if std::mem::take(&mut file.syncs_folder) {
            for file in self.files.values_mut() {
                file.settle_delete();
            }
        }
    }
}

/// The disk of one run.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    state: Arc<Mutex<State>>,
    /// Name under which SQLite knows it.
    pub(super) vfs: &'static str,
}

impl Disk {
    /// Registers a file layer of its own.
    pub(super) fn new(fault: Fault, seed: u64) -> Self {
        let state = Arc::new(Mutex::new(State {
            fault,
            ops: 0,
            failed: 0,
            cut: false,
            rng: Rng::new(seed),
            files: HashMap::new(),
        }));
        Self {
            vfs: vfs::register(state.clone()),
            state,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Operations seen so far.
    pub(super) fn ops(&self) -> u64 {
        self.lock().ops
    }

    /// Operations that failed so far.
    pub(super) fn failed(&self) -> u64 {
        self.lock().failed
    }

    /// Whether the power is gone.
    pub(super) fn is_cut(&self) -> bool {
        self.lock().cut
    }

    /// The power goes now, whatever the fault was.
    pub(super) fn cut(&self) {
        self.lock().cut = true;
    }

    /// Nothing fails any more.
    pub(super) fn heal(&self) {
        self.lock().fault = Fault::None;
    }

    /// Writes to `dir` what is left of the files after the power went.
    pub(super) fn remains(&self, dir: &Path) {
        let mut state = self.lock();
        assert!(state.cut);
        let files = state.files.clone();
        let mut paths: Vec<_> = files.keys().collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().expect("files have names");
            if let Some(bytes) = files[path].left(&mut state.rng) {
                std::fs::write(dir.join(name), bytes).unwrap();
            }
            // The shared index is a plain file: after a power cut it holds anything, such as its last state.
            let shm = path.with_extension("db-shm");
            if shm.exists() && state.rng.one_in(2) {
                let _ = std::fs::copy(&shm, dir.join(shm.file_name().expect("files have names")));
            }
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
