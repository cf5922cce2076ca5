//! What to do, and why.
pub mod fit;
pub mod forecast;
pub mod skill;
