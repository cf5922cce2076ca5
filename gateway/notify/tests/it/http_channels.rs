use std::time::{Duration, SystemTime};

use sen_notify::channel::esms::Esms;
use sen_notify::channel::telegram::Telegram;
use sen_notify::channel::web_push::WebPush;
use sen_notify::channel::webhook::{Webhook, signature};
use sen_notify::channel::zalo::{AccessToken, Template, Zalo};
use sen_notify::channel::{Channel, Outcome, Retry, Secret};
use sen_notify::person::{Kind, Language, Receipt};
use sen_notify::text::Subject;

use crate::fakes::{Answer, Fake, answer, message, nobody};

const PHONE: &str = "+84912345678";

fn accepted(reference: Option<&str>) -> Outcome {
    Outcome::Received {
        receipt: Receipt::Accepted,
        reference: reference.map(str::to_owned),
    }
}

fn retry(o: &Outcome) -> Retry {
    match o {
        Outcome::Failed(f) => f.retry,
        other => panic!("{other:?}"),
    }
}

fn why(o: &Outcome) -> String {
    match o {
        Outcome::Failed(f) => f.why.clone(),
        other => panic!("{other:?}"),
    }
}

fn esms(url: &str) -> Esms {
    Esms::new(
        url,
        Secret::new("api-key"),
        Secret::new("secret-key"),
        "SEN",
    )
    .unwrap()
}

fn zalo(url: &str) -> Zalo {
    let t = Template {
        id: "7".into(),
        subject: Subject::Raised,
        language: Language::Vi,
        text: "<level> <place>: <what> <value> <time>".into(),
    };
    Zalo::new(url, AccessToken::Fixed(Secret::new("access")), vec![t]).unwrap()
}

/// What all of them have to do the same way, whatever the body says.
async fn misbehaves_like_any_server(channel: &dyn Channel, fake: &Fake, address: &str) {
    let m = message(channel.kind(), address);
    for status in [500, 502, 503, 504, 408] {
        fake.answers(answer(status, "<html>bad gateway</html>"));
        assert_eq!(retry(&channel.send(&m).await), Retry::Later, "{status}");
    }
    fake.answers(Answer {
        headers: vec![("retry-after", "77".into())],
        ..answer(503, "")
    });
    assert_eq!(
        retry(&channel.send(&m).await),
        Retry::After(Duration::from_secs(77))
    );
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
    fake.answers(Answer {
        headers: vec![("retry-after", date)],
        ..answer(429, "")
    });
    let Retry::After(wait) = retry(&channel.send(&m).await) else {
        panic!("a date is a wait")
    };
    assert!((90..=100).contains(&wait.as_secs()), "{wait:?}");
    let elsewhere = Fake::start(answer(200, "{}")).await;
    fake.answers(Answer {
        headers: vec![("location", elsewhere.url.clone())],
        ..answer(307, "")
    });
    assert_eq!(retry(&channel.send(&m).await), Retry::Never);
    assert!(elsewhere.asked().is_empty(), "no redirect is followed");
    // A megabyte of nonsense is not read to its end, and not shown.
    fake.answers(answer(500, &"x".repeat(1 << 20)));
    assert!(why(&channel.send(&m).await).len() < 400);
}

#[tokio::test]
async fn esms_takes_the_key_as_its_request_id_and_says_how_far_it_got() {
    let fake = Fake::start(answer(
        200,
        r#"{"CodeResult":"100","CountRegenerate":0,"SMSID":"s1"}"#,
    ))
    .await;
    let channel = esms(&fake.url);
    let m = message(Kind::Esms, PHONE);
    assert_eq!(channel.send(&m).await, accepted(Some("s1")));
    let asked = fake.last();
    assert_eq!(asked.uri.path(), "/SendMultipleMessage_V4_post_json/");
    let body = asked.json();
    assert_eq!(body["Phone"], "84912345678");
    assert_eq!(body["RequestId"], m.key.0);
    assert_eq!(
        (&body["SmsType"], &body["IsUnicode"], &body["Brandname"]),
        (&"2".into(), &"0".into(), &"SEN".into())
    );
    assert!(
        body["Content"]
            .as_str()
            .unwrap()
            .starts_with("KHAN CAP: Ao 3. Oxy hoa tan thap")
    );
    fake.answers(answer(
        200,
        r#"{"CodeResult":124,"ErrorMessage":"RequestId is duplicate"}"#,
    ));
    assert_eq!(
        channel.send(&m).await,
        accepted(None),
        "it was there already"
    );
    for (code, expected) in [
        ("99", Retry::Never),
        ("108", Retry::Never),
        ("146", Retry::Never),
        ("103", Retry::Later),
        ("101", Retry::Later),
    ] {
        fake.answers(answer(
            200,
            &format!(r#"{{"CodeResult":"{code}","ErrorMessage":"no"}}"#),
        ));
        assert_eq!(retry(&channel.send(&m).await), expected, "{code}");
    }
    for junk in ["", "<html>", "[]", r#"{"CodeResult":null}"#] {
        fake.answers(answer(200, junk));
        assert_eq!(retry(&channel.send(&m).await), Retry::Later, "{junk}");
    }
    misbehaves_like_any_server(&channel, &fake, PHONE).await;
}

#[tokio::test]
async fn esms_is_asked_what_the_operator_said() {
    let fake = Fake::start(answer(
        200,
        r#"{"CodeResponse":"100","SendFailed":0,"SendStatus":5,"SendSuccess":1}"#,
    ))
    .await;
    let channel = esms(&fake.url);
    assert_eq!(
        channel.look("s1").await,
        Some(Outcome::Received {
            receipt: Receipt::Delivered,
            reference: None
        })
    );
    assert!(fake.last().uri.query().unwrap().contains("RefId=s1"));
    fake.answers(answer(
        200,
        r#"{"CodeResponse":"100","SendFailed":1,"SendStatus":5,"SendSuccess":0}"#,
    ));
    assert_eq!(retry(&channel.look("s1").await.unwrap()), Retry::Never);
    for unknown in [
        r#"{"CodeResponse":"100","SendStatus":2}"#,
        r#"{"CodeResponse":"101"}"#,
        "junk",
    ] {
        fake.answers(answer(200, unknown));
        assert_eq!(channel.look("s1").await, None);
    }
}

#[tokio::test]
async fn zalo_fills_the_template_and_sorts_its_errors() {
    let fake = Fake::start(answer(
        200,
        r#"{"error":0,"message":"Success","data":{"msg_id":"z1","sent_time":"1"}}"#,
    ))
    .await;
    let channel = zalo(&fake.url);
    let m = message(Kind::Zalo, PHONE);
    assert_eq!(channel.send(&m).await, accepted(Some("z1")));
    let asked = fake.last();
    assert_eq!(
        (asked.uri.path(), asked.header("access_token")),
        ("/message/template", "access")
    );
    let body = asked.json();
    assert_eq!(
        (&body["phone"], &body["template_id"], &body["tracking_id"]),
        (&"84912345678".into(), &"7".into(), &m.key.0.clone().into())
    );
    assert_eq!(body["template_data"]["what"], "Oxy hòa tan thấp");
    assert_eq!(body["template_data"]["key"], m.key.0);
    for (code, expected) in [
        (-118, Retry::Never),
        (-133, Retry::Never),
        (-132, Retry::Never),
        (-124, Retry::Later),
        (-115, Retry::Later),
        (-100, Retry::Later),
    ] {
        fake.answers(answer(
            200,
            &format!(r#"{{"error":{code},"message":"no"}}"#),
        ));
        assert_eq!(retry(&channel.send(&m).await), expected, "{code}");
    }
    fake.answers(answer(200, "<html>"));
    assert_eq!(retry(&channel.send(&m).await), Retry::Later);
    let mut over = m.clone();
    over.content.subject = Subject::Over;
    assert!(why(&channel.send(&over).await).contains("no approved template"));
    misbehaves_like_any_server(&channel, &fake, PHONE).await;
}

#[tokio::test]
async fn zalo_reads_the_token_that_is_in_the_file_now() {
    let fake = Fake::start(answer(200, r#"{"error":0}"#)).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let t = Template {
        id: "7".into(),
        subject: Subject::Raised,
        language: Language::Vi,
        text: "<what>".into(),
    };
    let channel = Zalo::new(&fake.url, AccessToken::File(file.path().into()), vec![t]).unwrap();
    for token in ["first", "second"] {
        std::fs::write(file.path(), format!("{token}\n")).unwrap();
        channel.send(&message(Kind::Zalo, PHONE)).await;
        assert_eq!(fake.last().header("access_token"), token);
    }
    file.close().unwrap();
    assert_eq!(
        retry(&channel.send(&message(Kind::Zalo, PHONE)).await),
        Retry::Later
    );
}

#[tokio::test]
async fn telegram_says_where_to_acknowledge_and_waits_as_long_as_it_is_told() {
    let fake = Fake::start(answer(
        200,
        r#"{"ok":true,"result":{"message_id":5,"chat":{}}}"#,
    ))
    .await;
    let channel = Telegram::new(&fake.url, Secret::new("1234:secret-token")).unwrap();
    let m = message(Kind::Telegram, "42");
    assert_eq!(channel.send(&m).await, accepted(Some("5")));
    let asked = fake.last();
    assert_eq!(asked.uri.path(), "/bot1234:secret-token/sendMessage");
    assert_eq!(asked.json()["chat_id"], "42");
    assert!(
        asked.json()["text"]
            .as_str()
            .unwrap()
            .ends_with("Xem và xác nhận: https://sen.example/a/a")
    );
    fake.answers(answer(429, r#"{"ok":false,"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":35}}"#));
    assert_eq!(
        retry(&channel.send(&m).await),
        Retry::After(Duration::from_secs(35))
    );
    for (status, expected) in [
        (403, Retry::AddressGone),
        (400, Retry::Never),
        (401, Retry::Later),
        (500, Retry::Later),
    ] {
        fake.answers(answer(status, r#"{"ok":false,"description":"no"}"#));
        assert_eq!(retry(&channel.send(&m).await), expected, "{status}");
    }
    misbehaves_like_any_server(&channel, &fake, "42").await;
}

#[tokio::test]
async fn no_secret_gets_into_an_error_or_a_log() {
    let token = "1234:secret-token";
    let nobody = nobody();
    let telegram = Telegram::new(&nobody, Secret::new(token)).unwrap();
    let m = message(Kind::Telegram, "42");
    let mut seen = vec![why(&telegram.send(&m).await), format!("{telegram:?}")];
    let not_a_url = Telegram::new("http://[", Secret::new(token)).unwrap();
    seen.push(why(&not_a_url.send(&m).await));
    // A proxy that repeats the address in its error page.
    let fake = Fake::start(answer(502, &format!("can't reach /bot{token}/sendMessage"))).await;
    let telegram = Telegram::new(&fake.url, Secret::new(token)).unwrap();
    seen.push(why(&telegram.send(&m).await));
    fake.answers(answer(400, "not allowed: api-key secret-key"));
    let sms = esms(&fake.url);
    seen.extend([
        why(&sms.send(&message(Kind::Esms, PHONE)).await),
        format!("{sms:?}"),
        format!("{:?}", Secret::new("api-key")),
    ]);
    fake.answers(answer(400, "not allowed: access here"));
    let z = zalo(&fake.url);
    seen.extend([
        why(&z.send(&message(Kind::Zalo, PHONE)).await),
        format!("{:?}", AccessToken::Fixed(Secret::new("access"))),
    ]);
    for s in seen {
        for secret in ["secret-token", "api-key", "secret-key", "access "] {
            assert!(!s.contains(secret), "{s}");
        }
    }
}

#[tokio::test]
async fn a_webhook_is_signed_and_has_an_idempotency_key() {
    let fake = Fake::start(answer(204, "")).await;
    let channel = Webhook::new(Secret::new("shared"), true).unwrap();
    let m = message(Kind::Webhook, &format!("{}/hook?x=1", fake.url));
    assert_eq!(channel.send(&m).await, accepted(None));
    let asked = fake.last();
    assert_eq!(asked.header("idempotency-key"), m.key.0);
    let signed = asked.header("sen-signature");
    let at = signed
        .strip_prefix("t=")
        .unwrap()
        .split(',')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(signed, signature(&Secret::new("shared"), at, &asked.body));
    assert_ne!(signed, signature(&Secret::new("other"), at, &asked.body));
    assert_eq!(asked.json()["facts"]["place"], "Ao 3");
    fake.answers(answer(410, ""));
    assert_eq!(retry(&channel.send(&m).await), Retry::AddressGone);
    fake.answers(answer(404, ""));
    assert_eq!(retry(&channel.send(&m).await), Retry::Never);
    misbehaves_like_any_server(&channel, &fake, &m.address).await;
    let strict = Webhook::new(Secret::new("shared"), false).unwrap();
    assert_eq!(
        retry(&strict.send(&m).await),
        Retry::Never,
        "http is refused unless chosen"
    );
    assert!(Webhook::new(Secret::new(""), true).is_err());
}

#[test]
fn the_signature_is_what_any_other_program_computes() {
    // printf '1.{}' | openssl dgst -sha256 -hmac key
    let hex = "1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224";
    assert_eq!(
        signature(&Secret::new("key"), 1, b"{}"),
        format!("t=1,v1={hex}")
    );
}

#[tokio::test]
async fn a_push_can_be_read_by_the_subscriber_alone_and_says_when_a_subscription_is_gone() {
    use web_push_native::p256::elliptic_curve::sec1::ToEncodedPoint as _;
    let fake = Fake::start(answer(201, "")).await;
    let key = Secret::new("RS0WdYWWo1HajXg3NZR1olzCf31i-ZBGDkFyCs7j1jw");
    let channel = WebPush::new(&key, "mailto:sen@farm.example", true).unwrap();
    let device = web_push_native::p256::SecretKey::from_slice(&[7; 32]).unwrap();
    let auth = [9u8; 16];
    let b64 =
        |b: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, b);
    let public = device.public_key().to_encoded_point(false);
    let address = serde_json::json!({
        "endpoint": format!("{}/push/1", fake.url),
        "expirationTime": null,
        "keys": { "p256dh": b64(public.as_bytes()), "auth": b64(&auth) },
    })
    .to_string();
    let m = message(Kind::WebPush, &address);
    assert_eq!(channel.send(&m).await, accepted(None));
    let asked = fake.last();
    assert_eq!(
        (asked.header("topic"), asked.header("urgency")),
        (m.key.0.as_str(), "high")
    );
    assert!(asked.header("authorization").starts_with("vapid "));
    assert!(
        asked
            .header("authorization")
            .contains(&channel.public_key())
    );
    assert!(!asked.body.windows(4).any(|w| w == b"Ao 3"));
    let read = web_push_native::decrypt(
        asked.body,
        &device,
        &web_push_native::Auth::clone_from_slice(&auth),
    )
    .unwrap();
    let read: serde_json::Value = serde_json::from_slice(&read).unwrap();
    assert_eq!(
        (&read["tag"], &read["title"]),
        (&m.key.0.clone().into(), &"KHẨN CẤP: Ao 3".into())
    );
    for status in [404, 410] {
        fake.answers(answer(status, ""));
        assert_eq!(retry(&channel.send(&m).await), Retry::AddressGone);
    }
    fake.answers(answer(403, ""));
    assert_eq!(
        retry(&channel.send(&m).await),
        Retry::Later,
        "our key does not fit: ours to put right"
    );
    misbehaves_like_any_server(&channel, &fake, &address).await;
    for bad in [
        "push",
        "{}",
        &address.replace("p256dh\":\"B", "p256dh\":\"A"),
        &address.replace("http://", "ftp://"),
    ] {
        assert_eq!(
            retry(&channel.send(&message(Kind::WebPush, bad)).await),
            Retry::Never,
            "{bad}"
        );
    }
    assert!(WebPush::new(&Secret::new("short"), "mailto:x@y.example", true).is_err());
}
