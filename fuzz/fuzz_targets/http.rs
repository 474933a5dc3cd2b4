//! What arrives on a connection: the first byte chooses the server, the others are the connection's.

#![no_main]

use std::cell::RefCell;
use std::mem::ManuallyDrop;

use libfuzzer_sys::fuzz_target;
use llcm_fuzz::http::Server;
use llcm_lifecycle::Dialect;

const KINDS: [(Dialect, bool); 4] =
    [(Dialect::Tango, true), (Dialect::Tango, false), (Dialect::Sonata, false), (Dialect::Sonata, true)];

thread_local! {
    /// Never dropped: at the thread's end it would ask for thread-locals that are gone already.
    static SERVERS: RefCell<[ManuallyDrop<Option<Server>>; 4]> =
        const { RefCell::new([const { ManuallyDrop::new(None) }; 4]) };
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let kind = usize::from(first % 4);
    SERVERS.with_borrow_mut(|servers| {
        let (dialect, locked) = KINDS[kind];
        let server = servers[kind].get_or_insert_with(|| Server::start(dialect, locked));
        server.answer(rest);
        if server.is_over() {
            servers[kind].take();
        }
    });
});
