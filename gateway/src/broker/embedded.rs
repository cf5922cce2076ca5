//! Sen as the broker: rmqtt, with one hook that matters.
//!
//! The publish hook hands the message to ingest and answers when the journal has committed; rmqtt sends PUBACK only after
//! the hook has answered. So **PUBACK means on disk**, for any QoS 1 publisher. What can't be stored is never
//! acknowledged: after a moment the client is disconnected and sends again later.
//!
//! A client is a node: it shows the node's credentials, uses its id as client id, publishes its own uplinks and reads its
//! own downlinks. Nothing else.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rmqtt::codec::types::Publish as CodecPublish;
use rmqtt::codec::v5::{PublishAckReason, SubscribeAckReason};
use rmqtt::context::ServerContext;
use rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use rmqtt::net::Builder;
use rmqtt::server::MqttServer;
use rmqtt::session::SessionState;
use rmqtt::types::{
    AuthResult, ConnectInfo, From, Id, Publish, PublishAclResult, PublishResult, QoS,
    SubscribeAclResult,
};
use sen_wire::Receipt;
use sen_wire::topic::{Kind, Topic};

use super::retained::Retained;
use super::{DoorError, SharedState, receipt_message};
use crate::ingest::{Incoming, Ingest, Outcome};
use crate::journal::Journal;
use crate::registry::Known;

/// Largest packet that is read at all. Ingest refuses uplinks far below this, with a reason; beyond it the connection ends.
const MAX_PACKET: u32 = 256 * 1024;
/// A client that connects and says nothing is let go after this.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// Connections that are asked for their name at once; the others wait. The library keeps about a kilobyte for each from the
/// start on.
const HANDSHAKES: usize = 1_000;
/// Connections at most.
const MAX_CLIENTS: usize = 10_000;
/// How long a client whose uplink can't be stored is held before it is let go: keeps it from hammering.
const HOLD: Duration = Duration::from_secs(1);
/// Receipts and configurations that wait for a node that is away, at most.
const QUEUE: usize = 200;

/// The running broker.
pub struct Embedded {
    server: MqttServer,
    /// Where it listens.
    pub addr: SocketAddr,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// Binds `listen` and prepares the hooks. `open` admits clients without credentials (the demonstration).
    ///
    /// # Errors
    /// [`DoorError`] when the address is taken.
    pub async fn bind(
        listen: SocketAddr,
        open: bool,
        ingest: Ingest,
        known: Known,
        journal: Journal,
        state: SharedState,
    ) -> Result<Self, DoorError> {
        let scx = ServerContext::new()
            .mqtt_max_sessions(MAX_CLIENTS as isize)
            .busy_check_enable(false)
            .build()
            .await;
        *scx.extends.retain_mut().await = Box::new(Retained::load(journal).await?);
        let listener = Builder::new()
            .name("mqtt")
            .laddr(listen)
            .reuseaddr(Some(true))
            .allow_anonymous(false)
            .max_packet_size(MAX_PACKET)
            .max_connections(MAX_CLIENTS)
            .max_handshaking_limit(HANDSHAKES)
            .handshake_timeout(HANDSHAKE)
            .max_inflight(NonZeroU16::new(64).unwrap_or(NonZeroU16::MIN))
            .max_mqueue_len(QUEUE)
            .max_clientid_len(sen_wire::limits::MAX_ID)
            .bind()
            .and_then(rmqtt::net::Listener::tcp)
            .map_err(|e| listen_error(listen, &e))?;
        let addr = listener
            .local_addr()
            .map_err(|e| listen_error(listen, &e))?;

        let hook = Arc::new(Hook {
            ingest,
            known,
            open,
            state: state.clone(),
            scx: scx.clone(),
            gateway: gateway_id(&scx),
        });
        let register = scx.extends.hook_mgr().register();
        for kind in [
            Type::ClientAuthenticate,
            Type::MessagePublishCheckAcl,
            Type::ClientSubscribeCheckAcl,
            Type::ClientConnected,
            Type::ClientDisconnected,
        ] {
            register.add(kind, Box::new(SharedHook(hook.clone()))).await;
        }
        register.start().await;
        state.set_connected(true);
        Ok(Self {
            server: MqttServer::new(scx).listener(listener).build(),
            addr,
        })
    }

    /// Serves until dropped.
    pub async fn run(self) {
        if let Err(e) = self.server.run().await {
            tracing::error!("the broker stopped: {e}");
        }
    }
}

fn listen_error(addr: SocketAddr, e: &rmqtt::Error) -> DoorError {
    let source = e.downcast_ref::<std::io::Error>().map_or_else(
        || std::io::Error::other(e.to_string()),
        |io| io.kind().into(),
    );
    DoorError::Listen { addr, source }
}

fn gateway_id(scx: &ServerContext) -> Id {
    Id::new(scx.node.id(), 0, None, None, "sen-gateway".into(), None)
}

struct Hook {
    ingest: Ingest,
    known: Known,
    open: bool,
    state: SharedState,
    scx: ServerContext,
    gateway: Id,
}

struct SharedHook(Arc<Hook>);

#[async_trait]
impl Handler for SharedHook {
    async fn hook(&self, param: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let hook = &self.0;
        match param {
            Parameter::ClientAuthenticate(info) => {
                (false, Some(HookResult::AuthResult(hook.authenticate(info))))
            }
            Parameter::MessagePublishCheckAcl(session, publish) => (
                false,
                Some(HookResult::PublishAclResult(
                    hook.publish(&session.id.client_id, publish).await,
                )),
            ),
            Parameter::ClientSubscribeCheckAcl(session, subscribe) => {
                let own = may_read(&session.id.client_id, &subscribe.topic_filter);
                let answer = if own {
                    SubscribeAclResult::new_success(subscribe.opts.qos(), None)
                } else {
                    hook.ingest.refused_at_door(
                        &session.id.client_id,
                        &subscribe.topic_filter,
                        "foreign_subscription",
                        "a node reads its own downlinks only",
                    );
                    SubscribeAclResult::new_failure(SubscribeAckReason::NotAuthorized)
                };
                (false, Some(HookResult::SubscribeAclResult(answer)))
            }
            Parameter::ClientConnected(_) => {
                hook.state.client_came();
                (true, acc)
            }
            Parameter::ClientDisconnected(..) => {
                hook.state.client_went();
                (true, acc)
            }
            _ => (true, acc),
        }
    }
}

/// `sen/1/{own id}/receipt` and `…/config`, or both at once.
fn may_read(client: &str, filter: &str) -> bool {
    if let Ok(t) = Topic::parse(filter) {
        return t.node == client && matches!(t.kind, Kind::Receipt | Kind::Config);
    }
    filter
        .strip_prefix("sen/1/")
        .and_then(|f| f.strip_prefix(client))
        .is_some_and(|rest| rest == "/#" || rest == "/+")
}

impl Hook {
    fn authenticate(&self, info: &ConnectInfo) -> AuthResult {
        let id: &str = info.client_id();
        let known = self.known.now();
        let Some(user) = info.username() else {
            if self.open && known.node(id).is_some() {
                return AuthResult::Allow(false, None);
            }
            self.ingest.refused_at_door(
                id,
                "",
                "anonymous",
                "connect with the node's id as user name and its password",
            );
            return AuthResult::NotAuthorized;
        };
        let user: &str = user;
        let password = info.password().map(|p| &p[..]).unwrap_or_default();
        match known.node(user) {
            Some(node) if node.is_password(password) => {
                if user == id {
                    AuthResult::Allow(false, None)
                } else {
                    self.ingest.refused_at_door(
                        user,
                        "",
                        "client_id",
                        "use the node's id as MQTT client id too",
                    );
                    AuthResult::NotAuthorized
                }
            }
            _ => {
                self.ingest.refused_at_door(
                    user,
                    "",
                    "bad_credentials",
                    "unknown node or wrong password; `sen node add` shows them once",
                );
                AuthResult::BadUsernameOrPassword
            }
        }
    }

    async fn publish(&self, client: &str, publish: &Publish) -> PublishAclResult {
        let incoming = Incoming {
            topic: &publish.topic,
            payload: &publish.payload,
            retained: publish.retain,
            sender: Some(client),
        };
        match self.ingest.take(incoming).await {
            Outcome::Stored(receipt) => {
                if let Some((node, receipt)) = receipt {
                    self.receipt(&node, &receipt).await;
                }
                PublishAclResult::allow()
            }
            Outcome::Refused("foreign_topic") => {
                refuse(PublishAckReason::NotAuthorized, "foreign_topic", true)
            }
            Outcome::Refused(reason) => {
                refuse(PublishAckReason::PayloadFormatInvalid, reason, false)
            }
            Outcome::NotStored(e) => {
                tracing::debug!("not stored, {client} is let go: {e}");
                tokio::time::sleep(HOLD).await;
                // A failing PUBACK would make an MQTT 5 client forget the message; without one it sends again.
                refuse(PublishAckReason::QuotaExceeded, "not_stored", true)
            }
        }
    }

    async fn receipt(&self, node: &str, receipt: &Receipt) {
        let Some((topic, payload)) = receipt_message(node, receipt) else {
            return;
        };
        let publish = CodecPublish {
            dup: false,
            retain: false,
            qos: QoS::AtLeastOnce,
            topic: topic.into(),
            packet_id: None,
            payload: payload.into(),
            properties: None,
        };
        if let Err(e) = SessionState::forwards(
            &self.scx,
            From::from_system(self.gateway.clone()),
            publish.into(),
            false,
            None,
        )
        .await
        {
            tracing::debug!("receipt for {node} not sent, the next one covers it: {e}");
        }
    }
}

fn refuse(code: PublishAckReason, reason: &'static str, disconnect: bool) -> PublishAclResult {
    PublishAclResult(PublishResult::reason_code(
        code,
        Some(reason.into()),
        disconnect,
    ))
}

#[cfg(test)]
mod tests {
    use super::may_read;

    #[test]
    fn a_node_reads_its_own_downlinks_only() {
        for own in [
            "sen/1/n1/receipt",
            "sen/1/n1/config",
            "sen/1/n1/#",
            "sen/1/n1/+",
        ] {
            assert!(may_read("n1", own), "{own}");
        }
        for foreign in [
            "sen/1/n2/receipt",
            "sen/1/n1/pack",
            "sen/1/+/receipt",
            "#",
            "sen/#",
            "sen/1/n11/#",
            "$SYS/#",
            "+/1/n1/config",
        ] {
            assert!(!may_read("n1", foreign), "{foreign}");
        }
    }
}
