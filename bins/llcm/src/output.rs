//! What people and programs read on standard output.

use std::io::{self, Write as _};

use comfy_table::{Table, presets};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

/// Writes a line; a closed pipe is an error (see [`is_broken_pipe`]), not a panic.
pub(crate) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{}", plain(&text.to_string()))?)
}

/// Writes a line of progress or advice, which is no part of the result.
pub(crate) fn note(text: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(io::stderr().lock(), "{}", plain(&text.to_string()))?)
}

/// A text without what a terminal would obey: names and messages may come from a stranger's package.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
    }
    shown
}

/// Writes a value for programs.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    // JSON escapes by itself what has to be.
    Ok(writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(value)?)?)
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

/// Whether standard output is a pipe whose reader went away.
pub(crate) fn is_unread() -> bool {
    let stdout = io::stdout();
    let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
    poll(&mut asked, Some(&Timespec::default())).is_ok() && asked[0].revents().contains(PollFlags::ERR)
}

/// A size for people: `4.2 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// Writes bytes as they are.
pub(crate) fn bytes(bytes: &[u8]) -> anyhow::Result<()> {
    Ok(io::stdout().lock().write_all(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(plain("a\u{1b}[31mb\u{9b}2J\r\u{7}\n\tä"), "a\\u{1b}[31mb\\u{9b}2J\\r\\u{7}\n\tä");
    }
}
