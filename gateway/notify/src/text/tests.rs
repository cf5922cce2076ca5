use proptest::prelude::*;

use super::*;
use crate::testing::alarm;

fn style(kind: Kind, language: Language) -> Style {
    Style {
        language,
        kind,
        sms_diacritics: false,
        offset: Offset::default(),
    }
}

#[test]
fn says_where_what_how_much_and_when_in_both_languages() {
    let a = alarm("a", Level::Critical);
    let vi = about(
        &a,
        Subject::Raised,
        a.since,
        style(Kind::Telegram, Language::Vi),
    );
    assert_eq!(
        vi.plain(),
        "KHẨN CẤP: Ao 3. Oxy hòa tan thấp, 2,8 mg/L, 03:10 25/11"
    );
    let en = about(
        &a,
        Subject::Raised,
        a.since,
        style(Kind::Telegram, Language::En),
    );
    assert_eq!(en.title, "URGENT: Ao 3");
    let over = about(
        &a,
        Subject::Over,
        a.since + 3_600_000,
        style(Kind::Telegram, Language::Vi),
    );
    assert_eq!(
        over.plain(),
        "Đã hết: Ao 3. Oxy hòa tan thấp, 2,8 mg/L, 04:10 25/11"
    );
}

#[test]
fn an_sms_of_one_alarm_is_one_part_without_diacritics() {
    let a = alarm("a", Level::Critical);
    let c = about(
        &a,
        Subject::Raised,
        a.since,
        style(Kind::Esms, Language::Vi),
    );
    assert_eq!(
        c.text(),
        "KHAN CAP: Ao 3. Oxy hoa tan thap, 2,8 mg/L, 03:10 25/11 https://sen.example/a/a"
    );
    assert_eq!(sms_parts(&c.text()), 1);
    let marked = about(
        &a,
        Subject::Raised,
        a.since,
        Style {
            sms_diacritics: true,
            ..style(Kind::Esms, Language::Vi)
        },
    );
    assert_eq!(sms_parts(&marked.text()), 2);
}

#[test]
fn every_vietnamese_letter_has_its_form_without_marks() {
    let all = "aàáảãạăằắẳẵặâầấẩẫậeèéẻẽẹêềếểễệiìíỉĩịoòóỏõọôồốổỗộơờớởỡợuùúủũụưừứửữựyỳýỷỹỵđ";
    for text in [all.to_owned(), all.to_uppercase()] {
        let folded = ascii(&text);
        assert!(folded.is_ascii() && !folded.contains('?'), "{folded}");
        assert_eq!(folded.chars().count(), text.chars().count());
        for (was, is) in text.chars().zip(folded.chars()) {
            assert_eq!(was.is_uppercase(), is.is_uppercase(), "{was}");
        }
    }
    // Decomposed, as some keyboards write it.
    assert_eq!(ascii("o\u{302}\u{301}"), "o");
    assert_eq!(
        ascii("31 °C, 5 µS/cm, 12‰"),
        "31  do C, 5 uS/cm, 12 phan nghin"
    );
}

#[test]
fn parts_are_counted_as_the_operator_counts_them() {
    for (text, parts) in [
        ("a".repeat(160), 1),
        ("a".repeat(161), 2),
        ("a".repeat(306), 2),
        ("a".repeat(307), 3),
    ] {
        assert_eq!(sms_parts(&text), parts, "{}", text.len());
    }
    assert_eq!(sms_parts(&"{".repeat(80)), 1);
    assert_eq!(sms_parts(&"{".repeat(81)), 2);
    assert_eq!(sms_parts(&"ơ".repeat(70)), 1);
    assert_eq!(sms_parts(&"ơ".repeat(71)), 2);
}

#[test]
fn is_cut_at_a_word_and_says_so() {
    assert_eq!(truncate("Oxy hòa tan thấp", 12), "Oxy hòa tan…");
    assert_eq!(truncate("Oxy hòa tan thấp", 11), "Oxy hòa…");
    assert_eq!(truncate("one two three", 9), "one...");
    assert_eq!(truncate(&"x".repeat(30), 10), "xxxxxxx...");
    assert_eq!(truncate("short", 5), "short");
}

#[test]
fn a_digest_names_as_many_as_fit_and_counts_the_others() {
    let alarms: Vec<_> = (0..40)
        .map(|n| alarm(&format!("a{n}"), Level::Warning))
        .collect();
    let all: Vec<_> = alarms.iter().map(|a| (a, Subject::Raised)).collect();
    let c = digest(&all, 0, style(Kind::Esms, Language::Vi));
    assert!(c.title.starts_with("40 canh bao"), "{}", c.title);
    let named = c.body.matches("Ao 3").count();
    assert!(
        named >= 2 && c.body.ends_with(&format!("va {} canh bao nua", 40 - named)),
        "{}",
        c.body
    );
    assert!(sms_parts(&c.text()) <= 3);
    assert_eq!(
        digest(&all, 0, style(Kind::Email, Language::Vi))
            .body
            .lines()
            .count(),
        40
    );
}

proptest! {
    #[test]
    fn no_message_is_longer_than_its_channel_takes(
        place in "\\PC{0,300}", what in "\\PC{0,900}", value in "\\PC{0,40}", n in 0..Kind::ALL.len(), marks: bool, many in 1..30usize,
    ) {
        let kind = Kind::ALL[n];
        let a = Alarm { place, what, value, ..alarm("a", Level::Warning) };
        let s = Style { sms_diacritics: marks, ..style(kind, Language::Vi) };
        let list: Vec<_> = std::iter::repeat_n((&a, Subject::Raised), many).collect();
        for c in [about(&a, Subject::Raised, 0, s), digest(&list, 0, s)] {
            let text = if kind.is_sms() { c.text() } else { c.plain() };
            prop_assert!(text.chars().count() <= most_chars(kind, marks), "{kind:?} {}", text.chars().count());
            prop_assert!(!c.title.contains('\n'));
            if kind.is_sms() && !marks {
                prop_assert!(c.plain().is_ascii());
            }
        }
    }

    #[test]
    fn what_is_cut_fits(text in "\\PC{0,60}", most in 0..40usize) {
        prop_assert!(truncate(&text, most).chars().count() <= most);
    }
}
