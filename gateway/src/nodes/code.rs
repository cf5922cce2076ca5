//! Claim codes: eight characters of Crockford's Base32, 40 random bits, written in two groups. Read as people write them:
//! capitals or not, with or without the dash, O for 0, I and L for 1.

const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 8;

/// A new code, such as `7K4M-Q2XD`.
pub(super) fn generate() -> String {
    let mut random = [0u8; LENGTH];
    getrandom::fill(&mut random).expect("the system's random source works");
    grouped(
        random
            .iter()
            .map(|b| char::from(LETTERS[usize::from(b & 31)])),
    )
}

fn grouped(letters: impl Iterator<Item = char>) -> String {
    let mut code = String::with_capacity(LENGTH + 1);
    for (i, letter) in letters.enumerate() {
        if i == LENGTH / 2 {
            code.push('-');
        }
        code.push(letter);
    }
    code
}

/// The one spelling of a code; `None` if it is none.
#[must_use]
pub fn normal(text: &str) -> Option<String> {
    let letters: Vec<char> = text
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    let known = |c: &char| u8::try_from(*c).is_ok_and(|b| LETTERS.contains(&b));
    (letters.len() == LENGTH && letters.iter().all(known)).then(|| grouped(letters.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_people_write_it() {
        for text in ["7k4m-q2xd", "7K4MQ2XD", " 7K4M Q2XD"] {
            assert_eq!(normal(text).as_deref(), Some("7K4M-Q2XD"), "{text}");
        }
        assert_eq!(normal("oIl0-0000").as_deref(), Some("0110-0000"));
        for text in ["", "7K4M-Q2X", "7K4M-Q2XDD", "7K4M-Q2XU", "7K4M-Q2Xđ"] {
            assert_eq!(normal(text), None, "{text}");
        }
        let code = generate();
        assert_eq!(normal(&code), Some(code));
    }
}
