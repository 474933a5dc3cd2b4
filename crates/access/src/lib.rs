//! Who may use a server, and who did what with it: access tokens and the audit log, each a file of the data
//! directory that the server and the command line share without talking to one another.
//!
//! Knows no HTTP: what a request shows and what is refused is the business of whoever asks. Blocks on files, and is
//! told the time.
//!
//! ```
//! use llcm_access::{NewToken, TokenFile};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let tokens = TokenFile::at(dir.path().join("tokens.json"));
//! let wanted = NewToken { name: Some("ci"), read_only: true, created_at: "2026-01-31T12:00:00.000Z" };
//! let (token, secret) = tokens.create(&wanted)?;
//! assert_eq!(tokens.find(secret.expose())?.as_ref(), Some(&token));
//! tokens.remove("ci")?;
//! assert_eq!(tokens.find(secret.expose())?, None);
//! # Ok(())
//! # }
//! ```
//!
//! Suggested reading order: [`token`], [`tokens`], [`record`], [`audit`].

pub mod audit;
pub mod error;
pub mod record;
pub mod token;
pub mod tokens;

mod lock;

pub use audit::{AuditLog, AuditOptions, Durability, Filter};
pub use error::AccessError;
pub use record::{Beginning, End, Event, Record};
pub use token::{NewToken, Secret, Token};
pub use tokens::TokenFile;
