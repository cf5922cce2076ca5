//! A scripted modem at the far end of a pseudo-terminal.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use sen_notify::channel::modem::{Modem, Patience};
use sen_notify::channel::{Channel, Outcome, Retry};
use sen_notify::person::{Kind, Receipt};
use sen_notify::plan::Message;

use crate::fakes::message;

/// What the modem does when it has a message.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Good,
    /// Repeats what it is told, also after ATE0, and talks in between.
    Chatty,
    /// Never says a word.
    Dumb,
    /// No prompt.
    NoPrompt,
    /// Prompt, and then nothing.
    Hangs,
    Says(&'static str),
    /// Delivers, and says so.
    Reports(&'static str),
    /// Instead of the prompt.
    RefusesCommand,
    Garbage,
}

struct Fake {
    path: PathBuf,
    manner: Arc<Mutex<Manner>>,
    pdus: Arc<Mutex<Vec<String>>>,
}

fn fake(manner: Manner) -> Fake {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
    // Held open and raw, so that the line lives on between two sessions.
    let held = serial2_tokio_open(&path);
    let f = Fake {
        path,
        manner: Arc::new(Mutex::new(manner)),
        pdus: Arc::default(),
    };
    let (manner, pdus) = (f.manner.clone(), f.pdus.clone());
    std::thread::spawn(move || {
        let _held = held;
        let mut line = std::fs::File::from(master);
        let (mut text, mut in_message, mut mr) = (String::new(), false, 10u8);
        let mut byte = [0; 1];
        while line.read_exact(&mut byte).is_ok() {
            let how = *manner.lock().unwrap();
            let c = char::from(byte[0]);
            match c {
                '\x1b' => {
                    text.clear();
                    in_message = false;
                    continue;
                }
                '\x1a' if in_message => {
                    in_message = false;
                    pdus.lock().unwrap().push(std::mem::take(&mut text));
                    mr = mr.wrapping_add(1);
                    let taken = format!("\r\n+CMGS: {mr}\r\n\r\nOK\r\n");
                    let reply = match how {
                        Manner::Hangs => String::new(),
                        Manner::Says(words) => format!("\r\n{words}\r\n"),
                        Manner::Chatty => {
                            format!("\r\n+CREG: 1\r\n\r\nRING\r\n{taken}\r\n+CMTI: \"SM\",3\r\n")
                        }
                        Manner::Reports(status) => {
                            format!(
                                "{taken}\r\n+CDS: 25\r\n0006{mr:02X}0B914819325476F86211251300008262112513000582{status}\r\n"
                            )
                        }
                        _ => taken,
                    };
                    line.write_all(reply.as_bytes()).unwrap();
                    continue;
                }
                '\r' if !in_message => {}
                _ => {
                    text.push(c);
                    continue;
                }
            }
            let command = std::mem::take(&mut text);
            if how == Manner::Dumb || command.is_empty() {
                continue;
            }
            if how == Manner::Chatty {
                line.write_all(format!("{command}\r\r\n").as_bytes())
                    .unwrap();
            }
            let reply = match how {
                Manner::Garbage => "\u{fffd}".repeat(2000),
                Manner::RefusesCommand if command.starts_with("AT+CMGS") => {
                    "\r\n+CMS ERROR: 500\r\n".into()
                }
                Manner::NoPrompt if command.starts_with("AT+CMGS") => String::new(),
                _ if command.starts_with("AT+CMGS") => {
                    in_message = true;
                    "\r\n> ".into()
                }
                _ if command.starts_with("AT+CNMI") => "\r\nERROR\r\n".into(),
                _ => "\r\nOK\r\n".into(),
            };
            line.write_all(reply.as_bytes()).unwrap();
        }
    });
    f
}

fn serial2_tokio_open(path: &std::path::Path) -> serial2_tokio::SerialPort {
    serial2_tokio::SerialPort::open(path, 115_200).unwrap()
}

fn modem(f: &Fake) -> Modem {
    Modem::new(
        &f.path,
        115_200,
        Patience {
            command: Duration::from_millis(600),
            network: Duration::from_millis(600),
        },
    )
}

fn sms() -> Message {
    message(Kind::Modem, "+84912345678")
}

fn references(o: &Outcome) -> String {
    match o {
        Outcome::Received {
            receipt: Receipt::Accepted,
            reference: Some(r),
        } => r.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn sends_and_finds_the_delivery_report() {
    let f = fake(Manner::Reports("00"));
    let m = modem(&f);
    let r = references(&m.send(&sms()).await);
    assert_eq!(r, "11");
    assert_eq!(
        m.look(&r).await,
        Some(Outcome::Received {
            receipt: Receipt::Delivered,
            reference: None
        })
    );
    assert_eq!(m.look("99").await, None);
    let pdu = f.pdus.lock().unwrap()[0].clone();
    assert!(pdu.starts_with("0031000B914819325476F80000A7"), "{pdu}");
    *f.manner.lock().unwrap() = Manner::Reports("46");
    let r = references(&m.send(&sms()).await);
    assert!(matches!(m.look(&r).await, Some(Outcome::Failed(e)) if e.retry == Retry::Never));
    *f.manner.lock().unwrap() = Manner::Reports("30");
    let r = references(&m.send(&sms()).await);
    assert_eq!(m.look(&r).await, None, "the network still tries");
}

#[tokio::test]
async fn a_long_message_with_marks_goes_in_parts() {
    let f = fake(Manner::Good);
    let mut long = sms();
    long.content.body = "Ơi ".repeat(60);
    let r = references(&modem(&f).send(&long).await);
    assert_eq!(r, "11,12,13,14");
    let pdus = f.pdus.lock().unwrap().clone();
    assert!(
        pdus.iter()
            .enumerate()
            .all(|(n, p)| p.contains(&format!("0500030104{:02X}", n + 1))),
        "{pdus:?}"
    );
}

#[tokio::test]
async fn echo_and_unasked_lines_confuse_nobody() {
    let f = fake(Manner::Chatty);
    let m = modem(&f);
    assert_eq!(references(&m.send(&sms()).await), "11");
    assert_eq!(references(&m.send(&sms()).await), "12");
}

#[tokio::test]
async fn what_goes_wrong_is_tried_again_and_does_not_stick() {
    let cases = [
        (Manner::Dumb, "does not answer"),
        (Manner::NoPrompt, "no prompt"),
        (Manner::Hangs, "did not say"),
        (Manner::Says("ERROR"), "ERROR"),
        (Manner::Says("+CMS ERROR: 38"), "38"),
        (Manner::Says("OK"), "no +CMGS"),
        (Manner::RefusesCommand, "500"),
        (Manner::Garbage, "does not answer"),
    ];
    for (manner, expected) in cases {
        let f = fake(manner);
        let m = modem(&f);
        let Outcome::Failed(e) = m.send(&sms()).await else {
            panic!("{expected}")
        };
        assert!(
            e.retry == Retry::Later && e.why.contains(expected),
            "{expected}: {}",
            e.why
        );
        *f.manner.lock().unwrap() = Manner::Good;
        references(&m.send(&sms()).await);
    }
}

#[tokio::test]
async fn a_number_that_does_not_exist_is_not_tried_again() {
    let f = fake(Manner::Says("+CMS ERROR: 1"));
    let Outcome::Failed(e) = modem(&f).send(&sms()).await else {
        panic!()
    };
    assert_eq!(e.retry, Retry::Never);
    let Outcome::Failed(e) = modem(&f).send(&message(Kind::Modem, "0912345678")).await else {
        panic!()
    };
    assert!(e.retry == Retry::Never && e.why.contains("write +84 912345678"));
}

#[tokio::test]
async fn a_send_that_is_cancelled_half_way_leaves_no_trace() {
    let f = fake(Manner::Hangs);
    let m = modem(&f);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), m.send(&sms()))
            .await
            .is_err()
    );
    *f.manner.lock().unwrap() = Manner::Good;
    references(&m.send(&sms()).await);
}

#[tokio::test]
async fn no_modem_is_no_panic() {
    let m = Modem::new(
        std::path::Path::new("/dev/there-is-no-modem"),
        115_200,
        Patience::default(),
    );
    let Outcome::Failed(e) = m.send(&sms()).await else {
        panic!()
    };
    assert_eq!(e.retry, Retry::Later);
}
