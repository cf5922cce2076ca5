//! Counts what goes over the air: MQTT packets as encoded, in TLS 1.3 records, TCP segments and IPv4 packets.
//!
//! Not counted: what the link puts around IP (Wi-Fi, LTE, PPP), packets that are lost and sent again.

use anyhow::Context;
use bytes::BytesMut;
use rumqttc::{
    ConnAck, Connect, ConnectReturnCode, Disconnect, Login, PingReq, PingResp, PubAck, Publish,
    QoS, SubAck, Subscribe, SubscribeFilter, SubscribeReasonCode,
};

/// IPv4 and TCP headers without options; those of a SYN carry the segment size.
const HEADERS: u64 = 40;
const SYN: u64 = 44;
/// RFC 8446 section 5.2: header, content type, tag.
const RECORD: u64 = 5 + 1 + 16;
/// A close_notify alert, encrypted.
const ALERT: u64 = RECORD + 2;
/// Bytes of the handshake with a self-signed P-256 certificate, as `openssl s_client` counts them (see docs/power.md).
const HANDSHAKE_UP: u64 = 274;
const HANDSHAKE_DOWN: u64 = 788;

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// What a day came to.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) connections: u32,
    pub(crate) sweeps: u32,
    pub(crate) up: u64,
    pub(crate) down: u64,
    /// Packs and hellos, receipts and configurations.
    pub(crate) payload: u64,
    pub(crate) link_up_ms: u64,
}

impl Meter {
    fn add(&mut self, way: Way, bytes: u64) {
        match way {
            Way::Up => self.up += bytes,
            Way::Down => self.down += bytes,
        }
    }

    /// A segment, and the acknowledgement that comes back by itself: packets are too far apart to carry it.
    fn segment(&mut self, way: Way, bytes: u64) {
        self.add(way, HEADERS + bytes);
        self.add(if way == Way::Up { Way::Down } else { Way::Up }, HEADERS);
    }

    fn packet(
        &mut self,
        way: Way,
        write: impl FnOnce(&mut BytesMut) -> Result<usize, rumqttc::mqttbytes::Error>,
    ) -> anyhow::Result<()> {
        let mut buffer = BytesMut::new();
        write(&mut buffer).ok().context("an MQTT packet")?;
        self.segment(way, RECORD + buffer.len() as u64);
        Ok(())
    }

    /// TCP, TLS, CONNECT and SUBSCRIBE.
    pub(crate) fn connect(&mut self, node: &str, topics: [String; 2]) -> anyhow::Result<()> {
        self.connections += 1;
        self.add(Way::Up, SYN + HEADERS);
        self.add(Way::Down, SYN);
        // ClientHello, all of the server's flight, Finished.
        self.segment(Way::Up, HANDSHAKE_UP - 80);
        self.segment(Way::Down, HANDSHAKE_DOWN);
        self.segment(Way::Up, 80);
        let mut connect = Connect::new(node);
        connect.login = Some(Login::new(node, "0123456789abcdef0123456789abcdef"));
        self.packet(Way::Up, |buffer| connect.write(buffer))?;
        let answer = ConnAck::new(ConnectReturnCode::Success, false);
        self.packet(Way::Down, |buffer| answer.write(buffer))?;
        let filters = topics.map(|topic| SubscribeFilter::new(topic, QoS::AtLeastOnce));
        let subscribe = Subscribe::new_many(filters);
        self.packet(Way::Up, |buffer| subscribe.write(buffer))?;
        let granted = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce); 2];
        self.packet(Way::Down, |buffer| SubAck::new(1, granted).write(buffer))
    }

    /// DISCONNECT, close_notify and FIN, both ways.
    pub(crate) fn disconnect(&mut self) -> anyhow::Result<()> {
        self.packet(Way::Up, |buffer| Disconnect.write(buffer))?;
        for way in [Way::Up, Way::Down] {
            self.segment(way, ALERT);
            self.segment(way, 0);
        }
        Ok(())
    }

    /// A message of the node, and its PUBACK.
    pub(crate) fn publish_up(&mut self, topic: String, payload: &[u8]) -> anyhow::Result<()> {
        self.publish(Way::Up, Way::Down, topic, payload)
    }

    /// A message to the node, and its PUBACK.
    pub(crate) fn publish_down(&mut self, topic: String, payload: &[u8]) -> anyhow::Result<()> {
        self.publish(Way::Down, Way::Up, topic, payload)
    }

    fn publish(
        &mut self,
        way: Way,
        back: Way,
        topic: String,
        payload: &[u8],
    ) -> anyhow::Result<()> {
        self.payload += payload.len() as u64;
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        publish.pkid = 1;
        self.packet(way, |buffer| publish.write(buffer))?;
        self.packet(back, |buffer| PubAck::new(1).write(buffer))
    }

    /// A keep-alive, and its answer.
    pub(crate) fn ping(&mut self) -> anyhow::Result<()> {
        self.packet(Way::Up, |buffer| PingReq.write(buffer))?;
        self.packet(Way::Down, |buffer| PingResp.write(buffer))
    }
}
