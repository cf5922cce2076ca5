//! What can go wrong with the journal, split by who can mend it.

use std::path::PathBuf;

/// The journal can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory can't be made or used.
    #[error(
        "data directory {path} can't be used; make it writable for this user, or set data_dir to another place"
    )]
    Directory {
        /// As configured.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another gateway holds the journal.
    #[error(
        "{path} is in use by another running gateway; stop it first, or set data_dir to another place"
    )]
    Busy {
        /// The journal's file.
        path: PathBuf,
    },
    /// SQLite refused.
    #[error("the journal {path} can't be opened")]
    Sqlite {
        /// The journal's file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// No room even to open it.
    #[error("the disk is full: {path} can't be opened; make room on the file system of data_dir")]
    Full {
        /// The journal's file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// Its schema is newer than this program, or a migration failed.
    #[error(
        "the journal {path} has a schema that this version can't bring up to date; run the version that wrote it, or a newer one"
    )]
    Schema {
        /// The journal's file.
        path: PathBuf,
        /// What the migration said.
        source: rusqlite_migration::Error,
    },
    /// It is damaged, and what is whole can't be written to a new file.
    #[error(
        "the journal {path} is damaged ({noticed}) and can't be salvaged; make room for a second one in data_dir, or move the file away"
    )]
    Damaged {
        /// The journal's file, left as it was.
        path: PathBuf,
        /// How it was noticed.
        noticed: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The writer's thread can't be started.
    #[error("the journal's writer can't be started")]
    Thread(#[source] std::io::Error),
}

impl OpenError {
    /// Says it in words if it is a full disk that SQLite complains of.
    pub(super) fn or_full(self) -> Self {
        match self {
            Self::Sqlite { path, source }
                if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) =>
            {
                Self::Full { path, source }
            }
            other => other,
        }
    }
}

/// Something was not stored. Nothing of it is on disk, and nobody was told that it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room.
    #[error(
        "the disk is full: new readings are not stored and not acknowledged, nodes keep theirs; make room on the file system of data_dir, Sen goes on by itself"
    )]
    Full,
    /// The disk or SQLite failed.
    #[error(
        "the journal can't be written ({0}); check the disk of data_dir, Sen goes on by itself once it can"
    )]
    Io(String),
    /// The request was at odds with the data (a key that exists, a reference to nothing).
    #[error("refused by the journal: {0}")]
    Conflict(String),
    /// The gateway is stopping.
    #[error("the gateway is stopping")]
    Closed,
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        match e.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            Some(rusqlite::ErrorCode::ConstraintViolation) => Self::Conflict(e.to_string()),
            _ => Self::Io(e.to_string()),
        }
    }
}

/// The journal can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// SQLite failed.
    #[error("the journal can't be read")]
    Sqlite(#[from] rusqlite::Error),
    /// Bytes that are not what was written.
    #[error(transparent)]
    Damaged(#[from] super::Damaged),
    /// The ledger is being written out, and for longer than that should take.
    #[error("the ledger is being written out; try again")]
    Unsettled,
    /// The reading task was stopped.
    #[error("the gateway is stopping")]
    Closed,
}
