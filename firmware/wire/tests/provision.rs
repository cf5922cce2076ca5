//! The node configuration in flash: frozen bytes, every refusal by name, and no panic from any page.

use proptest::prelude::*;
use sen_wire::provision::{
    FORMAT, Field, Gateway, Hidden, KEY_BYTES, MAX_BLOCK, MAX_HOST, MAX_SECRET, MAX_WIFI_NAME,
    Mobile, PAGE, Provision, ProvisionError, Tls, Wifi,
};

const FULL: &[u8] = include_bytes!("../golden/v1/provision.bin");
const BARE: &[u8] = include_bytes!("../golden/v1/provision-bare.bin");
const HEAD: usize = 12;

fn key() -> [u8; KEY_BYTES] {
    std::array::from_fn(|i| if i == 0 { 4 } else { i as u8 })
}

fn full(key: &[u8; KEY_BYTES]) -> Provision<'_> {
    let gateway = Gateway {
        host: "gateway.local",
        port: 8883,
        tls: Tls::Pinned(key),
    };
    Provision {
        wifi: Some(Wifi {
            name: "Trại tôm Đông",
            password: Some(Hidden("mật khẩu 9")),
        }),
        mobile: Some(Mobile {
            apn: "v-internet",
            user: Some("user"),
            password: Some(Hidden("secret")),
        }),
        led: false,
        bus_baud: Some(9600),
        ..Provision::new("pond-3", "correct-horse-battery", gateway, "esp32c3")
    }
}

fn bare() -> Provision<'static> {
    let gateway = Gateway {
        host: "192.168.1.10",
        port: 1883,
        tls: Tls::Off,
    };
    Provision::new("a", "0123456789abcdef", gateway, "qemu-mps2")
}

/// A block around any body, with a CRC that is right.
fn block(format: u16, body: &[u8]) -> Vec<u8> {
    let mut sealed = [format.to_le_bytes(), (body.len() as u16).to_le_bytes()].concat();
    sealed.extend(body);
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&sealed);
    let (head, body) = sealed.split_at(4);
    [b"SENP", head, &crc.to_le_bytes(), body].concat()
}

/// The page with one key of the map taken out.
fn without(page: &[u8], gone: u8) -> Vec<u8> {
    let body = &page[HEAD..];
    let mut d = minicbor::Decoder::new(body);
    let pairs = d.map().expect("a map").expect("its length");
    let mut kept = vec![0xa0 | (pairs as u8 - 1)];
    for _ in 0..pairs {
        let from = d.position();
        let key = d.u8().expect("a key");
        d.skip().expect("a value");
        if key != gone {
            kept.extend(&body[from..d.position()]);
        }
    }
    block(FORMAT, &kept)
}

#[test]
fn golden_blocks() {
    let key = key();
    for (golden, node) in [(FULL, full(&key)), (BARE, bare())] {
        let mut page = [0xff; PAGE];
        assert_eq!(node.encode(&mut page), Ok(golden));
        assert!(page[golden.len()..].iter().all(|b| *b == 0xff));
        assert_eq!(Provision::decode(&page), Ok(node));
        assert_eq!(
            Provision::decode(golden),
            Ok(node),
            "without the rest of the page"
        );
    }
    assert_eq!(full(&key).gateway.address(), None);
    assert_eq!(bare().gateway.address(), Some([192, 168, 1, 10].into()));
}

#[test]
fn every_failure_has_its_name() {
    let read = |page: &[u8]| Provision::decode(page).map(|_| ());
    let refused = |e| Err::<(), _>(e);
    let mut page = [0xff; PAGE];
    assert_eq!(read(&page), refused(ProvisionError::Empty));
    assert_eq!(read(&[0; PAGE]), refused(ProvisionError::Empty));
    assert_eq!(read(&[]), refused(ProvisionError::Length));
    page[..5].copy_from_slice(b"ESP32");
    assert_eq!(read(&page), refused(ProvisionError::Magic));
    assert_eq!(
        read(&FULL[..FULL.len() - 1]),
        refused(ProvisionError::Length)
    );
    assert_eq!(read(&block(2, b"\xa0")), refused(ProvisionError::Newer));
    assert_eq!(read(&block(2, b"whatever")), refused(ProvisionError::Newer));
    assert_eq!(read(&block(0, b"\xa0")), refused(ProvisionError::Malformed));
    assert_eq!(read(&block(1, b"")), refused(ProvisionError::Malformed));
    assert_eq!(read(&block(1, b"\x80")), refused(ProvisionError::Malformed));
    assert_eq!(
        read(&block(1, &[&FULL[HEAD..], &[0]].concat())),
        refused(ProvisionError::Malformed),
        "a byte behind the map"
    );
    assert_eq!(
        Provision::for_board(FULL, "stm32f405"),
        Err(ProvisionError::OtherBoard)
    );
    assert!(Provision::for_board(FULL, "esp32c3").is_ok());
    for (key, field) in [
        (0, Field::Node),
        (1, Field::Password),
        (2, Field::Host),
        (3, Field::Port),
        (4, Field::Tls),
        (5, Field::GatewayKey),
        (6, Field::WifiName),
        (8, Field::Apn),
        (11, Field::Board),
    ] {
        assert_eq!(
            read(&without(FULL, key)),
            refused(ProvisionError::Missing(field))
        );
    }
    for optional in [7, 9, 10, 12, 13] {
        assert_eq!(read(&without(FULL, optional)), Ok(()), "key {optional}");
    }
}

#[test]
fn a_newer_minor_key_is_skipped() {
    let mut body = BARE[HEAD..].to_vec();
    body[0] += 1;
    body.extend([0x18, 40, 0x82, 1, 0xa1, 0x61, b'x', 0xf6]);
    assert_eq!(Provision::decode(&block(1, &body)), Ok(bare()));
}

#[test]
fn no_single_damaged_bit_is_taken() {
    for bit in 0..FULL.len() * 8 {
        let mut page = [0xff; PAGE];
        page[..FULL.len()].copy_from_slice(FULL);
        page[bit / 8] ^= 1 << (bit % 8);
        let got = Provision::decode(&page);
        assert!(
            matches!(
                got,
                Err(ProvisionError::Magic | ProvisionError::Length | ProvisionError::Crc)
            ),
            "bit {bit}: {got:?}"
        );
    }
}

#[test]
fn a_write_that_was_cut_is_not_taken() {
    for written in 0..FULL.len() {
        let mut page = [0xff; PAGE];
        page[..written].copy_from_slice(&FULL[..written]);
        assert!(Provision::decode(&page).is_err(), "{written} bytes");
    }
}

#[test]
fn the_largest_node_fits() {
    let longest = |n: usize| "x".repeat(n);
    let (secret, host, name) = (
        longest(MAX_SECRET),
        longest(MAX_HOST),
        longest(MAX_WIFI_NAME),
    );
    let key = key();
    let gateway = Gateway {
        host: &host,
        port: u16::MAX,
        tls: Tls::Pinned(&key),
    };
    let id = longest(32);
    let board = longest(16);
    let node = Provision {
        wifi: Some(Wifi {
            name: &name,
            password: Some(Hidden(&secret)),
        }),
        mobile: Some(Mobile {
            apn: &secret,
            user: Some(&secret),
            password: Some(Hidden(&secret)),
        }),
        bus_baud: Some(1_000_000),
        ..Provision::new(&id, &secret, gateway, &board)
    };
    let mut buffer = [0; MAX_BLOCK];
    let block = node.encode(&mut buffer).expect("it fits");
    assert_eq!(Provision::decode(block), Ok(node));
    for room in 0..block.len() {
        assert_eq!(
            node.encode(&mut vec![0; room]),
            Err(ProvisionError::NoRoom),
            "{room} bytes"
        );
    }
}

#[test]
fn bounds_hold_when_written_and_when_read() {
    let key = key();
    let compressed = [2; KEY_BYTES];
    let long = "x".repeat(65);
    let node = full(&key);
    let bad = |node: Provision<'_>| node.encode(&mut [0; PAGE]).map(|_| ());
    let gateway = node.gateway;
    let wifi = |name, password| Provision {
        wifi: Some(Wifi { name, password }),
        ..node
    };
    let cases = [
        (
            Field::Node,
            Provision {
                node: "Ao-3",
                ..node
            },
        ),
        (
            Field::Password,
            Provision {
                password: Hidden("short"),
                ..node
            },
        ),
        (
            Field::Password,
            Provision {
                password: Hidden(&long),
                ..node
            },
        ),
        (
            Field::Host,
            Provision {
                gateway: Gateway {
                    host: "",
                    ..gateway
                },
                ..node
            },
        ),
        (
            Field::Host,
            Provision {
                gateway: Gateway {
                    host: "two words",
                    ..gateway
                },
                ..node
            },
        ),
        (
            Field::Port,
            Provision {
                gateway: Gateway { port: 0, ..gateway },
                ..node
            },
        ),
        (
            Field::GatewayKey,
            Provision {
                gateway: Gateway {
                    tls: Tls::Pinned(&compressed),
                    ..gateway
                },
                ..node
            },
        ),
        (Field::WifiName, wifi("", None)),
        (Field::WifiPassword, wifi("a", Some(Hidden("1234567")))),
        (
            Field::Apn,
            Provision {
                mobile: Some(Mobile {
                    apn: "",
                    user: None,
                    password: None,
                }),
                ..node
            },
        ),
        (
            Field::ApnUser,
            Provision {
                mobile: Some(Mobile {
                    apn: "a",
                    user: Some(&long),
                    password: None,
                }),
                ..node
            },
        ),
        (
            Field::ApnPassword,
            Provision {
                mobile: Some(Mobile {
                    apn: "a",
                    user: None,
                    password: Some(Hidden("")),
                }),
                ..node
            },
        ),
        (
            Field::Board,
            Provision {
                board: "a-board-of-17-char",
                ..node
            },
        ),
        (
            Field::BusBaud,
            Provision {
                bus_baud: Some(299),
                ..node
            },
        ),
    ];
    for (field, node) in cases {
        assert_eq!(bad(node), Err(ProvisionError::Bad(field)));
    }
    // Read: a port of 0 that some other tool has written.
    let text = &BARE[HEAD..];
    let at = text
        .windows(4)
        .position(|w| w == [3, 0x19, 0x07, 0x5b])
        .expect("the port");
    let mut body = text.to_vec();
    body[at + 2..at + 4].copy_from_slice(&[0, 0]);
    assert_eq!(
        Provision::decode(&block(1, &body)),
        Err(ProvisionError::Bad(Field::Port))
    );
}

#[test]
fn nothing_secret_prints() {
    let shown = format!("{:?}", full(&key()));
    for secret in ["correct-horse-battery", "mật khẩu 9", "secret"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn labels_are_distinct() {
    use ProvisionError::*;
    let all = [
        Empty,
        Magic,
        Newer,
        Length,
        Crc,
        Malformed,
        Missing(Field::Node),
        Bad(Field::Node),
        OtherBoard,
        NoRoom,
    ];
    let labels: std::collections::BTreeSet<_> = all.iter().map(ProvisionError::reason).collect();
    assert_eq!(labels.len(), all.len());
    let names: std::collections::BTreeSet<_> = Field::ALL.iter().map(|f| f.name()).collect();
    assert_eq!(names.len(), Field::ALL.len());
    assert_eq!(
        Missing(Field::GatewayKey).to_string(),
        "the node configuration lacks gateway_key"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Behind a CRC that is right, any bytes: refused or read, never a panic; what is read can be written.
    #[test]
    fn any_body_is_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..300), format in 0u16..3) {
        if let Ok(node) = Provision::decode(&block(format, &body)) {
            prop_assert!(node.encode(&mut [0; PAGE]).is_ok());
        }
        let _ = Provision::decode(&body);
    }

    /// Golden bodies with bytes changed, behind a CRC that is right.
    #[test]
    fn any_changed_body_is_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        for golden in [FULL, BARE] {
            let mut body = golden[HEAD..].to_vec();
            for (at, byte) in &changes {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            for body in [&body[..], &body[..cut.index(body.len())]] {
                if let Ok(node) = Provision::decode(&block(FORMAT, body)) {
                    prop_assert!(node.encode(&mut [0; PAGE]).is_ok());
                }
            }
        }
    }

    /// What was written is read back, whatever the words are.
    #[test]
    fn round_trip(
        (node, password) in ("[a-z0-9-]{1,32}", "[ -~]{16,64}"),
        (host, port) in ("[!-~]{1,64}", 1u16..),
        wifi in prop::option::of(("\\PC{1,8}", prop::option::of("[ -~]{8,64}"))),
        mobile in prop::option::of(("[!-~]{1,64}", prop::option::of("[!-~]{1,64}"), prop::option::of("[!-~]{1,64}"))),
        tls in any::<bool>(),
        (board, led, baud) in ("[a-z0-9-]{1,16}", any::<bool>(), prop::option::of(300u32..=1_000_000)),
    ) {
        let key = key();
        let gateway = Gateway { host: &host, port, tls: if tls { Tls::Pinned(&key) } else { Tls::Off } };
        let written = Provision {
            wifi: wifi.as_ref().map(|(name, p)| Wifi { name, password: p.as_deref().map(Hidden) }),
            mobile: mobile.as_ref().map(|(apn, u, p)| Mobile { apn, user: u.as_deref(), password: p.as_deref().map(Hidden) }),
            led,
            bus_baud: baud,
            ..Provision::new(&node, &password, gateway, &board)
        };
        let mut page = [0xff; PAGE];
        written.encode(&mut page).expect("within its bounds");
        prop_assert_eq!(Provision::for_board(&page, &board), Ok(written));
    }
}
