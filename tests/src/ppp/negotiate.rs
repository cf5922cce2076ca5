//! What the two ends agree on before IP flows: LCP (RFC 1661) and IPCP (RFC 1332, RFC 1877).

use super::{BOARD, GATEWAY, IPCP, LCP};

const REQUEST: u8 = 1;
const ACK: u8 = 2;
const NAK: u8 = 3;
const REJECT: u8 = 4;
const TERMINATE: u8 = 5;
const TERMINATED: u8 = 6;
const ECHO: u8 = 9;
const ECHOED: u8 = 10;

/// IPCP's options: the address, and the first name server.
const ADDRESS: u8 = 3;
const NAME_SERVER: u8 = 0x81;

/// Our side of it. It has no state to fall out of step with: it answers what is asked, and asks when it is asked.
#[derive(Debug, Default)]
pub(super) struct Negotiation {
    agreed: usize,
}

impl Negotiation {
    pub(super) fn agreed(&self) -> usize {
        self.agreed
    }

    /// What to say to this packet.
    pub(super) fn answer(&mut self, protocol: u16, packet: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let [code, id, high, low, rest @ ..] = packet else {
            return Vec::new();
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(body) = rest.get(..length.saturating_sub(4)) else {
            return Vec::new();
        };
        match (protocol, *code) {
            // Whatever the board wants of the line suits us, and we want nothing.
            (LCP, REQUEST) => vec![
                (LCP, control(ACK, *id, body)),
                (LCP, control(REQUEST, 1, &[])),
            ],
            (LCP, ACK) => vec![(
                IPCP,
                control(REQUEST, 1, &option(ADDRESS, GATEWAY.octets())),
            )],
            (LCP, ECHO) => vec![(LCP, control(ECHOED, *id, body))],
            (LCP, TERMINATE) => vec![(LCP, control(TERMINATED, *id, &[]))],
            (IPCP, REQUEST) => vec![(IPCP, self.address(*id, body))],
            _ => Vec::new(),
        }
    }

    /// The board gets the address and the name server that we have for it, and nothing else.
    fn address(&mut self, id: u8, body: &[u8]) -> Vec<u8> {
        let (mut better, mut unknown) = (Vec::new(), Vec::new());
        let mut rest = body;
        while let [kind, length, ..] = *rest {
            let length = usize::from(length).clamp(2, rest.len());
            let (this, next) = rest.split_at(length);
            rest = next;
            let ours = match kind {
                ADDRESS => option(ADDRESS, BOARD.octets()),
                NAME_SERVER => option(NAME_SERVER, GATEWAY.octets()),
                _ => {
                    unknown.extend(this);
                    continue;
                }
            };
            if this != ours {
                better.extend(ours);
            }
        }
        if !unknown.is_empty() {
            control(REJECT, id, &unknown)
        } else if !better.is_empty() {
            control(NAK, id, &better)
        } else {
            self.agreed += 1;
            control(ACK, id, body)
        }
    }
}

fn option(kind: u8, value: [u8; 4]) -> Vec<u8> {
    [&[kind, 6][..], &value].concat()
}

fn control(code: u8, id: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() + 4) as u16;
    let [high, low] = length.to_be_bytes();
    [&[code, id, high, low][..], body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_board_its_address_and_takes_no_other() {
        let mut negotiation = Negotiation::default();
        let mut ask = |body: &[u8]| {
            let answer = negotiation.answer(IPCP, &control(REQUEST, 7, body));
            answer.into_iter().next().map(|(_, packet)| packet)
        };
        let none = option(ADDRESS, [0; 4]);
        let right = option(ADDRESS, BOARD.octets());
        assert_eq!(ask(&none), Some(control(NAK, 7, &right)));
        assert_eq!(ask(&right), Some(control(ACK, 7, &right)));
        let second = option(0x83, [0; 4]);
        let both = [right, second.clone()].concat();
        assert_eq!(ask(&both), Some(control(REJECT, 7, &second)));
        assert_eq!(negotiation.agreed(), 1);
    }

    #[test]
    fn a_packet_that_is_cut_short_is_not_answered() {
        let whole = control(REQUEST, 1, &option(ADDRESS, [0; 4]));
        for length in 0..whole.len() {
            let answer = Negotiation::default().answer(LCP, &whole[..length]);
            assert!(answer.is_empty(), "{length}");
        }
    }
}
