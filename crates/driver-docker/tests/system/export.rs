//! Images leave the engine whole.

use std::collections::BTreeMap;
use std::io::Read as _;

use llcm_runtime::{ErrorKind, Progress, ProgressEvent};
use sha2::{Digest as _, Sha256};

use crate::bed::{BARE, Bed, docker};

#[derive(Debug, Default)]
struct Heard(std::sync::Mutex<Vec<ProgressEvent>>);

impl Progress for Heard {
    fn report(&self, event: ProgressEvent) {
        self.0.lock().unwrap().push(event);
    }
}

#[tokio::test]
async fn an_image_is_saved_and_known_by_its_configuration() {
    let Some(bed) = Bed::make().await else { return };
    let file = bed.home.path().join("saved.tar");
    let heard = Heard::default();
    assert!(bed.driver.save_image(BARE, &file, &heard).await.unwrap());
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(std::fs::File::open(&file).unwrap()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        members.insert(path, bytes);
    }
    let manifest: serde_json::Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
    assert_eq!(manifest[0]["RepoTags"][0], BARE);
    let config = &members[manifest[0]["Config"].as_str().unwrap()];
    let digest =
        Sha256::digest(config).iter().fold("sha256:".to_owned(), |text, it| text + &format!("{it:02x}"));
    assert_eq!(bed.driver.image_digest(BARE).await.unwrap(), Some(digest));
    let events = heard.0.into_inner().unwrap();
    let length = std::fs::metadata(&file).unwrap().len();
    let last = events.last().unwrap();
    assert_eq!((last.subject.as_str(), last.status.as_str()), (BARE, "Saved"));
    assert!(last.bytes.is_some_and(|(done, all)| done == length && all >= done), "{last:?}");
    assert!(events.first().unwrap().bytes.is_some_and(|(done, all)| done == 0 && all > 0));
}

#[tokio::test]
async fn a_name_that_is_given_anew_has_another_digest() {
    let Some(bed) = Bed::make().await else { return };
    let tag = "localhost:5000/llcm-driver-test/export:1";
    docker(&["tag", BARE, tag]);
    let before = bed.driver.image_digest(tag).await.unwrap().unwrap();
    bed.build(tag, &format!("FROM {BARE}\nENV BUILT=again\n")).await;
    let after = bed.driver.image_digest(tag).await.unwrap().unwrap();
    assert_ne!(before, after);
    assert_eq!(docker(&["image", "inspect", "--format", "{{.Id}}", tag]).trim(), after);
}

#[tokio::test]
async fn an_image_that_is_not_there_is_no_error() {
    let Some(bed) = Bed::make().await else { return };
    let file = bed.home.path().join("absent.tar");
    for absent in ["llcm-driver-test:absent", "localhost:5000/llcm/absent"] {
        assert_eq!(bed.driver.image_digest(absent).await.unwrap(), None);
        assert!(!bed.driver.save_image(absent, &file, &()).await.unwrap());
    }
    assert!(!file.exists());
    for wrong in ["../containers/json", "a b", ""] {
        assert_eq!(bed.driver.image_digest(wrong).await.unwrap_err().kind, ErrorKind::Invalid);
        assert_eq!(bed.driver.save_image(wrong, &file, &()).await.unwrap_err().kind, ErrorKind::Invalid);
    }
}
