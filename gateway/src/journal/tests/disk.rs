//! A disk that fails when told to: a layer between SQLite and the system's files.
//!
//! SQLite's own unix layer does the work; this one counts what changes a file (write, sync, truncate, delete, the making
//! of a file, growth of the shared index) and can fail the k-th, or end the process there. Beside the real files it keeps
//! what would be left after a power cut: for each file the bytes as of its last sync, and what was done since, of which
//! any part may or may not have reached the disk.
#![expect(
    unsafe_code,
    reason = "SQLite takes a file layer as a table of C functions; each obligation is stated where it is met"
)]

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

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
            vfs: register(state.clone()),
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

/// Behind `pAppData` of a registered layer.
struct Layer {
    state: Arc<Mutex<State>>,
    below: *mut ffi::sqlite3_vfs,
}

/// An open file: SQLite gives `szOsFile` bytes, this at their start and the lower layer's own file at [`BELOW`].
#[repr(C)]
struct Open {
    base: ffi::sqlite3_file,
    /// Null for temporary files, which have no name and leave nothing behind.
    watched: *mut Watched,
}

struct Watched {
    state: Arc<Mutex<State>>,
    path: PathBuf,
}

/// Where the lower layer's file begins: a multiple of 16, so that it is aligned for anything.
const BELOW: usize = size_of::<Open>().next_multiple_of(16);

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // 2: shared memory, no mapped reads.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock_file),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

fn register(state: Arc<Mutex<State>>) -> &'static str {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = CString::new(format!("faulty-{n}")).expect("no zero inside");
    // Never taken back: a reader's connection may close after the test has gone on, and a test makes few of them.
    let name: &'static CStr = Box::leak(name.into_boxed_c_str());
    // SAFETY: a null name asks for the default layer; it lives as long as the process.
    let below = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
    let layer = Box::into_raw(Box::new(Layer { state, below }));
    // SAFETY: `below` is a registered layer, so it points to a whole sqlite3_vfs that nobody changes.
    let mut vfs = unsafe { *below };
    vfs.szOsFile += BELOW as c_int;
    vfs.pNext = std::ptr::null_mut();
    vfs.zName = name.as_ptr();
    vfs.pAppData = layer.cast();
    vfs.xOpen = Some(open);
    vfs.xDelete = Some(delete);
    // SAFETY: the struct is leaked, so it lives as long as SQLite knows of it; its functions are those of this file and
    // those of the unix layer that look at nothing of it but `mxPathname`, which is the unix layer's own.
    let rc = unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(vfs)), 0) };
    assert_eq!(rc, ffi::SQLITE_OK);
    name.to_str().expect("ascii")
}

/// The lower layer's file inside `file`.
///
/// # Safety
/// `file` was given to [`open`] of this layer.
unsafe fn below(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: `szOsFile` was made larger by BELOW, so this stays inside SQLite's allocation.
    unsafe { file.byte_add(BELOW) }
}

/// Calls a method of the lower layer's file. Only inside functions that SQLite calls with an open file of this layer:
/// then the file below is open too, and the unix layer has every method of version 2.
macro_rules! below {
    ($file:expr, $method:ident $(, $arg:expr)*) => {
        // SAFETY: see above; the arguments are SQLite's own.
        unsafe {
            let file = below($file);
            ((*(*file).pMethods).$method.expect("the unix layer has it"))(file $(, $arg)*)
        }
    };
}

/// What is watched about an open file.
///
/// # Safety
/// `file` was opened by [`open`] and is not closed.
unsafe fn watched<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a Watched> {
    // SAFETY: `open` has put an `Open` there, and `close` is the last to be called.
    unsafe { (*file.cast::<Open>()).watched.as_ref() }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: `vfs` is the one of `register`, whose pAppData is a leaked Layer.
    let layer = unsafe { &*(*vfs).pAppData.cast::<Layer>() };
    // SAFETY: SQLite gives szOsFile bytes; a null pMethods says that there is nothing to close.
    unsafe { (*file).pMethods = std::ptr::null() };
    let mut watch = std::ptr::null_mut();
    if !name.is_null() {
        // SAFETY: not null, so it is a name that ends in a zero.
        let path = PathBuf::from(unsafe { text(name) });
        let mut state = lock(&layer.state);
        if !path.exists() {
            if flags & ffi::SQLITE_OPEN_CREATE != 0 && !matches!(state.verdict(), Verdict::Go) {
                return ffi::SQLITE_CANTOPEN;
            }
            let journals = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
            // Gone, or never there; a file of that name may still come back at a power cut.
            state.file(&path).syncs_folder = flags & journals != 0;
        } else {
            state.file(&path);
        }
        drop(state);
        watch = Box::into_raw(Box::new(Watched {
            state: layer.state.clone(),
            path,
        }));
    }
    // SAFETY: the lower layer gets the part of the allocation that is its own, and its own vfs.
    let rc = unsafe {
        let below_file = below(file);
        (*below_file).pMethods = std::ptr::null();
        let open = (*layer.below).xOpen.expect("every layer opens");
        open(layer.below, name, below_file, flags, out)
    };
    if rc != ffi::SQLITE_OK {
        if !watch.is_null() {
            // SAFETY: made above, and given to nobody.
            drop(unsafe { Box::from_raw(watch) });
        }
        return rc;
    }
    // SAFETY: SQLite's allocation has room for an Open before the lower layer's file.
    unsafe {
        file.cast::<Open>().write(Open {
            base: ffi::sqlite3_file {
                pMethods: &raw const METHODS,
            },
            watched: watch,
        });
    }
    rc
}

/// # Safety
/// `name` points to a text that ends in a zero.
unsafe fn text(name: *const c_char) -> String {
    // SAFETY: the caller's.
    unsafe { CStr::from_ptr(name) }
        .to_str()
        .expect("tests use plain paths")
        .to_owned()
}

unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_dir: c_int,
) -> c_int {
    // SAFETY: as in `open`.
    let (layer, path) = unsafe { (&*(*vfs).pAppData.cast::<Layer>(), PathBuf::from(text(name))) };
    let mut state = lock(&layer.state);
    match state.verdict() {
        Verdict::Go => {}
        Verdict::Cut => {
            state.file(&path).pending.push(Pending::Delete);
            return ffi::SQLITE_IOERR_DELETE;
        }
        Verdict::Fail { .. } => return ffi::SQLITE_IOERR_DELETE,
    }
    let file = state.file(&path);
    file.pending.push(Pending::Delete);
    if sync_dir != 0 {
        file.settle_delete();
    }
    drop(state);
    // SAFETY: the lower layer's own function, its own vfs, SQLite's arguments.
    unsafe { (*layer.below).xDelete.expect("every layer deletes")(layer.below, name, sync_dir) }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let rc = below!(file, xClose);
    // SAFETY: `open` made it, and SQLite closes a file once.
    unsafe {
        let watched = (*file.cast::<Open>()).watched;
        if !watched.is_null() {
            drop(Box::from_raw(watched));
        }
    }
    rc
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite writes to a file that is open.
    if let Some(w) = unsafe { watched(file) } {
        // SAFETY: SQLite gives `len` bytes at `data`.
        let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len as usize) };
        let mut state = lock(&w.state);
        let verdict = state.verdict();
        if let Verdict::Fail { full, .. } = verdict {
            // A short write first, as a disk does that is just full.
            let short = if state.cut { 0 } else { len / 2 };
            if short > 0 {
                let half = bytes[..short as usize].to_vec();
                state
                    .file(&w.path)
                    .pending
                    .push(Pending::Write(at as usize, half));
                below!(file, xWrite, data, short, at);
            }
            return if full {
                ffi::SQLITE_FULL
            } else {
                ffi::SQLITE_IOERR_WRITE
            };
        }
        state
            .file(&w.path)
            .pending
            .push(Pending::Write(at as usize, bytes.to_vec()));
        if matches!(verdict, Verdict::Cut) {
            return ffi::SQLITE_IOERR_WRITE;
        }
    }
    below!(file, xWrite, data, len, at)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: ffi::sqlite3_int64) -> c_int {
    // SAFETY: SQLite truncates a file that is open.
    if let Some(w) = unsafe { watched(file) } {
        let mut state = lock(&w.state);
        let verdict = state.verdict();
        if !matches!(verdict, Verdict::Fail { .. }) {
            state
                .file(&w.path)
                .pending
                .push(Pending::Truncate(len as usize));
        }
        if !matches!(verdict, Verdict::Go) {
            return ffi::SQLITE_IOERR_TRUNCATE;
        }
    }
    below!(file, xTruncate, len)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: SQLite syncs a file that is open.
    if let Some(w) = unsafe { watched(file) } {
        let mut state = lock(&w.state);
        match state.verdict() {
            // Not passed down: what lasts is what this layer remembers, and real syncs would take minutes.
            Verdict::Go => state.sync(&w.path),
            Verdict::Cut => return ffi::SQLITE_IOERR_FSYNC,
            Verdict::Fail { lose, .. } => {
                if lose && !state.cut {
                    let mut rng = state.rng.clone();
                    let file = state.file(&w.path);
                    file.bytes = file.left(&mut rng);
                    file.pending.clear();
                    state.rng = rng;
                }
                return ffi::SQLITE_IOERR_FSYNC;
            }
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite maps the index of a file that is open.
    if extend != 0
        && let Some(w) = unsafe { watched(file) }
        && !matches!(lock(&w.state).verdict(), Verdict::Go)
    {
        return ffi::SQLITE_IOERR_SHMSIZE;
    }
    below!(file, xShmMap, page, size, extend, out)
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    out: *mut c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    below!(file, xRead, out, len, at)
}
unsafe extern "C" fn size(file: *mut ffi::sqlite3_file, out: *mut ffi::sqlite3_int64) -> c_int {
    below!(file, xFileSize, out)
}
unsafe extern "C" fn lock_file(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    below!(file, xLock, level)
}
unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    below!(file, xUnlock, level)
}
unsafe extern "C" fn reserved(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    below!(file, xCheckReservedLock, out)
}
unsafe extern "C" fn control(file: *mut ffi::sqlite3_file, op: c_int, arg: *mut c_void) -> c_int {
    below!(file, xFileControl, op, arg)
}
unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    below!(file, xSectorSize)
}
unsafe extern "C" fn characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    below!(file, xDeviceCharacteristics)
}
unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    offset: c_int,
    n: c_int,
    flags: c_int,
) -> c_int {
    below!(file, xShmLock, offset, n, flags)
}
unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    below!(file, xShmBarrier);
}
unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    below!(file, xShmUnmap, delete)
}
