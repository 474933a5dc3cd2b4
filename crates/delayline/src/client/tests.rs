//! Helpers that end when they are asked.

use rustix::event::{PollFd, PollFlags, poll};

use super::*;

fn client(directory: &Path) -> Client {
    Client::new(Helper::default(), directory.join("line"))
}

/// One that is just ending: whoever connects is never accepted.
#[test]
fn what_is_asked_of_one_that_is_just_ending_is_answered_as_by_none() {
    let directory = tempfile::tempdir().unwrap();
    let client = client(directory.path());
    for ask in [|client: &Client| client.list().map(drop), |client: &Client| client.remove("a-b")] {
        let listener = listen(&client.socket).unwrap();
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| ask(&client));
            poll(&mut [PollFd::new(&listener, PollFlags::IN)], None).unwrap();
            drop(listener);
            asking.join().unwrap()
        })
        .unwrap();
    }
    assert_eq!(client.list().unwrap(), []);
}

/// One that ends between two questions, and another one that has come in its place.
#[test]
fn the_next_one_is_asked_when_the_one_before_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let client = client(directory.path());
    for _ in 0..2 {
        let listener = listen(&client.socket).unwrap();
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| client.list());
            let (stream, _) = listener.accept().unwrap();
            assert!(matches!(receive(&stream).unwrap(), Some((Request::List, _))));
            send(&stream, &Reply::Links(Vec::new()), &[]).unwrap();
            assert_eq!(asking.join().unwrap().unwrap(), []);
        });
    }
}

#[test]
fn one_that_ends_each_time_is_not_asked_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let client = client(directory.path());
    let listener = listen(&client.socket).unwrap();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| client.list());
        for _ in 0..ATTEMPTS {
            drop(listener.accept().unwrap());
        }
        let error = asking.join().unwrap().unwrap_err();
        assert!(error.to_string().contains("ended each time"), "{error}");
    });
}
