//! The words of a message, in the reader's language and in the length that the channel takes.
//!
//! One file a language: `Words` is what a language has to say; a new one is a file, and a line in `words`.
//! An SMS is short, and without diacritics unless the book says otherwise: then it fits the GSM alphabet, of which one part
//! holds 160 characters against 70. The facts (place, value) keep their order: when room is short, the end goes first.

mod en;
mod fold;
mod vi;

use serde::{Deserialize, Serialize};

pub use fold::ascii;
pub(crate) use fold::gsm_septet;

use crate::Millis;
use crate::alarm::{Alarm, Level};
use crate::calendar::Offset;
use crate::person::{Kind, Language};

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// An alarm was raised.
    Raised,
    /// It is over.
    Over,
    /// Several of them, in one.
    Digest,
}

/// A message, ready to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// What it says.
    pub subject: Subject,
    /// One line: the title of a push, the subject of a mail.
    pub title: String,
    /// All of it, the link aside.
    pub body: String,
    /// Where to see and acknowledge; empty if there is nowhere.
    pub link: String,
    /// In which language.
    pub language: Language,
    /// The facts one by one, for channels with templates.
    pub facts: Facts,
}

/// The facts of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The level in words.
    pub level: String,
    /// Where.
    pub place: String,
    /// What.
    pub what: String,
    /// Value and unit.
    pub value: String,
    /// Local time.
    pub time: String,
}

/// What a language has to say.
pub(crate) struct Words {
    pub(crate) info: &'static str,
    pub(crate) warning: &'static str,
    pub(crate) critical: &'static str,
    pub(crate) over: &'static str,
    /// `{n}` alarms.
    pub(crate) digest: &'static str,
    /// Before the link.
    pub(crate) acknowledge: &'static str,
    /// `{n}` more.
    pub(crate) more: &'static str,
}

pub(crate) fn words(language: Language) -> &'static Words {
    match language {
        Language::Vi => &vi::WORDS,
        Language::En => &en::WORDS,
    }
}

impl Words {
    fn level(&self, level: Level) -> &'static str {
        match level {
            Level::Info => self.info,
            Level::Warning => self.warning,
            Level::Critical => self.critical,
        }
    }
}

/// The most characters of title and body together over a channel, for one message.
///
/// SMS: two parts. Zalo: a template's 400 characters. Push: a payload of 4096 bytes less encryption (RFC 8291 section 4)
/// leaves room for 900 characters of four bytes. Telegram: 4096.
#[must_use]
pub fn most_chars(kind: Kind, diacritics: bool) -> usize {
    match kind {
        Kind::Esms | Kind::Modem if diacritics => 2 * 67,
        Kind::Esms | Kind::Modem => 2 * 153,
        Kind::Zalo => 400,
        Kind::WebPush => 800,
        Kind::Telegram => 3800,
        Kind::Email | Kind::Webhook => 20_000,
    }
}

/// How many parts an SMS of that text is: 160 characters of the GSM alphabet or 70 of UCS-2 in one, 153 or 67 in each of
/// several (3GPP TS 23.040 section 9.2.3.24.1).
#[must_use]
pub fn sms_parts(text: &str) -> u32 {
    let (units, one, many) = match fold::gsm_septets(text) {
        Some(septets) => (septets, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if units <= one {
        1
    } else {
        u32::try_from(units.div_ceil(many)).unwrap_or(u32::MAX)
    }
}

/// Cuts at a word, so that `most` characters are not exceeded, and says so with `…` (`...` in ASCII text).
#[must_use]
pub fn truncate(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let end = if text.is_ascii() { "..." } else { "…" };
    let room = most.saturating_sub(end.chars().count());
    let cut: String = text.chars().take(room).collect();
    // A word that fits whole stays; one that is longer than half of what is left is cut.
    let whole = text.chars().nth(room).is_none_or(char::is_whitespace);
    let at = if whole {
        cut.len()
    } else {
        cut.rfind(char::is_whitespace)
            .filter(|at| *at >= cut.len() / 2)
            .unwrap_or(cut.len())
    };
    let kept = cut.get(..at).unwrap_or(&cut).trim_end();
    let out = format!("{kept}{end}");
    if out.chars().count() <= most {
        out
    } else {
        out.chars().take(most).collect()
    }
}

/// Words from outside may hold line breaks and controls; no channel is to see them.
fn clean(s: &str) -> String {
    let spaced: String = s
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn line(parts: &[&str]) -> String {
    parts
        .iter()
        .filter(|p| !p.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(", ")
}

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// The reader's language.
    pub language: Language,
    /// The channel.
    pub kind: Kind,
    /// SMS with diacritics.
    pub sms_diacritics: bool,
    /// The farm's clock.
    pub offset: Offset,
}

/// The message about one alarm.
#[must_use]
pub fn about(alarm: &Alarm, subject: Subject, at: Millis, style: Style) -> Content {
    let w = words(style.language);
    let level = if subject == Subject::Over {
        w.over
    } else {
        w.level(alarm.level)
    };
    let (place, what, value) = (clean(&alarm.place), clean(&alarm.what), clean(&alarm.value));
    let time = style
        .offset
        .local(if subject == Subject::Over {
            at
        } else {
            alarm.since
        })
        .format("%H:%M %d/%m")
        .to_string();
    let title = format!("{level}: {place}");
    let body = line(&[&what, &value, &time]);
    let facts = Facts {
        level: level.to_owned(),
        place,
        what,
        value,
        time,
    };
    finish(
        Content {
            subject,
            title,
            body,
            link: alarm.link.clone(),
            language: style.language,
            facts,
        },
        style,
    )
}

/// One message for several alarms.
#[must_use]
pub fn digest(alarms: &[(&Alarm, Subject)], at: Millis, style: Style) -> Content {
    let w = words(style.language);
    let title = w.digest.replace("{n}", &alarms.len().to_string());
    // Room for the line that says how many more there are.
    let room =
        most_chars(style.kind, style.sms_diacritics).saturating_sub(title.chars().count() + 24);
    let mut body = String::new();
    let mut told = 0;
    for (alarm, subject) in alarms {
        let over = if *subject == Subject::Over {
            w.over
        } else {
            ""
        };
        let time = style.offset.local(alarm.since).format("%H:%M").to_string();
        let next = line(&[
            &clean(&alarm.place),
            &clean(&alarm.what),
            &clean(&alarm.value),
            &time,
            over,
        ]);
        if told > 0 && body.chars().count() + next.chars().count() + 1 > room {
            break;
        }
        if told > 0 {
            body.push('\n');
        }
        body.push_str(&next);
        told += 1;
    }
    if told < alarms.len() {
        body.push('\n');
        body.push_str(&w.more.replace("{n}", &(alarms.len() - told).to_string()));
    }
    let link = alarms
        .iter()
        .map(|(a, _)| a.link.clone())
        .find(|l| !l.is_empty())
        .unwrap_or_default();
    let facts = Facts {
        level: title.clone(),
        place: alarms
            .first()
            .map(|(a, _)| clean(&a.place))
            .unwrap_or_default(),
        what: body.clone(),
        value: String::new(),
        time: style.offset.local(at).format("%H:%M %d/%m").to_string(),
    };
    finish(
        Content {
            subject: Subject::Digest,
            title,
            body,
            link,
            language: style.language,
            facts,
        },
        style,
    )
}

/// Brings it into the channel's length and alphabet.
fn finish(mut c: Content, style: Style) -> Content {
    if style.kind.is_sms() && !style.sms_diacritics {
        c.title = ascii(&c.title);
        c.body = ascii(&c.body);
    }
    let most = most_chars(style.kind, style.sms_diacritics);
    let link = if style.kind.is_sms() && !c.link.is_empty() {
        c.link.chars().count() + 1
    } else {
        0
    };
    let room = most.saturating_sub(link);
    // The title stays as far as it can: it says where.
    c.title = truncate(&c.title, room.saturating_sub(1).min(most / 2));
    c.body = truncate(&c.body, room.saturating_sub(c.title.chars().count() + 2));
    c
}

impl Content {
    /// Title and body in one text, with the link: what an SMS or a chat message says.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = self.plain();
        if !self.link.is_empty() {
            out.push(' ');
            out.push_str(&self.link);
        }
        out
    }

    /// Title and body in one text.
    #[must_use]
    pub fn plain(&self) -> String {
        if self.body.is_empty() {
            self.title.clone()
        } else {
            format!("{}. {}", self.title, self.body)
        }
    }

    /// What stands on the link, in the reader's language.
    #[must_use]
    pub fn link_words(&self) -> &'static str {
        words(self.language).acknowledge
    }
}

#[cfg(test)]
mod tests;
