//! `sen ledger`: what arrived and what is missing, read from the journal's file, also beside a running gateway.

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;

use clap::Args;
use sen_gateway::clock::Clock;
use sen_gateway::completeness::{
    All, DayAccount, DayHistory, FileError, FromFile, MAX_DAYS, MissingRange, NodeAccount, One,
    USUAL_DAYS, Undated, Window, farm_time, from_file,
};

use super::place::Place;
use sen_gateway::reading::Millis;

#[derive(Args)]
pub(super) struct Ledger {
    #[command(flatten)]
    place: Place,
    /// One node, day by day.
    #[arg(long)]
    node: Option<String>,
    /// How many days, 1 to 400; today is the last one.
    #[arg(long, default_value_t = USUAL_DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
    days: u32,
    /// As JSON, the same as the API's /api/v1/ledger.
    #[arg(long)]
    json: bool,
}

/// Readings are missing: exit code 3, so that a script notices.
#[derive(Debug, thiserror::Error)]
#[error("missing readings: {missing}, in days looked at: {days}")]
pub(super) struct Missing {
    missing: u64,
    days: u32,
}

/// Prints the account.
pub(super) fn run(args: &Ledger) -> anyhow::Result<()> {
    let dir = args.place.dir()?;
    let now = Clock::system().now();
    let window = Window::last(args.days, now);
    let account = from_file(&dir, args.node.as_deref(), window, now)?;
    let (text, missing) = match &account {
        FromFile::All(all) => (
            if args.json {
                serde_json::to_string_pretty(all)?
            } else {
                all_text(all, args.days)
            },
            all.nodes.iter().map(|n| n.window_missing).sum(),
        ),
        FromFile::One(one) => (
            if args.json {
                serde_json::to_string_pretty(one)?
            } else {
                one_text(one)
            },
            one.account.window_missing,
        ),
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    super::say_damage(&dir);
    if missing > 0 {
        return Err(Missing {
            missing,
            days: args.days,
        }
        .into());
    }
    Ok(())
}

/// Whether the input is to blame.
pub(super) fn is_input_error(e: &anyhow::Error) -> bool {
    matches!(
        e.downcast_ref(),
        Some(FileError::NoSuchNode(_) | FileError::Absent(_) | FileError::Newer(_))
    )
}

/// Rows under a head; the first column to the left, numbers to the right.
struct Table(Vec<Vec<String>>);

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |i: usize| {
            self.0
                .iter()
                .filter_map(|row| row.get(i))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.0 {
            let mut line = String::new();
            for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if i == 0 {
                    write!(line, "{cell:<width$}")?;
                } else {
                    write!(line, "  {cell:>width$}")?;
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn row<const N: usize>(cells: [&dyn Display; N]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

/// `-` where there is nothing to say.
fn or_dash<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| v.to_string())
}

fn percent(of: Option<f64>) -> String {
    or_dash(of.map(|p| format!("{p:.1}")))
}

fn all_text(all: &All, days: u32) -> String {
    let mut rows = vec![row([
        &"node",
        &"received",
        &"missing",
        &"percent",
        &"late",
        &"refused",
        &"unnumbered",
        &"dropped",
        &format!("missing in {days} days"),
    ])];
    rows.extend(all.nodes.iter().map(|n| {
        row([
            &n.node,
            &n.received,
            &n.missing,
            &percent(n.percent),
            &n.late,
            &n.refused,
            &n.unnumbered,
            &or_dash(n.dropped),
            &n.window_missing,
        ])
    }));
    let mut out = Table(rows).to_string();
    out.extend(all.heading.deleted_before.map(deleted));
    out
}

fn deleted(before: Millis) -> String {
    format!(
        "history before {} was deleted by the rules of [journal]; deleted is not missing\n",
        farm_time(before)
    )
}

fn one_text(one: &One) -> String {
    let n = &one.account;
    let mut out = String::new();
    // Writing to a String never fails.
    let _ = writeln!(out, "{}  {}", n.node, n.name);
    let _ = writeln!(out, "{}", sums(n));
    out.extend(one.heading.deleted_before.map(deleted));
    let _ = writeln!(out);
    let mut rows = vec![row([
        &"day",
        &"received",
        &"missing",
        &"expected",
        &"percent",
        &"late",
        &"refused",
        &"unnumbered",
        &"history",
    ])];
    rows.extend(n.days.iter().map(|d: &DayAccount| {
        row([
            &d.day,
            &d.received,
            &d.missing,
            &d.expected,
            &percent(d.percent),
            &d.late,
            &d.refused,
            &d.unnumbered,
            &history(d),
        ])
    }));
    let _ = write!(out, "{}", Table(rows));
    if !n.missing_ranges.is_empty() {
        let _ = writeln!(out, "\nmissing, newest first");
        let mut rows = vec![row([
            &"boot", &"from", &"through", &"count", &"after", &"before",
        ])];
        rows.extend(n.missing_ranges.iter().map(|r: &MissingRange| {
            row([
                &r.boot,
                &r.from,
                &r.through,
                &r.count,
                &or_dash(r.after.map(farm_time)),
                &or_dash(r.before.map(farm_time)),
            ])
        }));
        let _ = write!(out, "{}", Table(rows));
        if n.missing_ranges_left_off > 0 {
            let _ = writeln!(out, "and {} more", n.missing_ranges_left_off);
        }
    }
    out
}

fn history(day: &DayAccount) -> &'static str {
    match day.history {
        DayHistory::Kept => "kept",
        DayHistory::PartlyDeleted => "partly deleted",
        DayHistory::Deleted => "deleted",
    }
}

fn sums(n: &NodeAccount) -> String {
    let mut text = format!("received {}, missing {}", n.received, n.missing);
    if n.missing_dropped > 0 {
        let _ = write!(
            text,
            " (of which the node says it dropped {})",
            n.missing_dropped
        );
    }
    let _ = write!(text, ", late {}, refused {}", n.late, n.refused);
    if n.unnumbered > 0 {
        let _ = write!(text, ", without a number {}", n.unnumbered);
    }
    if n.dropped_unseen > 0 {
        let _ = write!(
            text,
            "\nthe node dropped {} more that the sequence does not show as missing",
            n.dropped_unseen
        );
    }
    let Undated { received, missing } = n.undated;
    if received + missing > 0 {
        let _ = write!(
            text,
            "\nof these, an older version stored {received} received and {missing} missing without a day"
        );
    }
    text
}
