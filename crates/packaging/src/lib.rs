//! Verified, bounded unpacking of service packages.
