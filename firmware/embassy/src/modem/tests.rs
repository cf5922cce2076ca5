use super::*;

use core::convert::Infallible;
use std::{collections::VecDeque, string::String, vec::Vec};

use embassy_futures::block_on;
use embedded_io_async::{ErrorType, Read};

const QUICK: Pace = Pace {
    guard: Duration::from_millis(2),
    gap: Duration::from_millis(2),
    answer: Duration::from_millis(30),
    wake: Duration::from_millis(200),
    register: Duration::from_millis(200),
    connect: Duration::from_millis(200),
};

/// A modem: says what its script has for a command, byte by byte, in chunks of any size.
struct Fake {
    script: Vec<(&'static str, Vec<&'static str>)>,
    typed: String,
    commands: Vec<String>,
    says: VecDeque<u8>,
    /// Commands that it sleeps through.
    asleep: usize,
    chunk: usize,
}

impl Fake {
    fn new(changes: &[(&'static str, &[&'static str])]) -> Self {
        let usual: [(&str, &[&str]); 9] = [
            ("+++ATH", &["\r\nOK\r\n"]),
            ("AT", &["\r\nOK\r\n"]),
            ("ATE0", &["ATE0\r\r\nOK\r\n"]),
            ("AT+CPIN?", &["\r\n+CPIN: READY\r\n\r\nOK\r\n"]),
            ("AT+CEREG?", &["\r\n+CEREG: 0,1\r\n\r\nOK\r\n"]),
            ("AT+CGREG?", &["\r\n+CGREG: 0,0\r\n\r\nOK\r\n"]),
            ("AT+CSQ", &["\r\n+CSQ: 17,99\r\n\r\nOK\r\n"]),
            ("AT+CGDCONT=1,\"IP\",\"v-internet\"", &["\r\nOK\r\n"]),
            ("ATD*99#", &["\r\nCONNECT 115200\r\n~\x7f}#"]),
        ];
        let script = changes.iter().chain(&usual);
        Self {
            script: script
                .map(|(command, says)| (*command, says.to_vec()))
                .collect(),
            typed: String::new(),
            commands: Vec::new(),
            says: VecDeque::new(),
            asleep: 0,
            chunk: 1,
        }
    }

    fn dial(&mut self) -> Result<Dialled, DialError> {
        block_on(dial(self, "v-internet", &QUICK))
    }

    fn hears(&mut self, command: String) {
        if self.asleep > 0 {
            self.asleep -= 1;
        } else if let Some((_, says)) = self.script.iter_mut().find(|(known, _)| *known == command)
        {
            // The last answer is given again and again.
            let said = if says.len() > 1 {
                says.remove(0)
            } else {
                says[0]
            };
            self.says.extend(said.bytes());
        }
        self.commands.push(command);
    }
}

impl ErrorType for Fake {
    type Error = Infallible;
}

impl Read for Fake {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, Infallible> {
        unreachable!("the dialogue reads its buffer")
    }
}

impl BufRead for Fake {
    async fn fill_buf(&mut self) -> Result<&[u8], Infallible> {
        if self.says.is_empty() {
            core::future::pending::<()>().await;
        }
        let chunk = self.chunk.min(self.says.len());
        Ok(&self.says.make_contiguous()[..chunk])
    }

    fn consume(&mut self, amount: usize) {
        self.says.drain(..amount);
    }
}

impl Write for Fake {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for byte in bytes {
            match byte {
                b'\r' => {
                    let command = core::mem::take(&mut self.typed);
                    self.hears(command);
                }
                byte => self.typed.push(char::from(*byte)),
            }
        }
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

#[test]
fn dials_and_leaves_the_first_frame_unread() {
    for chunk in [1, 3, 64] {
        let mut modem = Fake::new(&[]);
        modem.chunk = chunk;
        assert_eq!(
            modem.dial(),
            Ok(Dialled {
                rssi_dbm: Some(-79)
            })
        );
        assert_eq!(modem.says, b"~\x7f}#", "in chunks of {chunk}");
    }
}

#[test]
fn waits_for_a_modem_that_wakes_up_and_one_that_searches() {
    let searching = [
        "\r\n+CEREG: 0,2\r\n\r\nOK\r\n",
        "\r\n+CEREG: 0,5\r\n\r\nOK\r\n",
    ];
    let mut modem = Fake::new(&[("AT+CEREG?", &searching)]);
    modem.asleep = 3;
    assert!(modem.dial().is_ok());
    assert_eq!(
        modem
            .commands
            .iter()
            .filter(|command| *command == "AT+CEREG?")
            .count(),
        2
    );
}

#[test]
fn passes_over_what_nobody_asked_for() {
    let mut modem = Fake::new(&[
        (
            "AT+CSQ",
            &["\r\nSMS DONE\r\n\r\n+CSQ: 99,99\r\n\r\nPB DONE\r\n\r\nOK\r\n"],
        ),
        (
            "AT",
            &["\r\nRDY\r\n\r\n+CPIN: READY\r\n\r\nOK\r\n\r\nOK\r\n"],
        ),
    ]);
    modem
        .says
        .extend(b"~\xff}#\xc0!}!~ left over".iter().chain(&[b'x'; 300]));
    assert_eq!(modem.dial(), Ok(Dialled { rssi_dbm: None }));
}

#[test]
fn names_what_is_wrong() {
    type Changes<'a> = &'a [(&'static str, &'a [&'static str])];
    let wrong: [(Changes<'_>, DialError); 6] = [
        (&[("AT", &[""])], DialError::Silent),
        (
            &[("AT+CPIN?", &["\r\n+CME ERROR: SIM not inserted\r\n"])],
            DialError::NoSim,
        ),
        (
            &[("AT+CPIN?", &["\r\n+CPIN: SIM PIN\r\n\r\nOK\r\n"])],
            DialError::NoSim,
        ),
        (
            &[("AT+CEREG?", &["\r\n+CEREG: 0,3\r\n\r\nOK\r\n"])],
            DialError::NoNetwork,
        ),
        (
            &[("AT+CGDCONT=1,\"IP\",\"v-internet\"", &["\r\nERROR\r\n"])],
            DialError::Refused,
        ),
        (&[("ATD*99#", &["\r\nNO CARRIER\r\n"])], DialError::Refused),
    ];
    for (changes, error) in wrong {
        assert_eq!(Fake::new(changes).dial(), Err(error));
    }
}

#[test]
fn never_sends_an_apn_that_would_be_another_command() {
    let mut modem = Fake::new(&[]);
    for apn in ["a\"\rATZ", "a\"", "a b", "a\n"] {
        assert_eq!(block_on(dial(&mut modem, apn, &QUICK)), Err(DialError::Apn));
    }
    assert!(modem.commands.is_empty());
}
