//! Who can be told something, and how.

use serde::{Deserialize, Serialize};

use crate::calendar::QuietHours;
use crate::phone::{BadPhone, Phone};

/// A person's id, as the gateway has it.
pub type PersonId = String;

/// The language a person reads.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Vietnamese.
    #[default]
    Vi,
    /// English.
    En,
}

/// A kind of channel. A new one gets a line here and in [`Kind::ALL`], and a file in `channel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Web Push to a browser or an installed page.
    WebPush,
    /// Telegram bot.
    Telegram,
    /// E-mail over SMTP.
    Email,
    /// HTTP POST to somebody's own server.
    Webhook,
    /// SMS under a registered brand name, through eSMS.
    Esms,
    /// SMS through a 4G stick in the gateway.
    Modem,
    /// Zalo template message (ZNS).
    Zalo,
}

/// How much a channel can say about what became of a message, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Receipt {
    /// The other side has it and will pass it on.
    Accepted,
    /// It is on the person's device.
    Delivered,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::WebPush,
        Self::Telegram,
        Self::Email,
        Self::Webhook,
        Self::Esms,
        Self::Modem,
        Self::Zalo,
    ];

    /// As in JSON and in the outbox.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WebPush => "web_push",
            Self::Telegram => "telegram",
            Self::Email => "email",
            Self::Webhook => "webhook",
            Self::Esms => "esms",
            Self::Modem => "modem",
            Self::Zalo => "zalo",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }

    /// The best that this channel ever answers. Until it has come, a message counts as not received.
    #[must_use]
    pub fn best_receipt(self) -> Receipt {
        match self {
            Self::Esms | Self::Modem | Self::Zalo => Receipt::Delivered,
            Self::WebPush | Self::Telegram | Self::Email | Self::Webhook => Receipt::Accepted,
        }
    }

    /// Whether it is an SMS, where length is money.
    #[must_use]
    pub fn is_sms(self) -> bool {
        matches!(self, Self::Esms | Self::Modem)
    }

    /// Whether its address is a telephone number.
    #[must_use]
    pub fn takes_phone(self) -> bool {
        self.is_sms() || self == Self::Zalo
    }
}

/// One way to reach somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Over what.
    pub channel: Kind,
    /// A telephone number, mail address, chat id, URL, or a push subscription's JSON.
    pub address: String,
    /// The person has proved that it is theirs. Others are never used.
    #[serde(default)]
    pub verified: bool,
}

impl Contact {
    /// Checks the address and puts it into the form that the channel takes.
    ///
    /// # Errors
    /// A telephone number that is none; other addresses are checked by their channel.
    pub fn new(channel: Kind, address: &str, verified: bool) -> Result<Self, BadPhone> {
        let address = if channel.takes_phone() {
            Phone::parse(address)?.into()
        } else {
            address.trim().to_owned()
        };
        Ok(Self {
            channel,
            address,
            verified,
        })
    }
}

/// Somebody who can be told something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Unique.
    pub id: PersonId,
    /// What others call them.
    pub name: String,
    /// What they read.
    #[serde(default)]
    pub language: Language,
    /// In the order in which they want to be reached.
    pub contacts: Vec<Contact>,
    /// When they are not to be disturbed, except by what is critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<QuietHours>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json() {
        for k in Kind::ALL {
            assert_eq!(serde_json::to_value(k).unwrap(), k.name());
            assert_eq!(Kind::named(k.name()), Some(k));
        }
        assert_eq!(Kind::named("fax"), None);
    }

    #[test]
    fn a_contact_has_a_whole_number_or_is_refused() {
        assert_eq!(
            Contact::new(Kind::Zalo, "84 912 345 678", true)
                .unwrap()
                .address,
            "+84912345678"
        );
        assert!(Contact::new(Kind::Esms, "0912345678", true).is_err());
        assert_eq!(
            Contact::new(Kind::Telegram, " 123 ", true).unwrap().address,
            "123"
        );
    }
}
