//! `faults FILE`: how many of the faults that people labelled are seen, and how much else is taken for one.
//!
//! Every column of the file is walked through a fresh judge, reading by reading. Two tables a column, for the first and for
//! the second half of the time (what was chosen by looking was chosen on the first): faults by labelled kind with how many
//! were seen (recall), and marks by kind with how many lie on a labelled fault (precision). `--inject` puts known faults into
//! readings that nobody complained of, since labels are few and say little of size.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod inject;
#[path = "../series/mod.rs"]
mod series;
mod truth;

use std::{collections::BTreeMap, ops::Range, path::PathBuf};

use clap::Parser;
use sen_alerts::quality::{Belief, Judge, Judged};

use self::{
    series::Series,
    truth::{Event, Kind, events, faulty, runs},
};

#[derive(Parser)]
#[command(about = "Measures the marks on readings against labels.")]
struct Args {
    /// CSV, plain or gzip.
    file: PathBuf,
    /// Put known faults into readings that are not labelled faulty, and measure those.
    #[arg(long)]
    inject: bool,
    /// Name every mark on a reading without a label.
    #[arg(long)]
    list: bool,
    /// Per column too.
    #[arg(long)]
    columns: bool,
}

/// What was thought of each reading in the end.
pub(crate) fn walk(series: &Series) -> Vec<Judged> {
    let mut judge = Judge::default();
    let mut said = Vec::new();
    let mut last: BTreeMap<i64, Judged> = BTreeMap::new();
    for row in &series.rows {
        judge.take(series.quantity, row.at, row.value, &mut said);
        for judged in said.drain(..) {
            last.insert(judged.at, judged);
        }
    }
    series.rows.iter().map(|row| last[&row.at]).collect()
}

#[derive(Clone, Copy, Default)]
struct Found {
    points: usize,
    points_seen: usize,
    events: usize,
    events_seen: usize,
}

impl Found {
    fn add(&mut self, other: Self) {
        self.points += other.points;
        self.points_seen += other.points_seen;
        self.events += other.events;
        self.events_seen += other.events_seen;
    }
}

#[derive(Default)]
struct Table {
    recall: BTreeMap<Kind, Found>,
    precision: BTreeMap<&'static str, Found>,
    readings: usize,
    rejected: usize,
}

impl Table {
    fn add(&mut self, other: &Self) {
        for (kind, found) in &other.recall {
            self.recall.entry(*kind).or_default().add(*found);
        }
        for (mark, found) in &other.precision {
            self.precision.entry(mark).or_default().add(*found);
        }
        self.readings += other.readings;
        self.rejected += other.rejected;
    }

    fn print(&self, title: &str) {
        println!(
            "\n{title}: {} readings, {} not believed ({:.3} %)",
            self.readings,
            self.rejected,
            100.0 * self.rejected as f64 / self.readings.max(1) as f64
        );
        let row = |name: &str, f: &Found| {
            println!(
                "  {name:<22} {:>7} {:>7} {:>8} {:>6} {:>6} {:>8}",
                f.points,
                f.points_seen,
                share(f.points_seen, f.points),
                f.events,
                f.events_seen,
                share(f.events_seen, f.events)
            );
        };
        println!("  labelled faults           points    seen   recall events   seen   recall");
        let mut all = Found::default();
        for kind in Kind::ALL {
            if let Some(found) = self.recall.get(&kind) {
                row(&format!("{kind:?}").to_lowercase(), found);
                if !matches!(kind, Kind::Drift | Kind::Step) {
                    all.add(*found);
                }
            }
        }
        row("all but drift, step", &all);
        println!("  marks                     points   right precision runs  right precision");
        for (mark, found) in &self.precision {
            row(mark, found);
        }
    }
}

fn share(part: usize, whole: usize) -> String {
    if whole == 0 {
        "-".to_owned()
    } else {
        format!("{:.1} %", 100.0 * part as f64 / whole as f64)
    }
}

/// Steps are seen a while after, by design.
const STEP_SLACK: usize = 24;

fn measure(
    series: &Series,
    said: &[Judged],
    events: &[Event],
    part: Range<usize>,
    list: bool,
) -> Table {
    let by_reading = faulty(events, said.len());
    let unbelieved = |n: usize| said[n].belief != Belief::Believed;
    let mut table = Table {
        readings: part.len(),
        rejected: part.clone().filter(|&n| unbelieved(n)).count(),
        ..Table::default()
    };
    let step_near = |n: usize| (n..(n + STEP_SLACK).min(said.len())).any(|m| said[m].marks.step);
    for event in events.iter().filter(|e| part.contains(&e.from)) {
        let found = table.recall.entry(event.kind).or_default();
        let seen = match event.kind {
            Kind::Step => usize::from(step_near(event.from)),
            _ => (event.from..event.to).filter(|&n| unbelieved(n)).count(),
        };
        found.points += event.to - event.from;
        found.points_seen += seen;
        found.events += 1;
        found.events_seen += usize::from(seen > 0);
    }
    type Has = fn(&Judged) -> bool;
    let marks: [(&'static str, Has); 5] = [
        ("sentinel", |j| j.marks.sentinel),
        ("range", |j| j.marks.range),
        ("spike", |j| j.marks.spike),
        ("stuck", |j| j.marks.stuck),
        ("any (not believed)", |j| j.belief != Belief::Believed),
    ];
    for (name, has) in marks {
        runs(said, has, 4, |from, to| {
            if !part.contains(&from) {
                return;
            }
            let found = table.precision.entry(name).or_default();
            let suspect = |n: usize| series.rows[n].label.flagged && by_reading[n].is_none();
            let points = (from..to).filter(|&n| has(&said[n]) && !suspect(n)).count();
            if points == 0 {
                return;
            }
            let right = (from..to)
                .filter(|&n| has(&said[n]) && by_reading[n].is_some())
                .count();
            found.points += points;
            found.points_seen += right;
            found.events += 1;
            found.events_seen += usize::from(right > 0);
            if list && right == 0 && name.starts_with("any") {
                let around = from.saturating_sub(3)..(to + 3).min(said.len());
                let values: Vec<f64> = said[around].iter().take(14).map(|j| j.value).collect();
                println!(
                    "    no label: {} {} {points} {:?} {values:?}",
                    series.name,
                    series::text(said[from].at),
                    said[from].marks
                );
            }
        });
    }
    let steps: Vec<usize> = part.filter(|&n| said[n].marks.step).collect();
    let truly: Vec<usize> = events
        .iter()
        .filter(|e| e.kind == Kind::Step)
        .map(|e| e.from)
        .collect();
    if !steps.is_empty() {
        let right = steps
            .iter()
            .filter(|&&n| truly.iter().any(|&t| t <= n && n < t + STEP_SLACK))
            .count();
        let found = table.precision.entry("step (believed)").or_default();
        (found.points, found.events) = (steps.len(), steps.len());
        (found.points_seen, found.events_seen) = (right, right);
    }
    table
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut whole = [Table::default(), Table::default()];
    let mut unlabelled = [Table::default(), Table::default()];
    let mut injected = [inject::Score::default(), inject::Score::default()];
    for series in series::read(&args.file)? {
        let half = series.rows.len() / 2;
        let events = events(&series);
        if args.inject {
            let clean: Vec<bool> = faulty(&events, series.rows.len())
                .iter()
                .map(Option::is_none)
                .collect();
            for (score, part) in injected.iter_mut().zip([0..half, half..series.rows.len()]) {
                let own = inject::measure(&series, &clean, part);
                if args.columns {
                    own.print(&series.name);
                }
                score.add(&own);
            }
            continue;
        }
        let said = walk(&series);
        for (table, part, title) in [
            (0, 0..half, "first half"),
            (1, half..series.rows.len(), "second half"),
        ] {
            let own = measure(&series, &said, &events, part, args.list);
            if args.columns {
                own.print(&format!("{} ({}), {title}", series.name, series.quantity));
            }
            let sum = if series.labelled {
                &mut whole
            } else {
                &mut unlabelled
            };
            sum[table].add(&own);
        }
    }
    for ((table, score), title) in whole
        .iter()
        .zip(&injected)
        .zip(["first half", "second half"])
    {
        if args.inject {
            score.print(&format!("injected, all columns, {title}"));
        } else {
            table.print(&format!("columns with labels, {title}"));
        }
    }
    for (table, title) in unlabelled.iter().zip(["first half", "second half"]) {
        if table.readings > 0 {
            table.print(&format!("columns without labels, {title}"));
        }
    }
    Ok(())
}
