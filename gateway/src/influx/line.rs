//! Journal rows as line protocol: one point a node and instant, one field a channel. And such a line read back.
//!
//! ```text
//! reading,coop=Sen,farm=tan-thuan,plot=ao-2,node=ao-2-nuoc water_temperature=29.4,salinity=12.1 1764000000000
//! ```
//! A fault is `<channel>_fault="crc"`, a time worked out afterwards `<channel>_estimated=true`. Nothing that a server would
//! choke on gets here: ids are checked, values are finite decimals, empty tags are left out.

use std::fmt::Write;

use sen_wire::Channel;

use crate::journal::cursor::Row;
use crate::reading::{Measured, Millis};
use crate::registry::Registry;

/// Appends the row's points to `lines`. Rows of nodes that are no longer known keep their number as tag.
pub(super) fn write(row: &Row, known: &Registry, coop: &str, lines: &mut Vec<String>) {
    let mut tags = String::with_capacity(64);
    tags.push_str("reading");
    tag(&mut tags, "coop", coop);
    match known.node_num(row.node) {
        Some(node) => {
            if let Some(plot) = known.plot(&node.plot) {
                tag(&mut tags, "farm", &plot.farm);
            }
            tag(&mut tags, "plot", &node.plot);
            tag(&mut tags, "node", &node.id);
        }
        None => tag(&mut tags, "node", &format!("removed-{}", row.node)),
    }
    let mut line = String::new();
    let mut at = None;
    let mut finish = |line: &mut String, at: Option<i64>| {
        if let Some(at) = at
            && !line.is_empty()
        {
            let _ = write!(line, " {at}");
            lines.push(std::mem::take(line));
        }
    };
    for r in &row.readings {
        let Some(channel) = r.channel else { continue };
        if at != Some(r.at) {
            finish(&mut line, at);
            at = Some(r.at);
        }
        if line.is_empty() {
            line.push_str(&tags);
            line.push(' ');
        } else {
            line.push(',');
        }
        let _ = match r.what {
            // A whole number is a float field too: without the point's `i`, line protocol reads it as one.
            Measured::Value(v) => write!(line, "{channel}={}", v.to_f64()),
            Measured::Fault(f) => write!(line, "{channel}_fault=\"{}\"", f.name()),
            Measured::Refused => continue,
        };
        if r.estimated {
            let _ = write!(line, ",{channel}_estimated=true");
        }
    }
    finish(&mut line, at);
}

/// `,key=value`, escaped as line protocol asks; nothing for an empty value.
fn tag(out: &mut String, key: &str, value: &str) {
    let start = out.len();
    let _ = write!(out, ",{key}=");
    let empty = out.len();
    for c in value.chars().filter(|c| !c.is_control()) {
        if matches!(c, ',' | ' ' | '=' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    if out.len() == empty {
        out.truncate(start);
    }
}

/// What a line says: the readings of one node at one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The node's id.
    pub node: String,
    /// When it was measured.
    pub at: Millis,
    /// In the order of the line.
    pub fields: Vec<Field>,
}

/// One channel of a [`Point`].
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Which.
    pub channel: Channel,
    /// Its value in the channel's unit, or the name of its fault.
    pub what: Result<f64, String>,
    /// The time was worked out afterwards.
    pub estimated: bool,
}

/// Reads back a line that [`write`] made; `None` for any other.
pub(super) fn read(line: &str) -> Option<Point> {
    let (rest, at) = line.rsplit_once(' ')?;
    // No field has a space in it, so this one ends the tags, and their last is the node's. Ids need no escapes.
    let (tags, fields) = rest.rsplit_once(' ')?;
    let mut point = Point {
        node: tags.rsplit_once(",node=")?.1.to_owned(),
        at: at.parse().ok()?,
        fields: Vec::new(),
    };
    for field in fields.split(',') {
        let (key, value) = field.split_once('=')?;
        if let Some(of) = key.strip_suffix("_estimated") {
            let marked = point.fields.last_mut()?;
            marked.estimated = Channel::parse(of) == Some(marked.channel);
            continue;
        }
        let (name, what) = match key.strip_suffix("_fault") {
            Some(name) => (name, Err(value.trim_matches('"').to_owned())),
            None => (key, Ok(value.parse().ok()?)),
        };
        point.fields.push(Field {
            channel: Channel::parse(name)?,
            what,
            estimated: false,
        });
    }
    Some(point)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Reading;
    use sen_wire::{Decimal, Fault};

    #[test]
    fn a_line_that_was_written_is_read_back() {
        let reading = |channel, at, what, estimated| Reading {
            channel: Channel::parse(channel),
            at,
            what,
            estimated,
        };
        let value = |v| Measured::Value(Decimal::new(v, -2));
        let row = Row {
            id: 1,
            node: 7,
            received: 9,
            place: None,
            readings: vec![
                reading("ph", 5, value(-780), true),
                reading("salinity_2", 5, Measured::Fault(Fault::Crc), false),
                reading("ph", 6, value(12_345), false),
            ],
        };
        let mut lines = Vec::new();
        write(&row, &Registry::default(), "a, b= c,node=x", &mut lines);
        let point = |at, fields: &[(&str, Result<f64, String>, bool)]| Point {
            node: String::from("removed-7"),
            at,
            fields: fields
                .iter()
                .map(|(channel, what, estimated)| Field {
                    channel: Channel::parse(channel).expect("a channel"),
                    what: what.clone(),
                    estimated: *estimated,
                })
                .collect(),
        };
        let found: Vec<_> = lines.iter().filter_map(|l| read(l)).collect();
        let crc = Err(String::from("crc"));
        let first = point(5, &[("ph", Ok(-7.8), true), ("salinity_2", crc, false)]);
        assert_eq!(found, [first, point(6, &[("ph", Ok(123.45), false)])]);
    }

    #[test]
    fn another_line_is_not_read() {
        for line in [
            "",
            "reading,node=n ph=7",
            "reading,coop=x ph=7 5",
            "reading,node=n ph=x 5",
            "reading,node=n what=7 5",
            "reading,node=n ph_estimated=true 5",
            "reading,node=n ph=7 soon",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
