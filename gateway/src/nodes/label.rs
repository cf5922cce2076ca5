//! A label to print: the node's id in letters, the claim code in letters and as QR. No secret is on it.

use std::fmt::Write;

use qrcode::types::QrError;
use qrcode::{Color, EcLevel, QrCode};

use super::{Access, NodeError, escaped};

/// Quiet zone around a QR code, in modules (ISO/IEC 18004).
const QUIET: usize = 4;

/// Which words are on the label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Vietnamese.
    Vietnamese,
    /// English.
    English,
    /// Vietnamese, and English below it.
    Both,
}

impl Language {
    /// `vi`, `en` or `both`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "vi" => Some(Self::Vietnamese),
            "en" => Some(Self::English),
            "both" => Some(Self::Both),
            _ => None,
        }
    }

    fn words(self) -> &'static [Words] {
        const VI: Words = Words {
            lang: "vi",
            scan: "Quét mã để nhận thiết bị",
            code: "Mã nhận",
        };
        const EN: Words = Words {
            lang: "en",
            scan: "Scan to claim this node",
            code: "Claim code",
        };
        match self {
            Self::Vietnamese => &[VI],
            Self::English => &[EN],
            Self::Both => &[VI, EN],
        }
    }
}

struct Words {
    lang: &'static str,
    scan: &'static str,
    code: &'static str,
}

/// What is on a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    node: String,
    name: String,
    code: String,
    url: String,
}

impl Label {
    /// The label of a node that waits for its claim. `base`: where phones reach the page, such as `http://192.168.1.10:8080`.
    ///
    /// # Errors
    /// [`NodeError::Fault`] for a node without a claim code that still works, and for a base that is no address.
    pub fn of(access: &Access, base: &str) -> Result<Self, NodeError> {
        let code = access.claim_code.clone().ok_or_else(|| {
            NodeError::Fault(format!(
                "{} has no claim code that still works; `sen node claim-code` makes one",
                access.id
            ))
        })?;
        let parsed = reqwest::Url::parse(base)
            .ok()
            .filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host());
        if parsed.is_none() {
            return Err(NodeError::Fault(format!(
                "`{base}` is no address; write http://192.168.1.10:8080, as phones reach the page"
            )));
        }
        Ok(Self {
            node: access.id.clone(),
            name: access.name.clone(),
            url: format!("{}/claim/{code}", base.trim_end_matches('/')),
            code,
        })
    }

    /// Where the QR code leads.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The QR code alone, one unit a module.
    #[must_use]
    pub fn svg(&self) -> String {
        qr(&self.url).unwrap_or_default()
    }

    /// A page that prints as one label of 62 mm.
    #[must_use]
    pub fn html(&self, language: Language) -> String {
        let words = language.words();
        let lang = words.first().map_or("en", |w| w.lang);
        let mut lines = String::new();
        for w in words {
            // Writing to a String never fails.
            let _ = write!(
                lines,
                "<p lang=\"{}\">{}<br>{}: <b>{}</b></p>",
                w.lang, w.scan, w.code, self.code
            );
        }
        format!(
            "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\"><title>{id}</title><style>\
@page {{ size: 62mm 40mm; margin: 2mm }} body {{ margin: 0; font: 9pt sans-serif; display: flex; gap: 2mm; width: 58mm }} \
svg {{ width: 28mm; flex: none }} h1 {{ font: bold 12pt monospace; margin: 0; overflow-wrap: anywhere }} p {{ margin: 1mm 0 }}\
</style></head><body>{svg}<div><h1>{id}</h1><p>{name}</p>{lines}</div></body></html>\n",
            id = escaped(&self.node),
            name = escaped(&self.name),
            svg = self.svg(),
        )
    }
}

/// Dark modules of a row as one path: prints crisply at any size.
fn qr(text: &str) -> Result<String, QrError> {
    // A label gets wet and scratched: up to a quarter of it may be lost.
    let code = QrCode::with_error_correction_level(text, EcLevel::Q)?;
    let width = code.width();
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        for (x, color) in row.iter().enumerate() {
            if *color == Color::Dark {
                // Writing to a String never fails.
                let _ = write!(path, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
            }
        }
    }
    let side = width + 2 * QUIET;
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
<rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(code: Option<&str>) -> Access {
        Access {
            id: "ao-3".to_owned(),
            name: "Ao <3>".to_owned(),
            farm: None,
            plot: None,
            board: None,
            revoked_at: None,
            claim_code: code.map(str::to_owned),
            claimed_at: None,
            claimed_by: None,
            config_version: None,
        }
    }

    #[test]
    fn says_the_code_in_both_languages_and_escapes_names() {
        let label = Label::of(&access(Some("7K4M-Q2XD")), "http://192.168.1.10:8080/").unwrap();
        assert_eq!(label.url(), "http://192.168.1.10:8080/claim/7K4M-Q2XD");
        let html = label.html(Language::Both);
        for part in ["Mã nhận", "Claim code", "Ao &lt;3&gt;", "ao-3", "<svg "] {
            assert!(html.contains(part), "{part}");
        }
        assert!(!label.html(Language::Vietnamese).contains("Claim code"));
        assert!(Label::of(&access(None), "http://a").is_err());
        assert!(Label::of(&access(Some("7K4M-Q2XD")), "a phone").is_err());
    }
}
