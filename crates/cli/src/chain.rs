//! An error and its causes as one line.

use std::error::Error;

/// `outer: cause: cause of that`. A cause that what is around it quotes at its end is not repeated.
pub(crate) fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string().trim_end().to_owned();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.ends_with(text.trim_end()) {
            line = format!("{line}: {}", text.trim_end());
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl std::fmt::Display for Layer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_ref().map(|inner| &**inner as _)
        }
    }

    fn said(layers: &[&'static str]) -> String {
        let nested =
            layers.iter().rev().fold(None, |inner, layer| Some(Box::new(Layer(layer, inner))));
        one_line(&*nested.expect("a layer"))
    }

    #[test]
    fn every_cause_is_said_once() {
        assert_eq!(said(&["a"]), "a");
        assert_eq!(said(&["a", "b", "c"]), "a: b: c");
        assert_eq!(said(&["a: b", "b", "c\n"]), "a: b: c");
        assert_eq!(said(&["a", "a", "b"]), "a: b");
    }
}
