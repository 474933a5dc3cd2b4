//! What people and programs read on standard output.

use std::io::{self, Write as _};

use comfy_table::{Table, presets};
use serde::Serialize;

/// Writes a line; a closed pipe is an error (see [`is_broken_pipe`]), not a panic.
pub(crate) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Writes a line of progress or advice, which is no part of the result.
pub(crate) fn note(text: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(io::stderr().lock(), "{text}")?)
}

/// Writes a value for programs.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?)
}

/// A table without lines, as container tools print them; columns are two blanks apart.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Writes a table without the blanks at the ends of its lines.
pub(crate) fn print_table(table: &Table) -> anyhow::Result<()> {
    let text = table.to_string();
    for row in text.lines() {
        line(row.trim_end())?;
    }
    Ok(())
}

/// Whether an error is that of a pipe whose reader went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// A size for people: `4.2 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Writes bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    Ok(io::stdout().lock().write_all(bytes)?)
}
