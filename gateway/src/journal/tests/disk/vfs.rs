//! The disk of the tests as SQLite sees it: a file layer on top of its own unix layer.
#![expect(
    unsafe_code,
    reason = "SQLite takes a file layer as a table of C functions; each obligation is stated where it is met"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rusqlite::ffi;

use super::{Pending, State, Verdict, lock};

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

pub(super) fn register(state: Arc<Mutex<State>>) -> &'static str {
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
