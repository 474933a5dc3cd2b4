//! The end of a helper, and those who come at that moment.

use std::fs::File;

use super::*;

fn taps() -> [OwnedFd; DESCRIPTORS] {
    [(); DESCRIPTORS].map(|()| File::open("/dev/null").unwrap().into())
}

#[test]
fn nobody_connects_to_one_that_is_ending() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("line");
    let listener = UnixListener::bind(&path).unwrap();
    // As standard input has it, until the process is over.
    let _also = listener.try_clone().unwrap();
    let service = Arc::new(Service::new(Lines::start().unwrap()));
    serve(&listener, &service).unwrap();
    let error = UnixStream::connect(&path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_link_that_comes_too_late_is_not_taken() {
    let service = Arc::new(Service::new(Lines::start().unwrap()));
    let (here, there) = UnixStream::pair().unwrap();
    let name = "a-b".to_owned();
    let impairments = [Impairment::default(); 2];
    // These are no TAP devices: what is tried with them fails.
    assert!(service.put(&name, taps(), impairments).unwrap().is_err());
    assert!(service.close());
    assert!(service.put(&name, taps(), impairments).is_none());
    // Whoever asks sees that it has ended, and does not take the link for put.
    let answering = std::thread::spawn(move || answer(&there, &service));
    send(&here, &Request::Put { name, impairments }, &taps()).unwrap();
    assert!(receive::<Reply>(&here).unwrap().is_none());
    answering.join().unwrap().unwrap();
}
