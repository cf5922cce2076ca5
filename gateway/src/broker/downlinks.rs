//! Keeps what nodes are told in step with the registry: each node's newest configuration is retained in its topic, and a
//! node that was revoked is disconnected. Compares and mends, so it does not matter who changed the registry or when.

use rmqtt::codec::types::Publish as CodecPublish;
use rmqtt::context::ServerContext;
use rmqtt::session::SessionState;
use rmqtt::types::{From, Id, QoS};
use sen_wire::topic::{Kind, Topic};

use crate::registry::{Known, Node};

pub(super) struct Downlinks {
    gateway: Id,
    scx: ServerContext,
    known: Known,
}

impl Downlinks {
    pub(super) fn new(gateway: Id, scx: ServerContext, known: Known) -> Self {
        Self {
            gateway,
            scx,
            known,
        }
    }

    /// Follows the registry until dropped.
    pub(super) async fn follow(self) {
        let mut changes = self.known.changes();
        loop {
            let registry = changes.borrow_and_update().clone();
            for node in &registry.nodes {
                if node.revoked.is_some() {
                    self.cut_off(node).await;
                } else {
                    self.configure(node).await;
                }
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn configure(&self, node: &Node) {
        let Some(wanted) = &node.config else { return };
        let topic = Topic {
            node: &node.id,
            kind: Kind::Config,
        }
        .to_string();
        let retained = self
            .scx
            .extends
            .retain()
            .await
            .get(&topic.as_str().into())
            .await
            .unwrap_or_default();
        let told = retained
            .iter()
            .any(|(_, r)| r.publish.payload.as_ref() == wanted.body.as_ref());
        if told {
            return;
        }
        let publish = CodecPublish {
            dup: false,
            retain: true,
            qos: QoS::AtLeastOnce,
            topic: topic.into(),
            packet_id: None,
            payload: wanted.body.to_vec().into(),
            properties: None,
        };
        let sent = SessionState::forwards(
            &self.scx,
            From::from_system(self.gateway.clone()),
            publish.into(),
            false,
            None,
        )
        .await;
        match sent {
            Ok(()) => tracing::info!("{}: configuration {} published", node.id, wanted.version),
            Err(e) => tracing::warn!(
                "{}: configuration {} not published, trying at the next change or start: {e}",
                node.id,
                wanted.version
            ),
        }
    }

    async fn cut_off(&self, node: &Node) {
        let shared = self.scx.extends.shared().await;
        if !shared.exist(&node.id) {
            return;
        }
        let id = Id::new(
            self.scx.node.id(),
            0,
            None,
            None,
            node.id.as_str().into(),
            None,
        );
        match shared.entry(id).kick(true, true, true).await {
            Ok(_) => tracing::warn!("{}: revoked and disconnected", node.id),
            Err(e) => tracing::error!("{}: revoked, but still connected: {e}", node.id),
        }
    }
}
