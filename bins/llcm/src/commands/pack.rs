//! `llcm pack`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::output;
use crate::pack::Content;

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "The directory has a manifest TOSCA-Metadata/NAPD.yaml, which lists the descriptors; \
                        their hashes are filled in. Names that begin with a dot are left out."
)]
pub(crate) struct Args {
    /// The directory with the package's content.
    pub(crate) directory: PathBuf,
    /// The package file to write. [default: VENDOR.NAME.VERSION.tgo here]
    #[arg(long, value_name = "FILE")]
    pub(crate) to: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let content = Content::read(&args.directory)?;
    let to = match &args.to {
        Some(to) => to.clone(),
        None => PathBuf::from(content.file_name()?),
    };
    let size = content.write(&to)?;
    output::line(format_args!("packed {} ({})", to.display(), output::size(size)))?;
    Ok(ExitCode::SUCCESS)
}
