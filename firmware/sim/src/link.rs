//! The node's link over rumqttc.
//!
//! One task polls the event loop and does nothing else: publishing from the task that polls would deadlock once rumqttc's
//! queue is full. It subscribes on every ConnAck, for a clean session knows nothing of the one before, and ends with the
//! first error: a new client is built for each connection, so none of rumqttc's state outlives one.

use std::{sync::Arc, time::Duration};

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS};
use sen_node::Link;
use sen_wire::{NodeId, Topic, limits::MAX_UPLINK_BYTES, topic::Kind};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::fleet::Counters;

/// Requests that wait for the wire. A node has at most its window and a hello under way.
const REQUESTS: usize = 16;

/// Receipts that wait for the node. One that finds no room is left out: the next says the same and more.
const DOWNLINKS: usize = 64;

/// Why the link failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("not connected")]
    Down,
    #[error("the broker's client refused the message")]
    Client(#[from] rumqttc::ClientError),
}

pub(crate) struct MqttLink {
    options: MqttOptions,
    node: NodeId,
    counters: Arc<Counters>,
    connection: Option<Connection>,
}

struct Connection {
    client: AsyncClient,
    down: mpsc::Receiver<(Kind, Vec<u8>)>,
    poller: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.poller.abort();
    }
}

impl MqttLink {
    pub(crate) fn new(
        host: &str,
        port: u16,
        node: &NodeId,
        password: &str,
        counters: Arc<Counters>,
    ) -> Self {
        let mut options = MqttOptions::new(node.as_str(), host, port);
        options.set_credentials(node.as_str(), password);
        options.set_keep_alive(Duration::from_secs(30));
        options.set_clean_session(true);
        // Passing the incoming limit, 10 KiB by default, would end in an endless reconnect loop.
        options.set_max_packet_size(2 * MAX_UPLINK_BYTES, 2 * MAX_UPLINK_BYTES);
        Self {
            options,
            node: node.clone(),
            counters,
            connection: None,
        }
    }

    fn topic(&self, kind: Kind) -> String {
        Topic {
            node: &self.node,
            kind,
        }
        .to_string()
    }

    /// Says goodbye, so that the broker knows at once.
    pub(crate) async fn close(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            let _ = connection.client.try_disconnect();
            let _ = tokio::time::timeout(Duration::from_secs(1), &mut connection.poller).await;
        }
    }
}

impl Link for MqttLink {
    type Error = LinkError;

    async fn connect(&mut self) -> Result<(), LinkError> {
        self.connection = None;
        let (client, events) = AsyncClient::new(self.options.clone(), REQUESTS);
        let (down_in, down) = mpsc::channel(DOWNLINKS);
        let (ready_in, ready) = oneshot::channel();
        let topics = [self.topic(Kind::Receipt), self.topic(Kind::Config)];
        let poller = tokio::spawn(poll(
            events,
            client.clone(),
            topics,
            down_in,
            ready_in,
            self.counters.clone(),
        ));
        self.connection = Some(Connection {
            client,
            down,
            poller,
        });
        ready.await.map_err(|_| LinkError::Down)
    }

    async fn publish(&mut self, kind: Kind, payload: &[u8]) -> Result<(), LinkError> {
        let topic = self.topic(kind);
        let connection = self.connection.as_ref().ok_or(LinkError::Down)?;
        Ok(connection
            .client
            .publish(topic, QoS::AtLeastOnce, false, payload)
            .await?)
    }

    async fn receive(&mut self, buffer: &mut [u8]) -> Result<(Kind, usize), LinkError> {
        let connection = self.connection.as_mut().ok_or(LinkError::Down)?;
        loop {
            let (kind, payload) = connection.down.recv().await.ok_or(LinkError::Down)?;
            if let Some(room) = buffer.get_mut(..payload.len()) {
                room.copy_from_slice(&payload);
                return Ok((kind, payload.len()));
            }
        }
    }

    async fn disconnect(&mut self) {
        self.close().await;
    }
}

/// Runs one connection until it fails. Ends with the sender of `down`, which the node sees.
async fn poll(
    mut events: EventLoop,
    client: AsyncClient,
    topics: [String; 2],
    down: mpsc::Sender<(Kind, Vec<u8>)>,
    ready: oneshot::Sender<()>,
    counters: Arc<Counters>,
) {
    let mut ready = Some(ready);
    let mut missing = topics.len();
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                // The queue is empty: nobody publishes before `ready`.
                for topic in &topics {
                    if let Err(error) = client.try_subscribe(topic, QoS::AtLeastOnce) {
                        return counters.failed(error.to_string());
                    }
                }
            }
            Ok(Event::Incoming(Packet::SubAck(_))) => {
                missing = missing.saturating_sub(1);
                if missing == 0
                    && let Some(ready) = ready.take()
                {
                    let _ = ready.send(());
                }
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                if let Ok(topic) = Topic::parse(&publish.topic)
                    && !topic.kind.is_uplink()
                {
                    let _ = down.try_send((topic.kind, publish.payload.to_vec()));
                }
            }
            Ok(_) => {}
            Err(error) => return counters.failed(error.to_string()),
        }
    }
}
