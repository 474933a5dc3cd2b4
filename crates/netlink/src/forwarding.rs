//! Whether this network namespace passes packets of others on (IPv4), and who needs it to.
//!
//! Programs that need it switch it on, and the last one switches it back. Who needs it has a table of nf_tables with
//! the empty or not empty chain [`NEEDED`]; that it was off before stands in the empty chain [`WAS_OFF`] of one of
//! these tables, and goes from one to the next.
//!
//! What is to be done follows from what all the tables say, so all who change one of them take turns: [`change`].

mod turn;

use std::fs;
use std::io;

use crate::nf_tables::{self, Batch};
use crate::socket::Socket;

use turn::Turn;

/// The chain of a table whose owner needs forwarding.
pub const NEEDED: &str = "ports";

/// The chain that says that forwarding was off before there was any such table.
pub const WAS_OFF: &str = "forwarding-was-off";

/// What all our tables' names begin with.
pub const TABLES: &str = "llcm-";

/// How often it is decided anew because something that was there has gone: of those who take no turns, who delete a table
/// by hand or write another program's rules anew.
const ATTEMPTS: usize = 8;

const SWITCH: &str = "/proc/sys/net/ipv4/ip_forward";

/// Turning the switch turns this one, too, whatever it was (Linux, `inet_forward_change`).
const REDIRECTS: &str = "/proc/sys/net/ipv4/conf/all/accept_redirects";

/// What becomes of the switch when a table is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// It stays as it is.
    Stays,
    /// It is switched on once the table says so.
    On,
    /// It is switched off before the table says so.
    Off,
}

/// Changes a table of one's own, and with it the switch, in this thread's network namespace: nobody else who does so
/// reads or changes anything in between, whatever thread or program that is. `decide` is given a socket and all chains of
/// the namespace, as table and name, and says what to do; `None` is nothing. It is asked again when something that it
/// wants to change has gone meanwhile.
///
/// Killed in between, it leaves a table that says that somebody needs forwarding, so that whoever comes later, or makes
/// this change again, knows how it was before.
///
/// # Errors
/// `TimedOut` when somebody else does not end their turn within 30 seconds; those of `decide`; the kernel's, and then the
/// table is as it was.
pub fn change(
    mut decide: impl FnMut(&mut Socket, &[(String, String)]) -> io::Result<Option<(Batch, Switch)>>,
) -> io::Result<()> {
    let _turn = Turn::take()?;
    let mut socket = Socket::open_netfilter()?;
    let mut attempts = 1;
    loop {
        let chains = nf_tables::chains(&mut socket)?;
        let Some((batch, turn_to)) = decide(&mut socket, &chains)? else { return Ok(()) };
        if turn_to == Switch::Off {
            switch(false)?;
        }
        match batch.commit(&mut socket) {
            Ok(()) if turn_to == Switch::On => return switch(true),
            Ok(()) => return Ok(()),
            Err(error) => {
                if turn_to == Switch::Off {
                    switch(true)?;
                }
                if !error.is_absent() || attempts == ATTEMPTS {
                    return Err(error.into());
                }
            }
        }
        attempts += 1;
    }
}

/// Whether it is on.
///
/// # Errors
/// When the kernel's parameter cannot be read.
pub fn is_on() -> io::Result<bool> {
    Ok(fs::read_to_string(SWITCH)?.trim() != "0")
}

fn switch(on: bool) -> io::Result<()> {
    let redirects = fs::read_to_string(REDIRECTS)?;
    fs::write(SWITCH, if on { "1" } else { "0" })?;
    fs::write(REDIRECTS, redirects.trim())
}

/// Prepares the end of a table's need, within [`change`]: what `table` knows of the time before goes to another table
/// that needs forwarding; where there is none, forwarding is to be switched off. `chains` are all of the namespace, as
/// table and name. The chain itself is left in `table`.
pub fn hand_over(batch: &mut Batch, table: &str, chains: &[(String, String)]) -> Switch {
    let has =
        |table: &str, wanted: &str| chains.iter().any(|(owner, chain)| owner == table && chain == wanted);
    if !has(table, WAS_OFF) {
        return Switch::Stays;
    }
    let others = chains.iter().map(|(owner, _)| owner.as_str());
    let mut heirs = others.filter(|owner| *owner != table && owner.starts_with(TABLES) && has(owner, NEEDED));
    match heirs.next() {
        Some(heir) => {
            batch.add_chain(heir, WAS_OFF, None);
            Switch::Stays
        }
        None => Switch::Off,
    }
}
