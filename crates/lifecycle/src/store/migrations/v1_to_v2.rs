//! Format 2 says which program wrote the store, so that an older one that refuses it can name it.

use redb::{ReadableDatabase as _, WriteTransaction};

use crate::store::file::META;

const KEY_PROGRAM: &str = "program";

pub(super) fn migrate(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    stamp_program(transaction)
}

/// Writes down which program this is.
pub(crate) fn stamp_program(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(META)?.insert(KEY_PROGRAM, env!("CARGO_PKG_VERSION").as_bytes())?;
    Ok(())
}

/// Which program wrote the store, in words that follow "the program that wrote it"; empty where that is not said.
pub(crate) fn program(database: &redb::Database) -> Result<String, redb::Error> {
    let found = database.begin_read()?.open_table(META)?.get(KEY_PROGRAM)?;
    let version = found.and_then(|value| String::from_utf8(value.value().to_vec()).ok());
    Ok(version.map(|version| format!(" (llcm {version})")).unwrap_or_default())
}
