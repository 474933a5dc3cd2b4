//! The file of tokens, shared by the commands that change it and the servers that look tokens up.
//!
//! It is JSON, replaced as a whole by a rename, and for its owner alone (mode 0600). A server looks at the file's
//! stamp at each request, which is one system call, and reads it again when it is another one: a token that was
//! removed opens nothing from then on.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::error::{AccessError, Context as _};
use crate::lock::{Lock, make_dir, sync_dir};
use crate::token::{self, NewToken, Secret, Token};

/// The version of the format that is written; files of later ones are not read.
const FORMAT: u32 = 1;
/// How many tokens there may be: each lookup compares with all of them.
const MOST: usize = 1000;
/// The largest file that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The file of tokens.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    read: Mutex<Option<(Stamp, Arc<[Token]>)>>,
}

/// What differs between two contents of the file: it is never written in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    format: u32,
    tokens: Vec<Token>,
}

impl TokenFile {
    /// The file at a path, which need not exist: then there are no tokens.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), read: Mutex::new(None) }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tokens, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read, is not this program's, or may be used by others than its owner.
    pub fn list(&self) -> Result<Vec<Token>, AccessError> {
        Ok(self.current()?.to_vec())
    }

    /// The token whose secret this is; `None` when there is none. What was removed before the call is not found.
    ///
    /// # Errors
    /// As [`TokenFile::list`]: nobody is let in then.
    pub fn find(&self, presented: &str) -> Result<Option<Token>, AccessError> {
        Ok(token::find(&self.current()?, presented).cloned())
    }

    /// Whether a token that was found is there still.
    ///
    /// # Errors
    /// As [`TokenFile::list`].
    pub fn holds(&self, token: &Token) -> Result<bool, AccessError> {
        Ok(self.current()?.contains(token))
    }

    /// Makes a token. Its secret is in the result and nowhere else.
    ///
    /// # Errors
    /// When the name is taken or none, there are too many, or the file cannot be read or written.
    pub fn create(&self, wanted: &NewToken<'_>) -> Result<(Token, Secret), AccessError> {
        if let Some(name) = wanted.name {
            token::check_name(name)?;
        }
        let _lock = self.lock()?;
        let mut tokens = self.list()?;
        if tokens.len() >= MOST {
            return Err(AccessError::TooMany(MOST));
        }
        let is_taken = |name: &str| tokens.iter().any(|token| token.name == name);
        let name = match wanted.name {
            Some(name) if is_taken(name) => return Err(AccessError::NameTaken(name.to_owned())),
            Some(name) => name.to_owned(),
            None => {
                let free = (1..).map(|number: u32| format!("token-{number}")).find(|name| !is_taken(name));
                free.unwrap_or_default()
            }
        };
        let secret = Secret::random()?;
        let token = Token::new(name, wanted.read_only, wanted.created_at, &secret);
        tokens.push(token.clone());
        self.write(tokens)?;
        Ok((token, secret))
    }

    /// Removes a token: whoever shows it from now on is refused.
    ///
    /// # Errors
    /// When there is none of that name, or the file cannot be read or written.
    pub fn remove(&self, name: &str) -> Result<Token, AccessError> {
        let _lock = self.lock()?;
        let mut tokens = self.list()?;
        let at = tokens.iter().position(|token| token.name == name);
        let removed =
            at.map(|at| tokens.remove(at)).ok_or_else(|| AccessError::NoSuchToken(name.to_owned()))?;
        self.write(tokens)?;
        Ok(removed)
    }

    fn lock(&self) -> Result<Lock, AccessError> {
        make_dir(self.dir())?;
        Lock::take(&self.path.with_extension("lock"))
    }

    fn dir(&self) -> &Path {
        match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        }
    }

    /// What the file holds now, from memory when it is what was read last.
    fn current(&self) -> Result<Arc<[Token]>, AccessError> {
        let found = match fs::metadata(&self.path) {
            Ok(found) => Stamp::of(&found),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Arc::default()),
            Err(error) => return Err(error).context("look at", &self.path),
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((stamp, tokens)) = read.as_ref()
            && *stamp == found
        {
            return Ok(Arc::clone(tokens));
        }
        let (stamp, tokens) = self.load()?;
        *read = Some((stamp, Arc::clone(&tokens)));
        Ok(tokens)
    }

    fn load(&self) -> Result<(Stamp, Arc<[Token]>), AccessError> {
        let file = File::open(&self.path).context("open", &self.path)?;
        let found = file.metadata().context("look at", &self.path)?;
        let mode = found.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(AccessError::Exposed { path: self.path.clone(), mode });
        }
        let garbled = |problem: String| AccessError::Garbled { path: self.path.clone(), problem };
        let mut text = String::new();
        file.take(LARGEST + 1).read_to_string(&mut text).context("read", &self.path)?;
        if u64::try_from(text.len()).is_ok_and(|length| length > LARGEST) {
            return Err(garbled(format!("it is larger than {LARGEST} bytes")));
        }
        let content: Content = serde_json::from_str(&text).map_err(|error| garbled(error.to_string()))?;
        if content.format != FORMAT {
            return Err(garbled(format!(
                "its format is {}, and this program knows {FORMAT}",
                content.format
            )));
        }
        if !content.tokens.iter().all(Token::is_sound) {
            return Err(garbled("a token in it has a bad name or hash".to_owned()));
        }
        Ok((Stamp::of(&found), content.tokens.into()))
    }

    fn write(&self, tokens: Vec<Token>) -> Result<(), AccessError> {
        let mut text = serde_json::to_vec_pretty(&Content { format: FORMAT, tokens })
            .map_err(|error| std::io::Error::other(error.to_string()))
            .context("write", &self.path)?;
        text.push(b'\n');
        let dir = self.dir();
        // Made for its owner alone, whatever the umask says.
        let mut file = tempfile::NamedTempFile::new_in(dir).context("make a file in", dir)?;
        file.write_all(&text).and_then(|()| file.as_file().sync_all()).context("write", file.path())?;
        file.persist(&self.path).map_err(|error| error.error).context("replace", &self.path)?;
        sync_dir(dir)
    }
}

impl Stamp {
    fn of(found: &fs::Metadata) -> Self {
        Self {
            inode: (found.dev(), found.ino()),
            size: found.size(),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const AT: &str = "2026-01-31T12:00:00.000Z";

    fn wanted(name: Option<&str>) -> NewToken<'_> {
        NewToken { name, read_only: false, created_at: AT }
    }

    #[test]
    fn a_token_opens_until_it_is_removed_and_for_other_readers_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/tokens.json");
        let (mine, server) = (TokenFile::at(&path), TokenFile::at(&path));
        assert_eq!(server.find("llcm_x").unwrap(), None);
        let (first, secret) = mine.create(&wanted(None)).unwrap();
        let (second, other) = mine.create(&NewToken { read_only: true, ..wanted(Some("ci")) }).unwrap();
        assert_eq!((first.name.as_str(), second.name.as_str()), ("token-1", "ci"));
        assert_ne!(secret.expose(), other.expose());
        assert!(secret.expose().starts_with(PREFIX_OF_SECRETS) && secret.expose().len() == 48);
        assert_eq!(server.find(secret.expose()).unwrap().as_ref(), Some(&first));
        assert!(server.find(other.expose()).unwrap().unwrap().read_only);
        for wrong in
            ["", "llcm_", &secret.expose()[..47], &format!("{} ", secret.expose()), &"x".repeat(1 << 20)]
        {
            assert_eq!(server.find(wrong).unwrap(), None, "{wrong:.60}");
        }
        assert!(server.holds(&first).unwrap());
        mine.remove("token-1").unwrap();
        assert_eq!(server.find(secret.expose()).unwrap(), None);
        assert!(!server.holds(&first).unwrap());
        assert_eq!(server.list().unwrap(), [second]);
    }

    const PREFIX_OF_SECRETS: &str = token::PREFIX;

    #[test]
    fn the_file_is_its_owner_s_alone_and_holds_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = TokenFile::at(dir.path().join("tokens.json"));
        let (_, secret) = tokens.create(&wanted(Some("a"))).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(tokens.path()), 0o600);
        let text = fs::read_to_string(tokens.path()).unwrap();
        assert!(!text.contains(&secret.expose()[5..]), "{text}");
        assert!(!format!("{secret:?}").contains(&secret.expose()[5..]));
        fs::set_permissions(tokens.path(), fs::Permissions::from_mode(0o640)).unwrap();
        let error = tokens.find(secret.expose()).unwrap_err();
        assert!(matches!(error, AccessError::Exposed { mode: 0o640, .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_garbled_file_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = TokenFile::at(dir.path().join("tokens.json"));
        let (_, secret) = tokens.create(&wanted(None)).unwrap();
        let sound = fs::read_to_string(tokens.path()).unwrap();
        for text in [
            "",
            "{",
            "[]",
            &sound.replace("\"format\": 1", "\"format\": 2"),
            &sound.replace("token-1", "a b"),
            &sound.replace("sha256\": \"", "sha256\": \"x"),
        ] {
            fs::write(tokens.path(), text).unwrap();
            let error = tokens.find(secret.expose()).unwrap_err();
            assert!(matches!(error, AccessError::Garbled { .. }), "{text}: {error}");
            assert!(tokens.create(&wanted(None)).is_err(), "a file that is not understood was overwritten");
        }
        fs::write(tokens.path(), sound).unwrap();
        assert!(tokens.find(secret.expose()).unwrap().is_some());
    }

    #[test]
    fn names_are_unique_and_plain() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = TokenFile::at(dir.path().join("tokens.json"));
        tokens.create(&wanted(Some("a.b_c-1"))).unwrap();
        assert!(matches!(tokens.create(&wanted(Some("a.b_c-1"))), Err(AccessError::NameTaken(_))));
        for bad in ["", "-a", "a b", "a\n", "ä", &"x".repeat(65)] {
            assert!(matches!(tokens.create(&wanted(Some(bad))), Err(AccessError::BadName(_))), "{bad}");
        }
        assert!(matches!(tokens.remove("absent"), Err(AccessError::NoSuchToken(_))));
    }

    #[test]
    fn commands_at_the_same_time_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| TokenFile::at(&path).create(&wanted(None)).unwrap());
            }
        });
        assert_eq!(TokenFile::at(&path).list().unwrap().len(), 8);
    }
}
