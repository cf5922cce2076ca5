//! `[journal]`: how long and how much the journal keeps.

use super::section::Section;

/// What the journal may keep. The rules are in [`crate::journal::retention`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// History older than this many days is deleted; `None`: age alone deletes nothing.
    pub days: Option<u32>,
    /// A lack of room takes what sinks have not sent before it takes history younger than this many days.
    pub least_days: u32,
    /// Bytes that the journal may take; `None`: half of the file system, at most 4 GB.
    pub max_size: Option<u64>,
    /// Bytes of the file system that stay free; `None`: a twentieth of it, at most 200 MB.
    pub free: Option<u64>,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            days: None,
            least_days: LEAST_DAYS,
            max_size: None,
            free: None,
        }
    }
}

/// A whole year and a month: this dry season can be compared with the last one.
const LEAST_DAYS: u32 = 400;
/// Below this the journal could not hold a busy hour.
const SMALLEST: u64 = 4_000_000;

/// The keys that [`take`] knows.
pub(super) const KEYS: [&str; 4] = ["keep_days", "least_days", "max_size", "keep_free"];

pub(super) fn take(s: &mut Section<'_>) -> Keep {
    let days: Option<u32> = s.take("keep_days");
    let least: Option<u32> = s.take("least_days");
    if days == Some(0) {
        s.faults.add(
            "journal.keep_days",
            "must be at least 1; leave it out to keep everything that there is room for",
        );
    }
    if let (Some(days), Some(least)) = (days, least)
        && least > days
    {
        s.faults.add(
            "journal.least_days",
            format!("must not be more than keep_days, which is {days}"),
        );
    }
    let max_size = size(s, "max_size");
    if max_size.is_some_and(|m| m < SMALLEST) {
        s.faults
            .add("journal.max_size", "must be at least \"4 MB\"");
    }
    Keep {
        days,
        least_days: least.unwrap_or(LEAST_DAYS).min(days.unwrap_or(u32::MAX)),
        max_size,
        free: size(s, "keep_free"),
    }
}

fn size(s: &mut Section<'_>, key: &str) -> Option<u64> {
    let text: String = s.take(key)?;
    let size = parse_size(&text);
    if size.is_none() {
        let shown = s.key(key);
        s.faults.add(
            &shown,
            format!("`{text}` is not a size; write a number with kB, MB, GB, KiB, MiB or GiB, such as \"2 GB\""),
        );
    }
    size
}

/// Reads `200 MB`, `2GB`, `1.5 GB`, `512 MiB`.
#[must_use]
pub fn parse_size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let unit: f64 = match unit {
        "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        _ => return None,
    };
    let bytes = number.trim().parse::<f64>().ok()? * unit;
    // A size beyond the exact integers of f64 is no size of a disk.
    (0.0..9e15).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn parse(journal: &str) -> Result<Keep, Vec<String>> {
        let text = format!("data_dir = \"d\"\n[journal]\n{journal}\n");
        Config::parse(&text, Path::new(".")).map(|c| c.keep)
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("200 MB"), Some(200_000_000));
        assert_eq!(parse_size("1.5GB"), Some(1_500_000_000));
        assert_eq!(parse_size("2 MiB"), Some(2_097_152));
        for wrong in [
            "", "2", "GB", "-1 MB", "2 mb", "NaN GB", "1e30 GB", "2 GB x",
        ] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_left_out_keeps_as_long_as_there_is_room() {
        assert_eq!(parse(""), Ok(Keep::default()));
        let all =
            parse("keep_days = 730\nleast_days = 90\nmax_size = \"2 GB\"\nkeep_free = \"200 MB\"");
        let expected = Keep {
            days: Some(730),
            least_days: 90,
            max_size: Some(2_000_000_000),
            free: Some(200_000_000),
        };
        assert_eq!(all, Ok(expected));
        // Age has the last word.
        assert_eq!(parse("keep_days = 60").map(|k| k.least_days), Ok(60));
    }

    #[test]
    fn every_fault_is_named_with_its_key() {
        let faults = parse("keep_days = 30\nleast_days = 31\nmax_size = \"1 MB\"\nkeep_free = \"much\"\nkeep_day = 1")
            .expect_err("all of it is wrong");
        for key in [
            "least_days",
            "max_size",
            "keep_free",
            "journal.keep_day: unknown key; did you mean `keep_days`",
        ] {
            assert!(faults.iter().any(|f| f.contains(key)), "{key}: {faults:#?}");
        }
        assert!(parse("keep_days = 0").is_err());
        assert!(parse("keep_days = -1").is_err());
    }
}
