//! The journal as a whole, held to its word.

pub(super) mod any;
mod carried;
mod damage;
mod disk;
mod farm;
mod faults;
mod model;
mod rng;
