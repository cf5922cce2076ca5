//! Brings connections up, one at a time, as the node orders them.

use core::pin::pin;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::Instant;
use embedded_tls::TlsConnection;
use sen_wire::{
    limits::{MAX_CONFIG_BYTES, MAX_CONTROL_BYTES, MAX_PACK_BYTES},
    provision::{Provision, Tls},
};

use crate::{
    apart::apart,
    dial::{dial, within},
    limits::{MQTT_RX, MQTT_TX, RECEIPTS, TCP_RX, TCP_TX, TLS, TLS_RX, TLS_TX},
    mail::Letter,
    mqtt::{self, Credentials, Post},
    run::Entropy,
    status::{News, Status},
    stream::Stream,
    tls::{self, Flags, Records},
    trouble::Trouble,
};

/// All that the connection keeps in RAM beside its state, some 14 KB. A board puts it in a static.
#[derive(Debug)]
pub struct Memory {
    pub(crate) up: [Letter<MAX_PACK_BYTES>; 1],
    pub(crate) receipts: [Letter<MAX_CONTROL_BYTES>; RECEIPTS],
    pub(crate) configs: [Letter<MAX_CONFIG_BYTES>; 1],
    pub(crate) buffers: Buffers,
}

#[derive(Debug)]
pub(crate) struct Buffers {
    tcp_rx: [u8; TCP_RX],
    tcp_tx: [u8; TCP_TX],
    tls_rx: [u8; TLS_RX],
    tls_tx: [u8; TLS_TX],
    mqtt_rx: [u8; MQTT_RX],
    mqtt_tx: [u8; MQTT_TX],
}

impl Memory {
    /// All zero, so that it costs no flash.
    pub const fn new() -> Self {
        Self {
            up: [const { Letter::new() }; _],
            receipts: [const { Letter::new() }; _],
            configs: [const { Letter::new() }; _],
            buffers: Buffers {
                tcp_rx: [0; _],
                tcp_tx: [0; _],
                tls_rx: [0; _],
                tls_tx: [0; _],
                mqtt_rx: [0; _],
                mqtt_tx: [0; _],
            },
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) struct Joiner<'a, E> {
    pub(crate) stack: Stack<'a>,
    pub(crate) provision: &'a Provision<'a>,
    pub(crate) entropy: &'a mut E,
    pub(crate) buffers: &'a mut Buffers,
    pub(crate) post: Post<'a>,
    pub(crate) news: &'a News,
    pub(crate) want_network: fn(bool),
}

impl<E: Entropy> Joiner<'_, E> {
    /// Serves the node's orders for ever. A new order ends what is going on.
    pub(crate) async fn run(mut self) -> ! {
        let signals = self.post.signals;
        loop {
            signals.order.wait().await;
            loop {
                // What is still there was meant for a connection that is gone; the node sends it again.
                self.post.up.clear();
                (self.want_network)(true);
                let first = {
                    let connection = pin!(self.connection());
                    select(signals.order.wait(), connection).await
                };
                match first {
                    Either::First(()) => continue,
                    Either::Second(ended) => {
                        // After a failure it stays: the next attempt is near, and may need what this one was too short for.
                        if ended.is_ok() {
                            (self.want_network)(false);
                        }
                        self.news.signal(match ended {
                            Ok(()) => Status::Resting,
                            Err(trouble) => Status::Trouble(trouble),
                        });
                        // If it was up, that answer was taken long ago.
                        signals.answer.signal(ended);
                        signals.ended.signal(());
                        break;
                    }
                }
            }
        }
    }

    /// One connection, from the first attempt to its end.
    async fn connection(&mut self) -> Result<(), Trouble> {
        let Buffers {
            tcp_rx,
            tcp_tx,
            tls_rx,
            tls_tx,
            mqtt_rx,
            mqtt_tx,
        } = &mut *self.buffers;
        let gateway = &self.provision.gateway;
        let mut socket = apart(pin!(dial(self.stack, gateway, tcp_rx, tcp_tx))).await?;
        let flags = Flags::default();
        let mut place = None;
        let mut stream = match gateway.tls {
            Tls::Off => Stream::Plain(&mut socket, &flags),
            Tls::Pinned(key) => {
                let records = Records::new(&mut socket, &flags);
                let tls = place.insert(TlsConnection::new(records, tls_rx, tls_tx));
                {
                    let opening = pin!(tls::open(tls, key, self.entropy));
                    within(TLS, apart(opening), Trouble::Protocol).await??;
                }
                Stream::Tls(tls)
            }
        };
        let who = Credentials {
            node: self.provision.node,
            password: self.provision.password.0,
        };
        let (news, signals) = (self.news, self.post.signals);
        let joined = || {
            news.signal(Status::Joined(Instant::now().as_millis()));
            signals.answer.signal(Ok(()));
        };
        // Lent: by value it would be copied into each future on the way down.
        let session = pin!(mqtt::session(
            &mut stream,
            &flags,
            who,
            (mqtt_rx, mqtt_tx),
            &mut self.post,
            joined,
        ));
        apart(session).await
    }
}
