//! Another broker holds the connections; Sen reads it as one client with a durable session.
//!
//! Messages are acknowledged by hand, after the commit, so the broker keeps what the journal does not have. The topics are
//! subscribed to again at every ConnAck. Any fault, and silence longer than the watchdog allows, ends in a client built
//! anew after a growing pause: no state of a lost session survives.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectReturnCode, Event, Incoming as Packet, MqttOptions, QoS, TlsConfiguration,
    Transport,
};
use sen_wire::topic::{Kind, Topic, UPLINK_FILTERS};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{DoorError, SharedState, receipt_message};
use crate::config::External;
use crate::ingest::{Incoming, Ingest, Outcome};
use crate::reading::NodeNum;
use crate::registry::{Known, Registry};

/// Largest packet that is read; ingest refuses far below it, with a reason. (rumqttc's own 10 KiB ends in a reconnect loop.)
const MAX_PACKET: usize = 256 * 1024;
/// Messages in the hands of ingest at once: what the memory for them is bounded by.
const IN_HAND: u32 = 1_024;
/// Acknowledgements and receipts on their way to the client; those beyond wait in their tasks.
const REQUESTS: usize = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// rumqttc wakes at least at every keep-alive; silence beyond this is a livelock.
const WATCHDOG: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Pause before an uplink that could not be stored is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A connection to an external broker.
#[derive(Debug)]
pub struct Link {
    options: MqttOptions,
    ingest: Ingest,
    known: Known,
    state: SharedState,
}

impl Link {
    /// Prepares the connection; nothing is sent yet.
    ///
    /// # Errors
    /// [`DoorError::Certificate`] when the CA file can't be read.
    pub fn new(
        config: &External,
        ingest: Ingest,
        known: Known,
        state: SharedState,
    ) -> Result<Self, DoorError> {
        let mut options = MqttOptions::new(&config.client_id, &config.host, config.port);
        options
            .set_clean_session(false)
            .set_manual_acks(true)
            .set_keep_alive(KEEP_ALIVE)
            .set_max_packet_size(MAX_PACKET, MAX_PACKET);
        if let Some((user, password)) = &config.login {
            options.set_credentials(user, password.reveal());
        }
        if let Some(path) = &config.tls {
            let ca = std::fs::read(path).map_err(|source| DoorError::Certificate {
                path: path.clone(),
                source,
            })?;
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Simple {
                ca,
                alpn: None,
                client_auth: None,
            }));
        }
        Ok(Self {
            options,
            ingest,
            known,
            state,
        })
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.session(&mut pause) => ended,
            };
            self.state.set_connected(false);
            metrics::counter!("sen_broker_reconnects_total").increment(1);
            tracing::warn!("broker: {ended}; trying again in {pause:?}");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One client from its making to its end; says what ended it.
    async fn session(&self, pause: &mut Duration) -> String {
        let (client, mut events) = AsyncClient::new(self.options.clone(), REQUESTS);
        let in_hand = Arc::new(Semaphore::new(IN_HAND as usize));
        // Messages that found no place in hand. The broker still has them and sends them again to the next client.
        let mut owed = 0u64;
        let mut changes = self.known.changes();
        let mut told = HashMap::new();
        let mut connected = false;
        loop {
            let polled = tokio::select! {
                Ok(()) = changes.changed(), if connected => {
                    let registry = changes.borrow_and_update().clone();
                    configure(&client, &registry, &mut told);
                    continue;
                }
                polled = tokio::time::timeout(WATCHDOG, events.poll()) => polled,
                _ = in_hand.acquire_many(IN_HAND), if owed > 0 => {
                    return format!("it sent {owed} messages more at once than are taken in hand; asking for them again");
                }
            };
            let event = match polled {
                Err(_) => return format!("no sign of life for {WATCHDOG:?}"),
                Ok(Err(e)) => return e.to_string(),
                Ok(Ok(event)) => event,
            };
            match event {
                Event::Incoming(Packet::ConnAck(ack)) if ack.code == ConnectReturnCode::Success => {
                    *pause = FIRST_PAUSE;
                    connected = true;
                    self.state.set_connected(true);
                    tracing::info!("broker: connected");
                    for filter in UPLINK_FILTERS {
                        if let Err(e) = client.try_subscribe(filter, QoS::AtLeastOnce) {
                            return e.to_string();
                        }
                    }
                }
                Event::Incoming(Packet::SubAck(ack))
                    if ack
                        .return_codes
                        .iter()
                        .any(|c| matches!(c, rumqttc::SubscribeReasonCode::Failure)) =>
                {
                    return format!(
                        "the broker refuses the subscription to {}; let this client read them",
                        UPLINK_FILTERS.join(" and ")
                    );
                }
                Event::Incoming(Packet::Publish(publish)) => {
                    // Never waits: acknowledgements leave through this same loop. A broker keeps within its window, but
                    // Mosquitto 2.0 sends all that it has queued when it comes up again from its file.
                    let Ok(permit) = in_hand.clone().try_acquire_owned() else {
                        owed += 1;
                        continue;
                    };
                    let (ingest, client) = (self.ingest.clone(), client.clone());
                    tokio::spawn(async move {
                        store(&ingest, &client, &publish).await;
                        drop(permit);
                    });
                }
                _ => {}
            }
        }
    }
}

/// Publishes every configuration that this connection has not published yet. What finds no room in the client's queue goes
/// with the next change or connection.
fn configure(client: &AsyncClient, registry: &Registry, told: &mut HashMap<NodeNum, Arc<[u8]>>) {
    for node in &registry.nodes {
        let Some(wanted) = &node.config else { continue };
        if told.get(&node.num) == Some(&wanted.body) {
            continue;
        }
        let topic = Topic {
            node: &node.id,
            kind: Kind::Config,
        }
        .to_string();
        match client.try_publish(topic, QoS::AtLeastOnce, true, wanted.body.to_vec()) {
            Ok(()) => {
                told.insert(node.num, wanted.body.clone());
            }
            Err(e) => {
                tracing::warn!("{}: configuration not published yet: {e}", node.id);
                return;
            }
        }
    }
}

/// Stores one message, however long that takes, then acknowledges it. A client that has ended meanwhile makes this moot:
/// the broker sends the message again.
async fn store(ingest: &Ingest, client: &AsyncClient, publish: &rumqttc::Publish) {
    let incoming = Incoming {
        topic: &publish.topic,
        payload: &publish.payload,
        retained: publish.retain,
        sender: None,
    };
    let receipt = loop {
        match ingest.take(incoming).await {
            Outcome::Stored(receipt) => break receipt,
            Outcome::Refused(_) => break None,
            Outcome::NotStored(crate::journal::StoreError::Closed) => return,
            Outcome::NotStored(_) => tokio::time::sleep(RETRY).await,
        }
    };
    if client.ack(publish).await.is_err() {
        return;
    }
    if let Some((topic, payload)) = receipt.and_then(|(node, r)| receipt_message(&node, &r)) {
        let _ = client
            .publish(topic, QoS::AtLeastOnce, false, payload)
            .await;
    }
}
