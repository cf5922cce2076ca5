use super::*;
use crate::channel::fakes::message;

fn template(text: &str) -> Template {
    Template {
        id: "1".into(),
        subject: Subject::Raised,
        language: Language::Vi,
        text: text.into(),
    }
}

#[test]
fn a_template_that_is_too_long_is_refused_beforehand() {
    let zalo = |text: &str| {
        Zalo::new(
            Zalo::BASE,
            AccessToken::Fixed(Secret::new("t")),
            vec![template(text)],
        )
    };
    assert!(zalo(&format!("{}<place>", "x".repeat(400))).is_ok());
    assert!(matches!(
        zalo(&"x".repeat(401)),
        Err(BadTemplate::TooLong { chars: 401, .. })
    ));
    assert!(
        matches!(zalo("<name>"), Err(BadTemplate::UnknownParameter { name, .. }) if name == "name")
    );
}

#[test]
fn facts_are_shortened_until_the_message_fits() {
    let mut m = message(Kind::Zalo, "+84912345678");
    m.content.facts.what = "dài ".repeat(60);
    let room = template(&format!("{}<what>", "x".repeat(330)));
    let data = fill(&room, &m.content, &m.key).unwrap();
    assert!(data["what"].chars().count() <= 70 && data["what"].ends_with('…'));
    let none = template(&format!("{}<what>", "x".repeat(399)));
    assert!(fill(&none, &m.content, &m.key).is_err());
}

#[test]
fn a_receipt_is_believed_with_its_signature_only() {
    let secret = Secret::new("oa-secret");
    let body = br#"{"sender":{"id":"1"},"event_name":"user_received_message","message":{"delivery_time":"1","msg_id":"m","tracking_id":"k1"},"app_id":"77","timestamp":"1795551000000"}"#;
    let mut input = b"77".to_vec();
    input.extend_from_slice(body);
    input.extend_from_slice(b"1795551000000oa-secret");
    let mac: String = Sha256::digest(&input)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let (key, outcome) = receipt(body, &format!("mac={mac}"), "77", &secret)
        .unwrap()
        .unwrap();
    assert_eq!((key.0.as_str(), outcome), ("k1", Outcome::delivered()));
    assert_eq!(
        receipt(body, &format!("mac={mac}"), "78", &secret),
        Err(BadReceipt::Signature)
    );
    assert_eq!(receipt(body, "", "77", &secret), Err(BadReceipt::Signature));
    assert_eq!(
        receipt(b"<html>", "", "77", &secret),
        Err(BadReceipt::Malformed)
    );
    assert_eq!(
        receipt(b"{}", "", "77", &secret),
        Err(BadReceipt::Malformed)
    );
}
