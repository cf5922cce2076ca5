//! A bare MQTT 3.1.1 client: one connection, packets in the order in which they come.
//!
//! A client library would hide what these tests look at: which packet was acknowledged, when, and
//! on which connection. Packets are encoded and decoded by `rumqttc`'s codec, so the bytes are
//! those of a client that is out in the field.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::v4::{Connect, ConnectReturnCode, Packet, PubAck, Publish, Subscribe};
use rumqttc::mqttbytes::{Error, QoS};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest packet read or written.
pub const MAX_PACKET: usize = 4 << 20;

/// Who connects.
#[derive(Debug, Clone)]
pub struct Who {
    /// MQTT client id, and user name when there is a password.
    pub id: String,
    /// Password; none connects without credentials.
    pub password: Option<String>,
    /// Asks the broker to forget the session.
    pub clean: bool,
}

impl Who {
    /// A node that keeps its session.
    #[must_use]
    pub fn node(id: &str, password: &str) -> Self {
        Self {
            id: id.to_owned(),
            password: Some(password.to_owned()),
            clean: false,
        }
    }
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    input: BytesMut,
    output: BytesMut,
    next_id: u16,
}

impl Client {
    /// Connects and waits for the broker's answer.
    ///
    /// # Errors
    /// When the broker refuses or does not answer within ten seconds.
    pub async fn connect(addr: SocketAddr, who: &Who) -> Result<Self> {
        let mut client = Self::open(addr).await?;
        match client.hand_shake(who).await? {
            ConnectReturnCode::Success => Ok(client),
            code => bail!("{} was refused: {code:?}", who.id),
        }
    }

    /// A TCP connection on which nothing has been said yet.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn open(addr: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            input: BytesMut::with_capacity(16 << 10),
            output: BytesMut::with_capacity(16 << 10),
            next_id: 0,
        })
    }

    /// Says CONNECT and gives the broker's verdict.
    ///
    /// # Errors
    /// When the broker closes the connection or says nothing for ten seconds.
    pub async fn hand_shake(&mut self, who: &Who) -> Result<ConnectReturnCode> {
        let mut connect = Connect::new(&who.id);
        connect.keep_alive = 60;
        connect.clean_session = who.clean;
        if let Some(password) = &who.password {
            connect.set_login(&who.id, password);
        }
        self.queue(&Packet::Connect(connect))?;
        self.flush().await?;
        match self.next_within(Duration::from_secs(10)).await? {
            Packet::ConnAck(ack) => Ok(ack.code),
            other => bail!("{other:?} in place of CONNACK"),
        }
    }

    /// Subscribes at QoS 1 and waits for the answer.
    ///
    /// # Errors
    /// When the broker does not answer; whether it granted the filter is not looked at.
    pub async fn subscribe(&mut self, filter: &str) -> Result<()> {
        let mut subscribe = Subscribe::new(filter, QoS::AtLeastOnce);
        subscribe.pkid = self.id();
        self.queue(&Packet::Subscribe(subscribe))?;
        self.flush().await?;
        loop {
            match self.next_within(Duration::from_secs(10)).await? {
                Packet::SubAck(_) => return Ok(()),
                // A session that goes on: what the broker kept comes first. Receipts are cumulative, so one that is
                // let go here is made up for by the next.
                packet @ Packet::Publish(_) => {
                    self.acknowledge(&packet)?;
                    self.flush().await?;
                }
                other => bail!("{other:?} in place of SUBACK"),
            }
        }
    }

    /// Queues a QoS 1 publication; its packet id. [`Client::flush`] sends it.
    ///
    /// # Errors
    /// When it is too large.
    pub fn queue_publish(&mut self, topic: &str, payload: Bytes, dup: bool) -> Result<u16> {
        let mut publish = Publish::from_bytes(topic, QoS::AtLeastOnce, payload);
        publish.pkid = self.id();
        publish.dup = dup;
        let id = publish.pkid;
        self.queue(&Packet::Publish(publish))?;
        Ok(id)
    }

    /// Publishes at QoS 1 and waits for that PUBACK; other packets that come before it are lost.
    ///
    /// # Errors
    /// When the connection ends or `limit` passes first.
    pub async fn publish(&mut self, topic: &str, payload: Bytes, limit: Duration) -> Result<()> {
        let id = self.queue_publish(topic, payload, false)?;
        self.flush().await?;
        tokio::time::timeout(limit, async {
            loop {
                if let Packet::PubAck(PubAck { pkid }) = self.next().await?
                    && pkid == id
                {
                    return anyhow::Ok(());
                }
            }
        })
        .await
        .with_context(|| format!("no PUBACK within {limit:?}"))?
    }

    /// Queues any packet.
    ///
    /// # Errors
    /// When it is too large.
    pub fn queue(&mut self, packet: &Packet) -> Result<()> {
        packet
            .write(&mut self.output, MAX_PACKET)
            .map_err(|e| anyhow::anyhow!("{e:?}"))?;
        Ok(())
    }

    /// Queues bytes as they are.
    pub fn queue_raw(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn flush(&mut self) -> Result<()> {
        self.stream.write_all_buf(&mut self.output).await?;
        // Keeps the buffer: what was consumed would otherwise be allocated anew.
        self.output.clear();
        Ok(())
    }

    /// The next packet, however long it takes. Safe to drop half-way.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn next(&mut self) -> Result<Packet> {
        loop {
            if let Some(packet) = self.parsed()? {
                return Ok(packet);
            }
            let n = self.stream.read_buf(&mut self.input).await?;
            ensure!(n > 0, "the broker closed the connection");
        }
    }

    /// A packet that has already been read, if there is one.
    ///
    /// # Errors
    /// When the bytes are no MQTT.
    pub fn parsed(&mut self) -> Result<Option<Packet>> {
        match Packet::read(&mut self.input, MAX_PACKET) {
            Ok(packet) => Ok(Some(packet)),
            Err(Error::InsufficientBytes(_)) => Ok(None),
            Err(error) => bail!("the broker sent no MQTT: {error:?}"),
        }
    }

    /// [`Client::next`] with a limit.
    ///
    /// # Errors
    /// When the connection ends or `limit` passes first.
    pub async fn next_within(&mut self, limit: Duration) -> Result<Packet> {
        tokio::time::timeout(limit, self.next())
            .await
            .with_context(|| format!("nothing from the broker within {limit:?}"))?
    }

    /// Says PINGREQ and waits for PINGRESP: everything sent before has then been read.
    ///
    /// # Errors
    /// When the connection ends or `limit` passes first.
    pub async fn ping(&mut self, limit: Duration) -> Result<()> {
        self.queue(&Packet::PingReq)?;
        self.flush().await?;
        tokio::time::timeout(limit, async {
            while self.next().await? != Packet::PingResp {}
            anyhow::Ok(())
        })
        .await
        .with_context(|| format!("no PINGRESP within {limit:?}"))?
    }

    /// Queues the PUBACK of a QoS 1 publication; whether `packet` was a publication.
    ///
    /// # Errors
    /// Never in practice: a PUBACK is small.
    pub fn acknowledge(&mut self, packet: &Packet) -> Result<bool> {
        let Packet::Publish(publish) = packet else {
            return Ok(false);
        };
        if publish.qos == QoS::AtLeastOnce {
            self.queue(&Packet::PubAck(PubAck::new(publish.pkid)))?;
        }
        Ok(true)
    }

    fn id(&mut self) -> u16 {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.next_id
    }
}
