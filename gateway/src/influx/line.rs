//! Journal rows as line protocol: one point a node and instant, one field a channel.
//!
//! ```text
//! reading,coop=Sen,farm=tan-thuan,plot=ao-2,node=ao-2-nuoc water_temperature=29.4,salinity=12.1 1764000000000
//! ```
//! A fault is `<channel>_fault="crc"`, a time worked out afterwards `<channel>_estimated=true`. Nothing that a server would
//! choke on gets here: ids are checked, values are finite decimals, empty tags are left out.

use std::fmt::Write;

use crate::journal::cursor::Row;
use crate::reading::Measured;
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
