//! What the channels' unit tests share.

use crate::alarm::Level;
use crate::calendar::Offset;
use crate::person::{Kind, Language};
use crate::plan::{Key, Message};
use crate::testing::{AT, alarm};
use crate::text::{self, Style, Subject};

pub(crate) fn message(channel: Kind, address: &str) -> Message {
    let style = Style {
        language: Language::Vi,
        kind: channel,
        sms_diacritics: false,
        offset: Offset::default(),
    };
    Message {
        key: Key("0123456789abcdef0123456789abcdef".into()),
        person: "an".into(),
        channel,
        address: address.into(),
        content: text::about(&alarm("a", Level::Critical), Subject::Raised, AT, style),
        critical: true,
        quiet: None,
        cost_vnd: 0,
        give_up: AT + 1000,
        alarms: vec!["a".into()],
        set_by: "an".into(),
    }
}
