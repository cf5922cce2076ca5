//! `sen demo`: everything in one process.
