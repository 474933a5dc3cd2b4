//! What needs no device.

use super::*;

#[test]
fn names_are_checked_before_anything_is_opened() {
    for name in ["", "sixteen-letters-", "a\0b"] {
        assert_eq!(Tap::create(name).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn only_descriptors_of_the_driver_are_taken() {
    for path in ["/dev/null", "/proc/self/stat"] {
        let fd = OwnedFd::from(File::open(path).unwrap());
        assert_eq!(Tap::from_fd(fd).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{path}");
    }
}
