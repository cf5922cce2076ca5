//! The journal as a whole, held to its word.

pub(super) mod any;
