//! `sen node`: nodes with credentials of their own. Writes the journal's file, also while a gateway runs.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use rusqlite::Connection;
use sen_gateway::clock::Clock;
use sen_gateway::files;
use sen_gateway::nodes::label::{Label, Language};
use sen_gateway::nodes::orders::{self, Change};
use sen_gateway::nodes::plan::Plan;
use sen_gateway::nodes::{self, Access, Claim, Made, NewNode, NodeError};
use sen_gateway::registry::{self, NodeEntry, RegistryFile};

use super::place::Place;

#[derive(Subcommand)]
pub(super) enum NodeCommand {
    /// Add a node, or move a known one to another plot. Prints a new node's password once.
    Add {
        /// Node id: 1 to 32 of a-z, 0-9 and -.
        id: String,
        /// The plot it stands on; left out: it waits for its claim.
        #[arg(long)]
        plot: Option<String>,
        /// Name for people.
        #[arg(long)]
        name: Option<String>,
        /// The board it is, as its firmware calls it: its hello is checked against this.
        #[arg(long)]
        board: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Every node: where it stands, its claim code, whether it is revoked.
    List {
        /// As JSON, the same as the API's /api/v1/access.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Refuse a node from now on; a running gateway disconnects it. Its readings stay.
    Revoke(One),
    /// Give a node a new password, printed once; admits it again if it was revoked.
    Password(One),
    /// Make a new claim code; the old one works no more.
    ClaimCode(One),
    /// Bind a node to a plot by the code on its label.
    Claim {
        /// The code, in any spelling.
        code: String,
        /// The plot it stands on from now on.
        #[arg(long)]
        plot: String,
        /// A new name for people.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        place: Place,
    },
    /// A label to print: id, claim code and QR.
    Label {
        /// Node id.
        id: String,
        /// Where phones reach the page, such as http://192.168.1.10:8080.
        #[arg(long)]
        base: String,
        /// Its words.
        #[arg(long, value_enum, default_value = "both")]
        lang: Lang,
        /// The file: .html, or .svg for the QR code alone; standard output if left out.
        #[arg(long)]
        out: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// What a node shall do: shows it, or sets it from JSON.
    Config {
        /// Node id.
        id: String,
        /// JSON with sample_every_s, send_every_s, channels, listen_s, limits; `-`: standard input. Calibrations stay.
        #[arg(long, conflicts_with = "history")]
        set: Option<PathBuf>,
        /// The version that the change was made from: refused if another one is in force by now.
        #[arg(long, requires = "set")]
        base_version: Option<u32>,
        /// Every version, with who and when.
        #[arg(long)]
        history: bool,
        #[command(flatten)]
        who: Who,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
pub(super) struct One {
    /// Node id.
    id: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(super) struct Who {
    /// Who is written down as the author.
    #[arg(
        long,
        env = "USER",
        default_value = "command line",
        hide_env_values = true
    )]
    who: String,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Lang {
    Vi,
    En,
    Both,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Vi => Self::Vietnamese,
            Lang::En => Self::English,
            Lang::Both => Self::Both,
        }
    }
}

/// Runs one of them.
pub(super) fn run(command: &NodeCommand) -> anyhow::Result<()> {
    let now = Clock::system().now();
    match command {
        NodeCommand::Add {
            id,
            plot,
            name,
            board,
            place,
        } => {
            let new = NewNode {
                id: id.clone(),
                plot: plot.clone(),
                name: name.clone(),
                board: board.clone(),
            };
            add(&place.dir()?, &new, now)
        }
        NodeCommand::List { json, place } => {
            let all = nodes::list(&registry::open(&place.dir()?)?)?;
            if *json {
                println!("{}", serde_json::to_string_pretty(&all)?);
            } else {
                all.iter().for_each(|node| println!("{}", line(node)));
            }
            Ok(())
        }
        NodeCommand::Revoke(One { id, place }) => {
            write(&place.dir()?, |c| nodes::revoke(c, id, now))?;
            println!("node {id} is revoked; a running gateway disconnects it within a second");
            Ok(())
        }
        NodeCommand::Password(One { id, place }) => {
            let password = write(&place.dir()?, |c| nodes::new_password(c, id))?;
            println!("node {id} password {}", password.reveal());
            Ok(())
        }
        NodeCommand::ClaimCode(One { id, place }) => {
            let code = write(&place.dir()?, |c| nodes::new_claim_code(c, id, now))?;
            println!("node {id} claim-code {code}");
            Ok(())
        }
        NodeCommand::Claim {
            code,
            plot,
            name,
            who,
            place,
        } => {
            let claim = Claim {
                code: code.clone(),
                plot: plot.clone(),
                name: name.clone(),
                who: who.who.clone(),
            };
            let id = write(&place.dir()?, |c| nodes::claim(c, &claim, now))?;
            println!("node {id} stands on {plot}");
            Ok(())
        }
        NodeCommand::Label {
            id,
            base,
            lang,
            out,
            place,
        } => {
            let access = nodes::access(&registry::open(&place.dir()?)?, id)?;
            let label = Label::of(&access, base)?;
            let svg = out
                .as_deref()
                .and_then(Path::extension)
                .is_some_and(|e| e.eq_ignore_ascii_case("svg"));
            let text = if svg {
                label.svg()
            } else {
                label.html((*lang).into())
            };
            match out {
                Some(path) => files::write_whole(path, text.as_bytes(), 0o644)
                    .with_context(|| format!("{} can't be written", path.display()))?,
                None => std::io::stdout().lock().write_all(text.as_bytes())?,
            }
            Ok(())
        }
        NodeCommand::Config {
            id,
            set,
            base_version,
            history,
            who,
            place,
        } => {
            let dir = place.dir()?;
            let shown = if let Some(path) = set {
                let change = Change {
                    plan: plan(path)?,
                    base: *base_version,
                    who: who.who.clone(),
                };
                serde_json::to_string_pretty(&write(&dir, |c| {
                    orders::change(c, id, &change, now)
                })?)?
            } else if *history {
                serde_json::to_string_pretty(&orders::history(&registry::open(&dir)?, id)?)?
            } else {
                serde_json::to_string_pretty(&orders::state(&registry::open(&dir)?, id)?)?
            };
            println!("{shown}");
            Ok(())
        }
    }
}

/// Whether the input is to blame.
pub(super) fn is_input_error(e: &anyhow::Error) -> bool {
    e.downcast_ref::<NodeError>()
        .is_some_and(|e| !matches!(e, NodeError::Sqlite(_)))
        || e.downcast_ref::<serde_json::Error>().is_some()
}

/// All of it or nothing.
pub(super) fn write<T>(
    dir: &Path,
    f: impl FnOnce(&Connection) -> Result<T, NodeError>,
) -> anyhow::Result<T> {
    let mut c = registry::open(dir)?;
    // Takes the lock at once: what is read within is what is changed.
    let tx = c.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let done = f(&tx)?;
    tx.commit()?;
    Ok(done)
}

fn add(dir: &Path, new: &NewNode, now: i64) -> anyhow::Result<()> {
    match write(dir, |c| nodes::add(c, new, now)) {
        Ok(Made {
            node,
            password,
            claim_code,
        }) => {
            println!("node {node} password {}", password.reveal());
            if let Some(code) = claim_code {
                println!("node {node} claim-code {code}");
            }
            Ok(())
        }
        // A known node moves.
        Err(e) if matches!(e.downcast_ref(), Some(NodeError::Exists(_))) && new.plot.is_some() => {
            let entry = NodeEntry {
                id: new.id.clone(),
                plot: new.plot.clone().unwrap_or_default(),
                name: new.name.clone(),
                password: None,
            };
            super::write(
                dir,
                &RegistryFile {
                    node: vec![entry],
                    ..Default::default()
                },
            )
        }
        Err(e) => Err(e),
    }
}

fn plan(path: &Path) -> anyhow::Result<Plan> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text)?;
    } else {
        text = std::fs::read_to_string(path)
            .with_context(|| format!("{} can't be read", path.display()))?;
    }
    serde_json::from_str(&text).with_context(|| format!("{} can't be used", path.display()))
}

fn line(node: &Access) -> String {
    let mut text = match (&node.farm, &node.plot) {
        (Some(farm), Some(plot)) => format!("{}  {farm}/{plot}", node.id),
        _ => format!("{}  unclaimed", node.id),
    };
    if let Some(code) = &node.claim_code {
        text.push_str(&format!("  claim-code {code}"));
    }
    if let Some(board) = &node.board {
        text.push_str(&format!("  board {board}"));
    }
    if let Some(version) = node.config_version {
        text.push_str(&format!("  configuration {version}"));
    }
    if node.revoked_at.is_some() {
        text.push_str("  REVOKED");
    }
    text
}
