//! Alphabets: Vietnamese without its marks, and the GSM alphabet of SMS.

/// The text in ASCII. Vietnamese letters lose their marks, as people write them in an SMS; units keep a form that reads;
/// what has no form in ASCII becomes `?`.
#[must_use]
pub fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() && c != '`' => out.push(c),
            'à' | 'á' | 'ả' | 'ã' | 'ạ' | 'ă' | 'ằ' | 'ắ' | 'ẳ' | 'ẵ' | 'ặ' | 'â' | 'ầ' | 'ấ'
            | 'ẩ' | 'ẫ' | 'ậ' => out.push('a'),
            'À' | 'Á' | 'Ả' | 'Ã' | 'Ạ' | 'Ă' | 'Ằ' | 'Ắ' | 'Ẳ' | 'Ẵ' | 'Ặ' | 'Â' | 'Ầ' | 'Ấ'
            | 'Ẩ' | 'Ẫ' | 'Ậ' => out.push('A'),
            'è' | 'é' | 'ẻ' | 'ẽ' | 'ẹ' | 'ê' | 'ề' | 'ế' | 'ể' | 'ễ' | 'ệ' => {
                out.push('e')
            }
            'È' | 'É' | 'Ẻ' | 'Ẽ' | 'Ẹ' | 'Ê' | 'Ề' | 'Ế' | 'Ể' | 'Ễ' | 'Ệ' => {
                out.push('E')
            }
            'ì' | 'í' | 'ỉ' | 'ĩ' | 'ị' => out.push('i'),
            'Ì' | 'Í' | 'Ỉ' | 'Ĩ' | 'Ị' => out.push('I'),
            'ò' | 'ó' | 'ỏ' | 'õ' | 'ọ' | 'ô' | 'ồ' | 'ố' | 'ổ' | 'ỗ' | 'ộ' | 'ơ' | 'ờ' | 'ớ'
            | 'ở' | 'ỡ' | 'ợ' => out.push('o'),
            'Ò' | 'Ó' | 'Ỏ' | 'Õ' | 'Ọ' | 'Ô' | 'Ồ' | 'Ố' | 'Ổ' | 'Ỗ' | 'Ộ' | 'Ơ' | 'Ờ' | 'Ớ'
            | 'Ở' | 'Ỡ' | 'Ợ' => out.push('O'),
            'ù' | 'ú' | 'ủ' | 'ũ' | 'ụ' | 'ư' | 'ừ' | 'ứ' | 'ử' | 'ữ' | 'ự' => {
                out.push('u')
            }
            'Ù' | 'Ú' | 'Ủ' | 'Ũ' | 'Ụ' | 'Ư' | 'Ừ' | 'Ứ' | 'Ử' | 'Ữ' | 'Ự' => {
                out.push('U')
            }
            'ỳ' | 'ý' | 'ỷ' | 'ỹ' | 'ỵ' => out.push('y'),
            'Ỳ' | 'Ý' | 'Ỷ' | 'Ỹ' | 'Ỵ' => out.push('Y'),
            'đ' => out.push('d'),
            'Đ' => out.push('D'),
            // A mark that comes apart from its letter (decomposed text).
            '\u{300}'..='\u{36f}' => {}
            '°' => out.push_str(" do "),
            '‰' => out.push_str(" phan nghin"),
            'µ' | 'μ' => out.push('u'),
            '²' => out.push('2'),
            '³' => out.push('3'),
            '…' => out.push_str("..."),
            '–' | '—' | '−' => out.push('-'),
            '“' | '”' | '„' => out.push('"'),
            '‘' | '’' | '`' => out.push('\''),
            '·' | '×' => out.push('x'),
            '\u{a0}' => out.push(' '),
            _ => out.push('?'),
        }
    }
    out
}

/// Length in septets of the GSM 7-bit alphabet (3GPP TS 23.038 section 6.2.1), of which only the part that is ASCII, and the
/// extension of it, is used here. `None`: it has to be UCS-2.
pub(crate) fn gsm_septets(text: &str) -> Option<usize> {
    text.chars()
        .map(gsm_septet)
        .try_fold(0, |n, s| Some(n + if s? > 0x7f { 2 } else { 1 }))
}

/// The code of a character; those above 0x7f are the extension, behind an escape (0x1b).
pub(crate) fn gsm_septet(c: char) -> Option<u16> {
    Some(match c {
        '@' => 0x00,
        '$' => 0x02,
        '_' => 0x11,
        '\n' | '\r' | ' '..='#' | '%'..='?' | 'A'..='Z' | 'a'..='z' => {
            u16::try_from(u32::from(c)).ok()?
        }
        '^' => 0x114,
        '{' => 0x128,
        '}' => 0x129,
        '\\' => 0x12f,
        '[' => 0x13c,
        '~' => 0x13d,
        ']' => 0x13e,
        '|' => 0x140,
        _ => return None,
    })
}
