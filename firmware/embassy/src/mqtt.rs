//! One MQTT 5 connection, from CONNECT to its end.

use core::{
    cell::Cell,
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
    limits::{MAX_CONTROL_BYTES, MAX_PACK_BYTES},
    topic::Kind,
};

use crate::{
    limits::{DOWN, KEEP_ALIVE_S, MQTT},
    mail::{Incoming, Letter, Outgoing},
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
    pub(crate) down: Outgoing<'a, Letter<MAX_CONTROL_BYTES>>,
}

/// Runs one connection and says why it ended. `joined` is called once it is up and subscribed. While `busy` is true the
/// stream must be left alone to finish what it has begun.
pub(crate) async fn session<IO: Io>(
    io: IO,
    busy: &Cell<bool>,
    who: Credentials<'_>,
    (rx, tx): (&mut [u8], &mut [u8]),
    post: &mut Post<'_>,
    joined: impl FnOnce(),
) -> Trouble {
    let config = ConfigBuilder::new(Buffers::new(rx, tx))
        .keepalive_interval(KEEP_ALIVE_S)
        .client_id(who.node)
        .and_then(|config| config.auth(who.node, who.password.as_bytes()));
    // Ids and passwords are shorter than what the library takes.
    let Ok(config) = config else {
        return Trouble::Protocol;
    };
    // A new one each time, and a clean start: the outbox is what lasts, and it sends again what no receipt has named.
    let mut session = Session::new(config);
    let mut limit = pin!(embassy_time::Timer::after(MQTT));
    let connected = match select(session.connect(io), &mut limit).await {
        Either::First(connected) => connected,
        Either::Second(()) => return Trouble::Protocol,
    };
    let mut connection = match connected {
        Ok(connection) => connection,
        Err(error) => return refusal(&error),
    };
    let subscribed = select(subscribe(&mut connection, who.node, post), &mut limit);
    match subscribed.await {
        Either::First(Ok(())) => {}
        Either::First(Err(trouble)) => return trouble,
        Either::Second(()) => return Trouble::Protocol,
    }
    joined();
    converse(&mut connection, busy, who.node, post).await
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
    busy: &Cell<bool>,
    node: &str,
    post: &mut Post<'_>,
) -> Trouble {
    loop {
        let event = {
            let progress = pin!(connection.poll());
            first_unless_busy(progress, post.up.receive(), busy).await
        };
        match event {
            Either::First(progress) => match progress {
                Ok(Some(message)) => deliver(&message, node, &mut post.down),
                Ok(None) => {}
                // One message was refused: the gateway has counted it, and no receipt will name it.
                Err(Error::Peer(PeerError::Rejected(_))) => {}
                Err(_) => return Trouble::Lost,
            },
            Either::Second(letter) => {
                let (kind, payload) = letter.read();
                let topic = Topic { node, kind }.to_text();
                let sent = publish(connection, &topic, payload, node, &mut post.down).await;
                post.up.receive_done();
                if let Err(trouble) = sent {
                    return trouble;
                }
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
    down: &mut Outgoing<'_, Letter<MAX_CONTROL_BYTES>>,
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

/// Puts what came down where the node looks for it. It never waits: the node may be waiting for us. A receipt that finds no
/// room is left out, for the next says the same and more; one place is kept free of receipts, for a configuration.
fn deliver(
    message: &InboundPublish<'_>,
    node: &str,
    down: &mut Outgoing<'_, Letter<MAX_CONTROL_BYTES>>,
) {
    let kind = match Topic::parse(message.topic()) {
        Ok(topic) if topic.node == node && !topic.kind.is_uplink() => topic.kind,
        _ => return,
    };
    if kind == Kind::Receipt && down.len() + 1 >= DOWN {
        return;
    }
    if let Some(letter) = down.try_send()
        && letter.write(kind, message.payload())
    {
        down.send_done();
    }
}

/// The first to be ready; but while `busy`, `second` is not asked: its success would drop `first`.
async fn first_unless_busy<A: Future, B: Future>(
    mut first: Pin<&mut A>,
    second: B,
    busy: &Cell<bool>,
) -> Either<A::Output, B::Output> {
    let mut second = pin!(second);
    poll_fn(|cx| {
        if let Poll::Ready(output) = first.as_mut().poll(cx) {
            return Poll::Ready(Either::First(output));
        }
        if busy.get() {
            return Poll::Pending;
        }
        second.as_mut().poll(cx).map(Either::Second)
    })
    .await
}
