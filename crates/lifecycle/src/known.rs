//! What there is, where something else was asked for.

/// The end of a message about a name that something does not have: the names that it has, if any.
pub(crate) fn it_has<T: AsRef<str>>(names: &[T]) -> String {
    if names.is_empty() {
        return ": it has none".to_owned();
    }
    let names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    format!("; it has {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_to_be_none() {
        assert_eq!(it_has::<&str>(&[]), ": it has none");
        assert_eq!(it_has(&["a"]), "; it has a");
        assert_eq!(it_has(&["a", "b"]), "; it has a, b");
    }
}
