//! Whether this network namespace passes packets of others on (IPv4), and who needs it to.
//!
//! Programs that need it switch it on, and the last one switches it back. Who needs it has a table of nf_tables with
//! the empty or not empty chain [`NEEDED`]; that it was off before stands in the empty chain [`WAS_OFF`] of one of
//! these tables, and goes from one to the next.

use std::fs;
use std::io;

use crate::nf_tables::Batch;

/// The chain of a table whose owner needs forwarding.
pub const NEEDED: &str = "ports";

/// The chain that says that forwarding was off before there was any such table.
pub const WAS_OFF: &str = "forwarding-was-off";

/// What all our tables' names begin with.
pub const TABLES: &str = "llcm-";

const SWITCH: &str = "/proc/sys/net/ipv4/ip_forward";

/// Turning the switch turns this one, too, whatever it was (Linux, `inet_forward_change`).
const REDIRECTS: &str = "/proc/sys/net/ipv4/conf/all/accept_redirects";

/// Whether it is on.
///
/// # Errors
/// When the kernel's parameter cannot be read.
pub fn is_on() -> io::Result<bool> {
    Ok(fs::read_to_string(SWITCH)?.trim() != "0")
}

/// Switches it on or off.
///
/// # Errors
/// When the kernel's parameters cannot be written.
pub fn switch(on: bool) -> io::Result<()> {
    let redirects = fs::read_to_string(REDIRECTS)?;
    fs::write(SWITCH, if on { "1" } else { "0" })?;
    fs::write(REDIRECTS, redirects.trim())
}

/// Prepares the end of a table's need: what `table` knows of the time before goes to another table that needs
/// forwarding. `true`: there is none, and forwarding is to be switched off. `chains` are all of the namespace, as
/// table and name. The chain itself is left in `table`.
pub fn hand_over(batch: &mut Batch, table: &str, chains: &[(String, String)]) -> bool {
    let has =
        |table: &str, wanted: &str| chains.iter().any(|(owner, chain)| owner == table && chain == wanted);
    if !has(table, WAS_OFF) {
        return false;
    }
    let others = chains.iter().map(|(owner, _)| owner.as_str());
    let mut heirs = others.filter(|owner| *owner != table && owner.starts_with(TABLES) && has(owner, NEEDED));
    match heirs.next() {
        Some(heir) => {
            batch.add_chain(heir, WAS_OFF, None);
            false
        }
        None => true,
    }
}
