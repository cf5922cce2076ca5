//! One MQTT 5 connection, from CONNECT to its end.

use core::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use embassy_futures::select::{Either, select};
use minimq::{
    Buffers, ConfigBuilder, Connection, Error, InboundPublish, Io, PeerError, PubError,
    Publication, QoS, ReasonCode, ResourceError, Session, SubscriptionOptions, TopicFilter,
};
use sen_wire::{
    Topic,
    limits::{MAX_CONFIG_BYTES, MAX_CONTROL_BYTES, MAX_PACK_BYTES},
    topic::Kind,
};

use crate::{
    limits::{KEEP_ALIVE_S, MQTT},
    mail::{Incoming, Letter, Outgoing, Signals},
    tls::Flags,
    trouble::Trouble,
};

/// Who connects.
#[derive(Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) node: &'a str,
    pub(crate) password: &'a str,
}

/// The connection's end of the mail.
pub(crate) struct Post<'a> {
    pub(crate) up: Incoming<'a, Letter<MAX_PACK_BYTES>>,
    pub(crate) down: Down<'a>,
    pub(crate) signals: &'a Signals,
}

/// What goes to the node.
pub(crate) struct Down<'a> {
    pub(crate) receipts: Outgoing<'a, Letter<MAX_CONTROL_BYTES>>,
    pub(crate) configs: Outgoing<'a, Letter<MAX_CONFIG_BYTES>>,
}

/// Runs one connection to its end: well, when the node said goodbye. `joined` is called once it is up and subscribed.
pub(crate) async fn session<IO: Io>(
    io: IO,
    flags: &Flags,
    who: Credentials<'_>,
    (rx, tx): (&mut [u8], &mut [u8]),
    post: &mut Post<'_>,
    joined: impl FnOnce(),
) -> Result<(), Trouble> {
    let config = ConfigBuilder::new(Buffers::new(rx, tx))
        .keepalive_interval(KEEP_ALIVE_S)
        .client_id(who.node)
        .and_then(|config| config.auth(who.node, who.password.as_bytes()));
    // Ids and passwords are shorter than what the library takes.
    let Ok(config) = config else {
        return Err(Trouble::Protocol);
    };
    // A new one each time, and a clean start: the outbox is what lasts, and it sends again what no receipt has named.
    let mut session = Session::new(config);
    let mut limit = pin!(embassy_time::Timer::after(MQTT));
    let connected = {
        let connecting = pin!(session.connect(io));
        select(connecting, &mut limit).await
    };
    let mut connection = match connected {
        Either::First(Ok(connection)) => connection,
        Either::First(Err(error)) => return Err(refusal(&error)),
        Either::Second(()) => return Err(Trouble::Protocol),
    };
    let subscribed = {
        let subscribing = pin!(subscribe(&mut connection, who.node, post));
        select(subscribing, &mut limit).await
    };
    match subscribed {
        Either::First(subscribed) => subscribed?,
        Either::Second(()) => return Err(Trouble::Protocol),
    }
    joined();
    pin!(converse(&mut connection, flags, who.node, post)).await
}

/// Why CONNECT was not taken.
fn refusal<E>(error: &Error<E>) -> Trouble {
    match error {
        Error::Peer(PeerError::Rejected(code)) => match code {
            ReasonCode::BadUsernameOrPassword => Trouble::Credentials,
            ReasonCode::NotAuthorized => Trouble::Revoked,
            _ => Trouble::Refused,
        },
        Error::Transport(_) | Error::Disconnected => Trouble::Refused,
        _ => Trouble::Protocol,
    }
}

async fn subscribe<IO: Io>(
    connection: &mut Connection<'_, '_, IO>,
    node: &str,
    post: &mut Post<'_>,
) -> Result<(), Trouble> {
    let topic = |kind| Topic { node, kind }.to_text();
    let topics = [topic(Kind::Receipt), topic(Kind::Config)];
    let options = || SubscriptionOptions::default().maximum_qos(QoS::AtLeastOnce);
    let filters = topics
        .each_ref()
        .map(|topic| TopicFilter::new(topic).options(options()));
    let asked = connection.subscribe(&filters, &[]).await;
    let operation = asked.map_err(|_| Trouble::Lost)?;
    while connection.is_pending(&operation) {
        match connection.poll().await {
            Ok(Some(message)) => deliver(&message, node, &mut post.down),
            Ok(None) => {}
            Err(Error::Peer(PeerError::Rejected(_))) => return Err(Trouble::Refused),
            Err(_) => return Err(Trouble::Lost),
        }
    }
    Ok(())
}

/// Carries mail both ways until the connection breaks.
async fn converse<IO: Io>(
    connection: &mut Connection<'_, '_, IO>,
    flags: &Flags,
    node: &str,
    post: &mut Post<'_>,
) -> Result<(), Trouble> {
    loop {
        let event = {
            let progress = pin!(connection.poll());
            let node = select(post.up.receive(), post.signals.goodbye.wait());
            first_unless_busy(progress, node, flags).await
        };
        match event {
            Either::First(progress) => match progress {
                Ok(Some(message)) => deliver(&message, node, &mut post.down),
                Ok(None) => {}
                // One message was refused: the gateway has counted it, and no receipt will name it.
                Err(Error::Peer(PeerError::Rejected(_))) => {}
                Err(_) => return Err(Trouble::Lost),
            },
            Either::Second(Either::Second(())) => {
                flags.closing.set(true);
                // It is over either way.
                let _ = connection.disconnect().await;
                return Ok(());
            }
            Either::Second(Either::First(letter)) => {
                let (kind, payload) = letter.read();
                let topic = Topic { node, kind }.to_text();
                let sent = publish(connection, &topic, payload, node, &mut post.down).await;
                post.up.receive_done();
                sent?;
            }
        }
    }
}

/// Publishes with QoS 1, as soon as the acknowledgements of earlier messages leave room.
async fn publish<IO: Io>(
    connection: &mut Connection<'_, '_, IO>,
    topic: &str,
    payload: &[u8],
    node: &str,
    down: &mut Down<'_>,
) -> Result<(), Trouble> {
    loop {
        let publication = Publication::bytes(topic, payload).qos(QoS::AtLeastOnce);
        match connection.publish(publication).await {
            Ok(_) => return Ok(()),
            Err(PubError::Session(Error::NotReady))
            | Err(PubError::Session(Error::Resource(
                ResourceError::BufferTooSmall | ResourceError::InflightExhausted,
            )))
            | Err(PubError::Payload(_)) => {}
            Err(_) => return Err(Trouble::Lost),
        }
        match connection.poll().await {
            Ok(Some(message)) => deliver(&message, node, down),
            Ok(None) | Err(Error::Peer(PeerError::Rejected(_))) => {}
            Err(_) => return Err(Trouble::Lost),
        }
    }
}

/// Puts what came down where the node looks for it. It never waits, since the node may be waiting for us: a receipt that
/// finds no room is left out, for the next says the same and more; so is a configuration, which comes again with the next
/// connection.
fn deliver(message: &InboundPublish<'_>, node: &str, down: &mut Down<'_>) {
    match Topic::parse(message.topic()) {
        Ok(topic) if topic.node != node => {}
        Ok(topic) if topic.kind == Kind::Receipt => {
            drop_in(&mut down.receipts, topic.kind, message)
        }
        Ok(topic) if topic.kind == Kind::Config => drop_in(&mut down.configs, topic.kind, message),
        _ => {}
    }
}

fn drop_in<const N: usize>(
    to: &mut Outgoing<'_, Letter<N>>,
    kind: Kind,
    message: &InboundPublish<'_>,
) {
    if let Some(letter) = to.try_send()
        && letter.write(kind, message.payload())
    {
        to.send_done();
    }
}

/// The first to be ready; but while the stream is busy, `second` is not asked: its success would drop `first`.
async fn first_unless_busy<A: Future, B: Future>(
    mut first: Pin<&mut A>,
    second: B,
    flags: &Flags,
) -> Either<A::Output, B::Output> {
    let mut second = pin!(second);
    poll_fn(|cx| {
        if let Poll::Ready(output) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(output));
        }
        if flags.busy.get() {
            return Poll::Pending;
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}
