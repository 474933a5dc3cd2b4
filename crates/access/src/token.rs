//! A token: what its holder has, and what is kept of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::error::AccessError;

/// What every secret begins with, so that people and scanners of source code know one when they see it.
pub const PREFIX: &str = "llcm_";
/// The random part in bytes.
const RANDOM_BYTES: usize = 32;
/// The longest text that is looked up, in bytes; secrets have 48.
const LONGEST: usize = 256;
/// The longest name.
const LONGEST_NAME: usize = 64;

/// What is kept of a token: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What people call it; unique.
    pub name: String,
    /// Whether it is for looking only.
    pub read_only: bool,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// The SHA-256 of the secret, 64 hexadecimal digits. Without salt and stretching, which protect what people
    /// choose: 256 random bits cannot be guessed (docs/adr/016).
    sha256: String,
}

/// What a token is made from.
#[derive(Debug, Clone, Copy)]
pub struct NewToken<'a> {
    /// Its name; `None`: `token-` and the first free number.
    pub name: Option<&'a str>,
    /// Whether it is for looking only.
    pub read_only: bool,
    /// The time (RFC 3339).
    pub created_at: &'a str,
}

/// What the holder of a token shows. It is nowhere but here, and `Debug` does not tell it.
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// 256 bits from the kernel's generator.
    pub(crate) fn random() -> Result<Self, AccessError> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| AccessError::File {
            operation: "read",
            path: "the kernel's random numbers".into(),
            source: error.into(),
        })?;
        Ok(Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The text that the holder sends.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Token {
    pub(crate) fn new(name: String, read_only: bool, created_at: &str, secret: &Secret) -> Self {
        Self { name, read_only, created_at: created_at.to_owned(), sha256: hash(secret.expose()) }
    }

    /// Whether the hash and the name are such as this program writes.
    pub(crate) fn is_sound(&self) -> bool {
        let hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        self.sha256.len() == 64 && self.sha256.bytes().all(hex) && check_name(&self.name).is_ok()
    }
}

/// The token whose secret this is. All are compared, each in constant time, so that how long it takes tells nothing
/// about the kept hashes.
pub(crate) fn find<'a>(tokens: &'a [Token], presented: &str) -> Option<&'a Token> {
    if presented.len() > LONGEST {
        return None;
    }
    let wanted = hash(presented);
    let mut found = None;
    for token in tokens {
        let same: Choice = token.sha256.as_bytes().ct_eq(wanted.as_bytes());
        if bool::from(same) {
            found = Some(token);
        }
    }
    found
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names stand in logs and on command lines: nothing in them may mean something there.
pub(crate) fn check_name(name: &str) -> Result<(), AccessError> {
    let sound = (1..=LONGEST_NAME).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if sound { Ok(()) } else { Err(AccessError::BadName(name.chars().take(LONGEST_NAME).collect())) }
}
