//! `forecasts FILE`: how far forecasts are off, beside "as now" and "as yesterday at that time", on months that were held out.
//!
//! The models' form was chosen on January to June; July to December are reported. Each forecast is made online from nothing
//! but good readings before it. "Shown" is what the gate in the code lets through, by the errors of the weeks before.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

#[path = "series/mod.rs"]
mod series;

use std::path::PathBuf;

use clap::Parser;
use sen_alerts::{
    advice::{
        forecast::{Ahead, Night},
        skill::Said,
    },
    calendar::Zone,
};

#[derive(Parser)]
#[command(about = "Errors of forecasts on held-out months.")]
struct Args {
    /// CSV, plain or gzip, with a reserve's quality codes.
    file: PathBuf,
    /// First held-out month.
    #[arg(long, default_value_t = 7)]
    from: u32,
    /// Last held-out month.
    #[arg(long, default_value_t = 12)]
    to: u32,
    /// Hours that the place's clock is ahead of the file's (the estuary's file is in UTC by its oxygen, the place 5 h behind).
    #[arg(long, default_value_t = -5, allow_negative_numbers = true)]
    clock: i32,
}

#[derive(Default)]
struct Sum {
    model: f64,
    now: f64,
    yesterday: f64,
    count: u32,
}

impl Sum {
    fn add(&mut self, said: Said, truth: f64) {
        self.model += (said.model - truth).abs();
        self.now += (said.now - truth).abs();
        self.yesterday += (said.yesterday - truth).abs();
        self.count += 1;
    }

    fn text(&self) -> String {
        let mean = |sum: f64| sum / f64::from(self.count.max(1));
        format!(
            "{:>6} {:>9.3} {:>9.3} {:>9.3}",
            self.count,
            mean(self.model),
            mean(self.now),
            mean(self.yesterday)
        )
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let zone = Zone::ahead_of_utc(args.clock * 3600).unwrap_or(Zone::UTC);
    println!("mean absolute error, months {} to {}", args.from, args.to);
    println!("                            all forecasts                       shown by the gate");
    println!(
        "channel   ahead      count     model    as now yesterday   count     model    as now yesterday"
    );
    for series in series::read(&args.file)? {
        let held_out = |said: &Said| (args.from..=args.to).contains(&series::month(said.target));
        let good = || {
            series
                .rows
                .iter()
                .filter(|row| !row.label.flagged && row.value.is_finite())
        };
        if ["sal", "spcond", "depth", "do_mgl", "temp"].contains(&series.name.as_str()) {
            for hours in [1, 3, 6, 12] {
                let mut ahead = Ahead::new(hours);
                let (mut all, mut shown) = (Sum::default(), Sum::default());
                let mut open: std::collections::VecDeque<(i64, bool)> = Default::default();
                for row in good() {
                    for (said, truth) in ahead.take(row.at, row.value) {
                        let mut was_shown = false;
                        while let Some((target, earned)) = open.front().copied() {
                            if target > said.target {
                                break;
                            }
                            was_shown = target == said.target && earned;
                            open.pop_front();
                        }
                        if held_out(&said) {
                            all.add(said, truth);
                            if was_shown {
                                shown.add(said, truth);
                            }
                        }
                    }
                    if let Some(forecast) = ahead.forecast()
                        && open
                            .back()
                            .is_none_or(|(target, _)| *target < forecast.target)
                    {
                        open.push_back((forecast.target, forecast.shown));
                    }
                }
                println!(
                    "{:<9} {hours:>3} h    {}  {}",
                    series.name,
                    all.text(),
                    shown.text()
                );
            }
        }
        if series.name == "do_mgl" {
            let mut night = Night::new(zone);
            let (mut all, mut shown) = (Sum::default(), Sum::default());
            for row in good() {
                let earned = night.forecast().is_some_and(|f| f.shown);
                if let Some((said, truth)) = night.take(row.at, row.value)
                    && held_out(&said)
                {
                    all.add(said, truth);
                    if earned {
                        shown.add(said, truth);
                    }
                }
            }
            println!(
                "{:<9} dawn     {}  {}",
                series.name,
                all.text(),
                shown.text()
            );
        }
    }
    Ok(())
}
