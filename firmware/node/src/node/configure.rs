//! How a configuration is taken: whole, or not at all.

use sen_wire::{Channel, NodeConfig, Refusal, RefusalReason, limits::MAX_CONFIG_BYTES};

use super::Node;
use crate::{outbox::Storage, settings::Settings};

impl<S: Storage, C: Settings> Node<S, C> {
    /// A configuration came. What became of it is told in a hello, once.
    pub(super) async fn receive_config(&mut self, now: u64, payload: &[u8]) {
        // A retained configuration that is taken back.
        if payload.is_empty() {
            return;
        }
        let before = (self.config.version, self.refused);
        self.refused = self.configure(now, payload).await.err();
        if before != (self.config.version, self.refused) {
            self.session.hello_again();
        }
    }

    /// Takes a configuration whole, or not at all: then the one in force goes on.
    async fn configure(&mut self, now: u64, payload: &[u8]) -> Result<(), Refusal> {
        let config = NodeConfig::decode(payload)?;
        let refuse = |reason| Refusal {
            version: Some(config.version),
            reason,
            channel: None,
        };
        if config == self.config {
            return Ok(());
        }
        if config.version <= self.config.version {
            return Err(refuse(if config.version < self.config.version {
                RefusalReason::OlderVersion
            } else {
                RefusalReason::SameVersion
            }));
        }
        config.check(self.board)?;
        // First kept, then obeyed: a reset must not bring the old one back in silence.
        self.settings
            .store(payload)
            .await
            .map_err(|_| refuse(RefusalReason::NotStored))?;
        self.schedule
            .set_every(config.sample_every_s, self.clock.wall(now));
        self.next_sample_at = self.sample_at(now);
        self.urgency.reset();
        self.config = config;
        Ok(())
    }
}

/// What the settings kept, if this firmware takes it on this board; if not, why.
pub(super) async fn restored<C: Settings>(
    default: NodeConfig,
    settings: &mut C,
    board: Option<&[Channel]>,
) -> (NodeConfig, Option<Refusal>) {
    let mut buffer = [0; MAX_CONFIG_BYTES];
    // What can't be read now comes again, retained, with the first connect.
    let Ok(Some(length)) = settings.load(&mut buffer).await else {
        return (default, None);
    };
    let kept = NodeConfig::decode(buffer.get(..length).unwrap_or_default())
        .and_then(|config| config.check(board).map(|()| config));
    match kept {
        Ok(config) => (config, None),
        Err(refusal) => (default, Some(refusal)),
    }
}
