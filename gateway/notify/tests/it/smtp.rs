use std::sync::{Arc, Mutex};
use std::time::Duration;

use sen_notify::channel::email::{Email, Security, Settings};
use sen_notify::channel::{Channel, Outcome, Retry, Secret};
use sen_notify::person::{Kind, Receipt};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::fakes::message;

/// A mail server that answers one verb as it is told to, and everything else well.
struct Server {
    port: u16,
    mails: Arc<Mutex<Vec<String>>>,
}

async fn server(verb: &'static str, answer: &'static str) -> Server {
    let l = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = l.local_addr().unwrap().port();
    let mails: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = mails.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = l.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                let (r, mut w) = stream.into_split();
                let mut lines = BufReader::new(r).lines();
                let first = if verb == "BANNER" { answer } else { "220 fake" };
                w.write_all(format!("{first}\r\n").as_bytes()).await.ok();
                let mut mail: Option<String> = None;
                while let Ok(Some(line)) = lines.next_line().await {
                    if let Some(text) = &mut mail {
                        if line != "." {
                            text.push_str(&line);
                            text.push('\n');
                            continue;
                        }
                        kept.lock().unwrap().extend(mail.take());
                        let end = if verb == "END" { answer } else { "250 taken" };
                        w.write_all(format!("{end}\r\n").as_bytes()).await.ok();
                        continue;
                    }
                    let said = line.split(' ').next().unwrap_or("").to_uppercase();
                    let reply = match said.as_str() {
                        v if v == verb => answer,
                        "DATA" => "354 go on",
                        "QUIT" => "221 bye",
                        _ => "250 ok",
                    };
                    if said == "DATA" && reply.starts_with('3') {
                        mail = Some(String::new());
                    }
                    if reply.is_empty() {
                        // Silence.
                        tokio::time::sleep(Duration::from_secs(30)).await;
                    }
                    w.write_all(format!("{reply}\r\n").as_bytes()).await.ok();
                }
            });
        }
    });
    Server { port, mails }
}

fn email(port: u16) -> Email {
    Email::new(Settings {
        server: "127.0.0.1".into(),
        port,
        security: Security::None,
        login: None,
        from: "Sen <sen@farm.example>".into(),
        timeout: Duration::from_millis(500),
    })
    .unwrap()
}

#[tokio::test]
async fn a_mail_has_the_key_as_its_id_and_the_link() {
    let s = server("", "").await;
    let m = message(Kind::Email, "an@farm.example");
    assert_eq!(
        email(s.port).send(&m).await,
        Outcome::Received {
            receipt: Receipt::Accepted,
            reference: None
        }
    );
    let mail = s.mails.lock().unwrap().pop().unwrap();
    assert!(
        mail.contains(&format!("Message-ID: <{}@farm.example>", m.key)),
        "{mail}"
    );
    assert!(
        mail.contains("Auto-Submitted: auto-generated") && mail.contains("To: an@farm.example")
    );
    assert!(mail.contains("https://sen.example/a/a"));
}

#[tokio::test]
async fn what_a_server_says_decides_about_another_try() {
    let cases = [
        ("RCPT", "550 no such mailbox", Retry::Never),
        ("RCPT", "450 try later", Retry::Later),
        ("END", "452 disk full", Retry::Later),
        ("END", "554 spam", Retry::Never),
        ("MAIL", "530 log in first", Retry::Later),
        ("DATA", "nonsense", Retry::Later),
        ("RCPT", "", Retry::Later),
        ("BANNER", "554 not today", Retry::Never),
    ];
    for (verb, answer, expected) in cases {
        let s = server(verb, answer).await;
        let outcome = email(s.port)
            .send(&message(Kind::Email, "an@farm.example"))
            .await;
        let Outcome::Failed(f) = outcome else {
            panic!("{verb} {answer}: {outcome:?}")
        };
        assert_eq!(f.retry, expected, "{verb} {answer}: {}", f.why);
    }
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let Outcome::Failed(f) = email(gone)
        .send(&message(Kind::Email, "an@farm.example"))
        .await
    else {
        panic!()
    };
    assert_eq!(f.retry, Retry::Later);
    let Outcome::Failed(f) = email(gone).send(&message(Kind::Email, "no address")).await else {
        panic!()
    };
    assert_eq!(f.retry, Retry::Never);
}

#[test]
fn a_password_does_not_go_over_an_open_line() {
    let s = Settings {
        server: "mail.example".into(),
        port: 25,
        security: Security::None,
        login: Some(("sen".into(), Secret::new("pass"))),
        from: "sen@farm.example".into(),
        timeout: Duration::from_secs(1),
    };
    assert!(!format!("{s:?}").contains("pass\""));
    assert!(Email::new(s.clone()).is_err());
    assert!(
        Email::new(Settings {
            security: Security::Tls,
            ..s.clone()
        })
        .is_ok()
    );
    assert!(
        Email::new(Settings {
            security: Security::StartTls,
            ..s.clone()
        })
        .is_ok()
    );
    assert!(
        Email::new(Settings {
            security: Security::Tls,
            from: "nobody".into(),
            ..s
        })
        .is_err()
    );
}
