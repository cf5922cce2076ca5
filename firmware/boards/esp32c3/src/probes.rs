//! The probes.
use sen_node::{Probes, Samples};
use sen_wire::Channel;

/// None yet.
pub struct None;

impl Probes for None {
    async fn sample(&mut self, _: &[Channel], _: &mut Samples) {}
}
