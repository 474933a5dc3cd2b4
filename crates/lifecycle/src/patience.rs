//! Locks of files that somebody may have for a moment only: who looks whether they are taken, or a program that a server
//! was just starting when it was killed, which has the server's files until it executes.

use std::time::{Duration, Instant};

/// How long a lock may be somebody's who does not keep it.
const MOMENT: Duration = Duration::from_secs(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Tries until it is not taken, or for a second. It waits by sleeping.
///
/// # Errors
/// That of the last try; any but that it is taken at once.
pub(crate) fn take<T, E>(
    mut take: impl FnMut() -> Result<T, E>,
    is_taken: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let end = Instant::now() + MOMENT;
    loop {
        match take() {
            Err(error) if is_taken(&error) && Instant::now() < end => std::thread::sleep(PAUSE),
            taken => return taken,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::installation::{hold, installation_id};
    use crate::store::StoreError;
    use crate::store::file::{FILE, FileStore};

    #[test]
    fn what_is_taken_for_a_moment_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        installation_id(dir.path(), &crate::clock::SystemIds).unwrap();
        let path = dir.path().join(FILE);
        drop(FileStore::open(&path).unwrap());
        // As a program has it that was just being started when the server was killed.
        let [id, store] = [dir.path().join("installation"), path.clone()].map(|it| File::open(it).unwrap());
        id.lock().unwrap();
        store.lock_shared().unwrap();
        let holder = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop((id, store));
        });
        let held = hold(dir.path()).unwrap();
        drop(FileStore::open(&path).unwrap().holding(held));
        holder.join().unwrap();
    }

    #[test]
    fn what_somebody_keeps_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let first = FileStore::open(&path).unwrap();
        let second = FileStore::open(&path).unwrap_err();
        assert!(matches!(second, StoreError::InUse { .. }), "{second}");
        drop(first);
        FileStore::open(&path).unwrap();
    }
}
