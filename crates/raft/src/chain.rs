//! An error and its causes as one line, for where an error must become text.

use std::error::Error;
use std::fmt::Write;

/// `outer: cause: cause of that`.
pub(crate) fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(&text) {
            // Writing to a string cannot fail.
            let _ = write!(line, ": {text}");
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the log cannot be written")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn causes_follow_what_they_caused() {
        let error = Outer(std::io::Error::other("no space"));
        assert_eq!(one_line(&error), "the log cannot be written: no space");
    }
}
