//! Where the journal is: by the gateway's configuration, or by its data directory.

use std::path::PathBuf;

use clap::Args;
use sen_gateway::config::Config;

#[derive(Args)]
pub(super) struct Place {
    /// Configuration file of the gateway.
    #[arg(long, required_unless_present = "data", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// The gateway's data directory, in place of its configuration.
    #[arg(long)]
    data: Option<PathBuf>,
}

impl Place {
    /// The data directory.
    pub(super) fn dir(&self) -> anyhow::Result<PathBuf> {
        match (&self.data, &self.config) {
            (Some(dir), _) => Ok(dir.clone()),
            (None, Some(config)) => Ok(Config::load(config)?.data_dir),
            (None, None) => unreachable!("clap asks for one of them"),
        }
    }
}
