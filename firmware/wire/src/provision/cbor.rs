//! The block's CBOR map.

use minicbor::{Decode, Encode};

use super::{Field, Gateway, Hidden, KEY_BYTES, Mobile, Provision, ProvisionError, Tls, Wifi};

/// The map as it stands in flash; `None`: not there.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct Raw<'a> {
    #[b(0)]
    node: Option<&'a str>,
    #[b(1)]
    password: Option<&'a str>,
    #[b(2)]
    host: Option<&'a str>,
    #[n(3)]
    port: Option<u16>,
    #[n(4)]
    tls: Option<bool>,
    #[cbor(b(5), with = "minicbor::bytes")]
    gateway_key: Option<&'a [u8]>,
    #[b(6)]
    wifi_name: Option<&'a str>,
    #[b(7)]
    wifi_password: Option<&'a str>,
    #[b(8)]
    apn: Option<&'a str>,
    #[b(9)]
    apn_user: Option<&'a str>,
    #[b(10)]
    apn_password: Option<&'a str>,
    #[b(11)]
    board: Option<&'a str>,
    #[n(12)]
    led: Option<bool>,
    #[n(13)]
    bus_baud: Option<u32>,
}

impl<'a> From<&Provision<'a>> for Raw<'a> {
    fn from(p: &Provision<'a>) -> Self {
        let (tls, gateway_key) = match p.gateway.tls {
            Tls::Off => (false, None),
            Tls::Pinned(key) => (true, Some(&key[..])),
        };
        let secret = |hidden: Hidden<'a>| hidden.0;
        Self {
            node: Some(p.node),
            password: Some(p.password.0),
            host: Some(p.gateway.host),
            port: Some(p.gateway.port),
            tls: Some(tls),
            gateway_key,
            wifi_name: p.wifi.map(|w| w.name),
            wifi_password: p.wifi.and_then(|w| w.password).map(secret),
            apn: p.mobile.map(|m| m.apn),
            apn_user: p.mobile.and_then(|m| m.user),
            apn_password: p.mobile.and_then(|m| m.password).map(secret),
            board: Some(p.board),
            led: Some(p.led),
            bus_baud: p.bus_baud,
        }
    }
}

/// Reads the map: no more and no less than one.
pub(super) fn read(body: &[u8]) -> Result<Provision<'_>, ProvisionError> {
    let mut decoder = minicbor::Decoder::new(body);
    let raw: Raw<'_> = decoder.decode().map_err(|_| ProvisionError::Malformed)?;
    if decoder.position() != body.len() {
        return Err(ProvisionError::Malformed);
    }
    raw.resolve()
}

impl<'a> Raw<'a> {
    fn resolve(self) -> Result<Provision<'a>, ProvisionError> {
        fn must<T>(value: Option<T>, field: Field) -> Result<T, ProvisionError> {
            value.ok_or(ProvisionError::Missing(field))
        }
        let tls = if must(self.tls, Field::Tls)? {
            let key = must(self.gateway_key, Field::GatewayKey)?;
            let key: &[u8; KEY_BYTES] = key
                .try_into()
                .map_err(|_| ProvisionError::Bad(Field::GatewayKey))?;
            Tls::Pinned(key)
        } else {
            Tls::Off
        };
        // A password without the network that it is of: something was lost.
        let wifi = match (self.wifi_name, self.wifi_password) {
            (Some(name), password) => Some(Wifi {
                name,
                password: password.map(Hidden),
            }),
            (None, None) => None,
            (None, Some(_)) => return Err(ProvisionError::Missing(Field::WifiName)),
        };
        let mobile = match (self.apn, self.apn_user, self.apn_password) {
            (Some(apn), user, password) => Some(Mobile {
                apn,
                user,
                password: password.map(Hidden),
            }),
            (None, None, None) => None,
            (None, ..) => return Err(ProvisionError::Missing(Field::Apn)),
        };
        Ok(Provision {
            node: must(self.node, Field::Node)?,
            password: Hidden(must(self.password, Field::Password)?),
            gateway: Gateway {
                host: must(self.host, Field::Host)?,
                port: must(self.port, Field::Port)?,
                tls,
            },
            wifi,
            mobile,
            board: must(self.board, Field::Board)?,
            led: self.led.unwrap_or(true),
            bus_baud: self.bus_baud,
        })
    }
}
