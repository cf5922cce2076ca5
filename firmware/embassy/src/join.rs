//! Brings connections up, one at a time, as the node orders them.

use core::cell::Cell;

use embassy_futures::select::{Either, select};
use embassy_net::Stack;
use embassy_time::Instant;
use sen_wire::{
    limits::{MAX_CONTROL_BYTES, MAX_PACK_BYTES},
    provision::{Provision, Tls},
};

use crate::{
    dial::{dial, within},
    limits::{DOWN, MQTT_RX, MQTT_TX, TCP_RX, TCP_TX, TLS, TLS_RX, TLS_TX},
    mail::{Letter, Signals},
    mqtt::{self, Credentials, Post},
    run::Entropy,
    status::{News, Status},
    stream::Stream,
    tls,
    trouble::Trouble,
};

/// All that the connection keeps in RAM beside its state, some 12 KB. A board puts it in a static.
#[derive(Debug)]
pub struct Memory {
    pub(crate) up: [Letter<MAX_PACK_BYTES>; 1],
    pub(crate) down: [Letter<MAX_CONTROL_BYTES>; DOWN],
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
            down: [const { Letter::new() }; _],
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
    pub(crate) signals: &'a Signals,
    pub(crate) news: &'a News,
}

impl<E: Entropy> Joiner<'_, E> {
    /// Serves the node's orders for ever. A new order ends what is going on.
    pub(crate) async fn run(mut self) -> ! {
        let signals = self.signals;
        loop {
            signals.order.wait().await;
            loop {
                // What is still there was meant for a connection that is gone; the node sends it again.
                self.post.up.clear();
                match select(signals.order.wait(), self.connection()).await {
                    Either::First(()) => continue,
                    Either::Second(trouble) => {
                        self.news.signal(Status::Trouble(trouble));
                        signals.answer.signal(Err(trouble));
                        signals.ended.signal(());
                        break;
                    }
                }
            }
        }
    }

    /// One connection, from the first attempt to its end.
    async fn connection(&mut self) -> Trouble {
        let Buffers {
            tcp_rx,
            tcp_tx,
            tls_rx,
            tls_tx,
            mqtt_rx,
            mqtt_tx,
        } = &mut *self.buffers;
        let gateway = &self.provision.gateway;
        let socket = match dial(self.stack, gateway, tcp_rx, tcp_tx).await {
            Ok(socket) => socket,
            Err(trouble) => return trouble,
        };
        let busy = Cell::new(false);
        let stream = match gateway.tls {
            Tls::Off => Stream::Plain(socket),
            Tls::Pinned(key) => {
                let opening = tls::open(socket, &busy, key, self.entropy, tls_rx, tls_tx);
                match within(TLS, opening, Trouble::Protocol).await {
                    Ok(Ok(stream)) => Stream::Tls(stream),
                    Ok(Err(trouble)) | Err(trouble) => return trouble,
                }
            }
        };
        let who = Credentials {
            node: self.provision.node,
            password: self.provision.password.0,
        };
        let joined = || {
            self.news.signal(Status::Joined(Instant::now().as_millis()));
            self.signals.answer.signal(Ok(()));
        };
        mqtt::session(
            stream,
            &busy,
            who,
            (mqtt_rx, mqtt_tx),
            &mut self.post,
            joined,
        )
        .await
    }
}
