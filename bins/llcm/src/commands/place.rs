//! Where the server keeps its state, for commands that look there themselves.

use std::path::PathBuf;

use crate::config::file;
use crate::config::raw::RawConfig;

/// As `llcm serve` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// Where the server keeps its state. [default: as for `llcm serve`]
    #[arg(long, env = "LLCM_DATA_DIR", hide_env_values = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The server's configuration file. [default: as for `llcm serve`]
    #[arg(long, env = "LLCM_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    /// The data directory; it need not be there.
    pub(crate) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        let given = RawConfig { data_dir: self.data_dir.clone(), ..RawConfig::default() };
        given.over(file::read(self.config.as_deref())?).data_dir()
    }
}
