//! What becomes of a file whose writing is cut anywhere, and of one with a wrong byte.

use std::collections::BTreeSet;

use llcm_names::{InstanceId, RequestId, ServiceId};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::clock::Timestamp;
use crate::journal::Record;
use crate::request::{InstanceState, RequestType};
use crate::requests::RequestRecord;
use crate::store::file::FileStore;
use crate::store::{Change, Counters, Store as _};

/// What a file was told to do.
#[derive(Debug, Clone)]
enum Operation {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

/// An image that remembers all that was done to it.
#[derive(Debug, Clone, Default)]
struct Recorded {
    image: Image,
    operations: Arc<Mutex<Vec<Operation>>>,
}

impl Recorded {
    fn note(&self, operation: Operation) {
        self.operations.lock().unwrap().push(operation);
    }
}

impl StorageBackend for Recorded {
    fn len(&self) -> io::Result<u64> {
        self.image.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.image.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(Operation::SetLen(len));
        self.image.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.note(Operation::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(Operation::Write(offset, data.to_vec()));
        self.image.write(offset, data)
    }
}

fn id(n: u128) -> InstanceId {
    InstanceId::new(Uuid::from_u128(n))
}

/// Transactions of all kinds.
fn transactions() -> Vec<Vec<Change>> {
    let mut all = Vec::new();
    for n in 0..24_u64 {
        let key = u128::from(n);
        let request = RequestRecord::new(
            RequestId::new(Uuid::from_u128(key)),
            RequestType::Create,
            Timestamp(n),
            id(key % 3),
            ServiceId::new(Uuid::from_u128(1)),
        );
        let message = "words ".repeat(usize::try_from(n * 40).unwrap());
        let mut changes = vec![
            Change::PutCounters(Counters { round_robin: n }),
            Change::PutRequest(Box::new(request)),
            Change::Append(id(key % 3), Box::new(Record::Error { message })),
            Change::Append(
                id(key % 3),
                Box::new(Record::State { state: InstanceState::Running, at: Timestamp(n) }),
            ),
        ];
        if n % 7 == 6 {
            changes.push(Change::Forget(id(key % 3)));
            changes.push(Change::RemoveRequest(RequestId::new(Uuid::from_u128(key / 2))));
        }
        all.push(changes);
    }
    all
}

/// The operations, and after how many of them which contents had been acknowledged.
type Run = (Vec<Operation>, Vec<(usize, Contents)>);

fn run() -> Run {
    let backend = Recorded::default();
    let operations = Arc::clone(&backend.operations);
    let done = || operations.lock().unwrap().len();
    let store =
        FileStore::recorded(Box::new(move || Database::builder().create_with_backend(backend.clone())))
            .unwrap();
    let mut states = vec![(0, Contents::default())];
    for changes in transactions() {
        store.write(&changes).unwrap();
        states.push((done(), store.load_all().unwrap()));
    }
    drop(store);
    let operations = operations.lock().unwrap().clone();
    (operations, states)
}

fn replay<'a>(operations: impl IntoIterator<Item = &'a Operation>) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for operation in operations {
        match operation {
            Operation::Write(offset, data) => {
                let start = usize::try_from(*offset).unwrap();
                // A length that did not reach the disk, and a write behind it that did.
                if bytes.len() < start + data.len() {
                    bytes.resize(start + data.len(), 0);
                }
                bytes[start..start + data.len()].copy_from_slice(data);
            }
            Operation::SetLen(len) => bytes.resize(usize::try_from(*len).unwrap(), 0),
            Operation::Sync => {}
        }
    }
    bytes
}

/// The states that may be found after a cut behind so many operations.
fn allowed(states: &[(usize, Contents)], cut: usize) -> (usize, &[(usize, Contents)]) {
    let acknowledged = states.iter().rposition(|(at, _)| *at <= cut).unwrap();
    // The next one may be on the disk without anybody having been told.
    (acknowledged, &states[acknowledged..states.len().min(acknowledged + 2)])
}

fn check_cut(bytes: Vec<u8>, states: &[(usize, Contents)], cut: usize, what: &str) {
    let (acknowledged, allowed) = allowed(states, cut);
    if bytes.is_empty() {
        assert_eq!(acknowledged, 0);
        return;
    }
    match contents(bytes, "cut") {
        Ok(found) => {
            let is_one = allowed.iter().any(|(_, state)| *state == found);
            assert!(is_one, "{what}: neither the state that was acknowledged nor the next one");
        }
        // The first moments of a new file: nothing has ever been in it.
        Err(error) => assert_eq!(acknowledged, 0, "{what}: {error}"),
    }
}

#[test]
fn a_file_that_is_cut_anywhere_opens_to_a_state_that_was_true() {
    let (operations, states) = run();
    for cut in 0..=operations.len() {
        check_cut(replay(&operations[..cut]), &states, cut, &format!("cut at {cut}"));
        // In the middle of a write.
        if let Some(Operation::Write(offset, data)) = operations.get(cut) {
            for part in [1, data.len() / 3, data.len() - 1] {
                let torn = Operation::Write(*offset, data[..part].to_vec());
                let bytes = replay(operations[..cut].iter().chain([&torn]));
                check_cut(bytes, &states, cut, &format!("cut {part} bytes into write {cut}"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The machine stops: what was not synced is on the disk in part and in no order.
    #[test]
    fn what_was_not_synced_may_be_lost_in_any_part(cut in 0.0..1.0_f64, seed in any::<u64>()) {
        static RUN: std::sync::LazyLock<Run> = std::sync::LazyLock::new(run);
        let (operations, states) = &*RUN;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a part")]
        let cut = (cut * operations.len() as f64) as usize;
        let synced = operations[..cut].iter().rposition(|it| matches!(it, Operation::Sync)).unwrap_or(0);
        let mut dice = seed;
        let mut kept = || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            dice >> 63 == 0
        };
        // Lengths are of the file system's journal.
        let lost = operations[synced..cut].iter().filter(|it| matches!(it, Operation::SetLen(_)) || kept());
        let bytes = replay(operations[..synced].iter().chain(lost));
        check_cut(bytes, states, cut, &format!("cut at {cut}, seed {seed}"));
    }
}

/// A file that was closed.
fn closed() -> (Vec<u8>, Contents) {
    let (operations, states) = run();
    (replay(&operations), states.last().unwrap().1.clone())
}

#[test]
fn a_wrong_byte_is_found_or_does_no_harm() {
    let (bytes, whole) = closed();
    let used: BTreeSet<usize> = bytes
        .chunks(4096)
        .enumerate()
        .filter(|(_, page)| page.iter().any(|it| *it != 0))
        .map(|(n, _)| n)
        .collect();
    let (mut found, mut harmless) = (0, 0);
    for page in used {
        // All of the header; of pages, their beginnings, where the structure is, and samples.
        let step = |at: usize| {
            if page == 0 && at < 320 {
                1
            } else if at < 64 {
                13
            } else {
                499
            }
        };
        let mut at = 0;
        while at < 4096 {
            let bit = at % 8;
            let mut wrong = bytes.clone();
            wrong[page * 4096 + at] ^= 1 << bit;
            match contents(wrong, "wrong") {
                Ok(read) => {
                    assert!(
                        read == whole,
                        "byte {at} of page {page}, bit {bit}: other contents, and nobody says so"
                    );
                    harmless += 1;
                }
                Err(_) => found += 1,
            }
            at += step(at);
        }
    }
    println!("{found} found, {harmless} harmless");
    assert!(found > 200, "{found} found, {harmless} harmless");
}

/// In the very last transaction a wrong byte looks as one that was not written any more.
#[test]
fn a_wrong_byte_in_what_a_killed_server_left_is_found_or_goes_back_by_one_transaction_at_most() {
    let (operations, states) = run();
    let (at, last) = states.last().unwrap();
    let before = &states[states.len() - 2].1;
    let bytes = replay(&operations[..*at]);
    let mut counts = [0; 3];
    let header = (0..320).step_by(3);
    for place in header.chain((4096..bytes.len()).step_by(2039)) {
        let mut wrong = bytes.clone();
        wrong[place] ^= 16;
        match contents(wrong, "wrong") {
            Ok(read) if read == *last => counts[0] += 1,
            Ok(read) if read == *before => counts[1] += 1,
            Ok(_) => panic!("byte {place}: a state that was never true, or is long over"),
            Err(_) => counts[2] += 1,
        }
    }
    println!("harmless, one back, found: {counts:?}");
}

#[test]
fn a_file_that_is_cut_short_is_damaged_and_never_empty() {
    let (bytes, whole) = closed();
    for length in (0..bytes.len()).step_by(1021).chain([1, 9, 320, 4095, 4096, bytes.len() - 1]) {
        match contents(bytes[..length].to_vec(), "short") {
            Ok(read) => assert_eq!(read, whole, "{length}"),
            Err(StoreError::Damaged { .. }) => {}
            Err(other) => panic!("{length}: {other}"),
        }
    }
}

#[test]
fn what_is_none_of_ours_is_damaged() {
    for bytes in [vec![0; 8192], b"hello".to_vec(), vec![0xff; 100_000], b"redb\x1a\x0a\xa9\x0d\x0a".to_vec()]
    {
        assert!(matches!(contents(bytes, "garbage"), Err(StoreError::Damaged { .. })));
    }
}

#[test]
fn a_disk_that_was_full_is_written_to_again() {
    #[derive(Debug, Clone)]
    struct Full(Recorded, Arc<Mutex<bool>>);
    impl Full {
        fn is(&self) -> io::Result<()> {
            if *self.1.lock().unwrap() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }
    impl StorageBackend for Full {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            self.is()?;
            self.0.set_len(len)
        }
        fn sync_data(&self) -> io::Result<()> {
            self.is()
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.is()?;
            self.0.write(offset, data)
        }
    }
    let backend = Full(Recorded::default(), Arc::default());
    let is_full = Arc::clone(&backend.1);
    let store =
        FileStore::recorded(Box::new(move || Database::builder().create_with_backend(backend.clone())))
            .unwrap();
    let transactions = transactions();
    store.write(&transactions[0]).unwrap();
    let before = store.load_all().unwrap();
    *is_full.lock().unwrap() = true;
    for _ in 0..3 {
        let error = store.write(&transactions[1]).unwrap_err();
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
    }
    *is_full.lock().unwrap() = false;
    assert_eq!(store.load_all().unwrap(), before, "nothing was written");
    store.write(&transactions[1]).unwrap();
    assert_eq!(store.load_all().unwrap().counters.round_robin, 1);
}
