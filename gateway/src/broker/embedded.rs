//! Sen as the broker: rmqtt, with one hook that matters.
//!
//! The publish hook hands the message to ingest and answers when the journal has committed; rmqtt sends PUBACK only after
//! the hook has answered. So **PUBACK means on disk**, for any QoS 1 publisher. What can't be stored is never
//! acknowledged: after a moment the client is disconnected and sends again later.
//!
//! A client is a node: it shows the node's credentials, uses its id as client id, publishes its own uplinks and reads its
//! own downlinks. Nothing else.
//!
//! Two listeners of the library: one in the open, if there is one, and one on a loopback port of its own that takes nobody
//! but the TLS door in front of it ([`tls`](super::tls)).

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

use super::identity::Identity;
use super::retained::Retained;
use super::tls::{Front, Peers};
use super::{DoorError, SharedState, downlinks, receipt_message};
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
/// The library's numbers for the two listeners.
const IN_THE_OPEN: u16 = 1;
const BEHIND_TLS: u16 = 2;

/// Where the broker listens, and who it lets in.
#[derive(Debug, Default)]
pub struct Doors {
    /// In the open.
    pub plain: Option<SocketAddr>,
    /// By TLS, and the key to show there.
    pub tls: Option<(SocketAddr, Identity)>,
    /// Admits clients without credentials (the demonstration).
    pub open: bool,
}

/// The running broker.
pub struct Embedded {
    server: MqttServer,
    front: Option<Front>,
    downlinks: downlinks::Downlinks,
    /// Where it listens in the open.
    pub plain: Option<SocketAddr>,
    /// Where it listens by TLS.
    pub tls: Option<SocketAddr>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded")
            .field("plain", &self.plain)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Embedded {
    /// Binds the doors and prepares the hooks.
    ///
    /// # Errors
    /// [`DoorError`] when an address is taken.
    pub async fn bind(
        doors: Doors,
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
        let mut server = MqttServer::new(scx.clone());
        let mut plain = None;
        if let Some(addr) = doors.plain {
            let listener = listener("mqtt", addr)?;
            plain = Some(listener.local_addr().map_err(|e| listen_error(addr, &e))?);
            server = server.listener_by_id(listener, IN_THE_OPEN);
        }
        let peers = Peers::default();
        let (mut front, mut tls) = (None, None);
        if let Some((addr, identity)) = &doors.tls {
            let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = listener("mqtt-behind-tls", loopback)?;
            let behind = listener
                .local_addr()
                .map_err(|e| listen_error(loopback, &e))?;
            server = server.listener_by_id(listener, BEHIND_TLS);
            let door = Front::bind(
                *addr,
                identity,
                behind,
                peers.clone(),
                MAX_CLIENTS,
                ingest.clone(),
            )
            .await?;
            tls = Some(door.addr().map_err(|source| DoorError::ListenTls {
                addr: *addr,
                source,
            })?);
            front = Some(door);
        }

        let hook = Arc::new(Hook {
            ingest,
            known: known.clone(),
            open: doors.open,
            peers,
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
            server: server.build(),
            front,
            downlinks: downlinks::Downlinks::new(gateway_id(&scx), scx, known),
            plain,
            tls,
        })
    }

    /// Serves until dropped.
    pub async fn run(self) {
        let front = async {
            match self.front {
                Some(front) => front.run().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = self.server.run() => if let Err(e) = ended {
                tracing::error!("the broker stopped: {e}");
            },
            () = front => {}
            () = self.downlinks.follow() => {}
        }
    }
}

fn listener(name: &str, addr: SocketAddr) -> Result<rmqtt::net::Listener, DoorError> {
    Builder::new()
        .name(name)
        .laddr(addr)
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
        .map_err(|e| listen_error(addr, &e))
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
    peers: Peers,
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
    /// Lets a client in or says why not: to the client only what it may know, to the log and the API all of it.
    fn authenticate(&self, info: &ConnectInfo) -> AuthResult {
        let id: &str = info.client_id();
        let near = info.id().remote_addr;
        let from = match near.and_then(|near| self.peers.of(near)) {
            None if info.id().lid == BEHIND_TLS => {
                // Some program on this machine that found the port: it has not come by TLS.
                self.ingest.refused_client(
                    near,
                    id,
                    "not_by_tls",
                    "connect to the gateway's TLS port or its plain one",
                );
                return AuthResult::NotAuthorized;
            }
            far => far.or(near),
        };
        let known = self.known.now();
        let Some(user) = info.username() else {
            if self.open && known.node(id).is_some() {
                return AuthResult::Allow(false, None);
            }
            self.ingest.refused_client(
                from,
                id,
                "anonymous",
                "connect with the node's id as user name and its password",
            );
            return AuthResult::NotAuthorized;
        };
        let user: &str = user;
        let password = info.password().map(|p| &p[..]).unwrap_or_default();
        let (reason, detail, answer) = match known.node(user) {
            None => (
                "unknown_node",
                "no such node; add it with `sen node add`",
                AuthResult::BadUsernameOrPassword,
            ),
            Some(node) if !node.is_password(password) => (
                "wrong_password",
                "not this node's password; `sen node password` gives it a new one",
                AuthResult::BadUsernameOrPassword,
            ),
            // Only who has the password learns that it was right once.
            Some(node) if node.revoked.is_some() => (
                "revoked",
                "this node was revoked; `sen node password` admits it again with a new password",
                AuthResult::NotAuthorized,
            ),
            Some(_) if user != id => (
                "client_id",
                "use the node's id as MQTT client id too",
                AuthResult::NotAuthorized,
            ),
            Some(_) => return AuthResult::Allow(false, None),
        };
        self.ingest.refused_client(from, user, reason, detail);
        answer
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
