//! Command lines. None is too strange to be answered with what it means, or with why it means nothing
//! and the exit code for that; a flag and its value mean the same in one word and in two; durations and
//! tokens are taken by their rules.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use leasehold::fuzz::{NotRun, USAGE_CODE, Understood, duration, parse, token};

const WORDS_MAX: usize = 24;

/// One word a line.
pub fn check(bytes: &[u8]) {
    let words: Vec<OsString> = [&b"leasehold"[..]]
        .into_iter()
        .chain(bytes.split(|byte| *byte == b'\n').take(WORDS_MAX))
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
    match parse(&words) {
        Ok(understood) => {
            assert_eq!(parse(&words).map(|again| again.all).ok().as_ref(), Some(&understood.all));
            joined(&words, &understood);
        }
        Err(NotRun { code, text }) => {
            assert!(code == 0 || code == i32::from(USAGE_CODE), "exit code {code}");
            assert!(!text.trim().is_empty());
        }
    }
    words.iter().filter_map(|word| word.to_str()).for_each(value);
}

/// `--wait 5s` is `--wait=5s`.
fn joined(words: &[OsString], understood: &Understood) {
    const FLAGS: [&str; 5] = ["--timeout", "--ttl", "--wait", "--token", "--endpoints"];
    // Their value may look like a flag.
    if words.iter().any(|word| word == "put" || word == "append") {
        return;
    }
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    for flag in FLAGS {
        let Some(at) = words[..end].iter().position(|word| word == flag) else { continue };
        // The word before may be a flag that takes this one for its value.
        let taken = words[at - 1].as_bytes().starts_with(b"-");
        let (false, Some(value)) = (taken, words.get(at + 1)) else { continue };
        let mut one = OsString::from(flag);
        one.push(OsStr::new("="));
        one.push(value);
        let mut words = words.to_vec();
        words.splice(at..=at + 1, [one]);
        let again = parse(&words).expect("the same command line");
        assert_eq!(again.all, understood.all);
        assert_eq!(again.timeout, understood.timeout);
        assert_eq!(again.endpoints, understood.endpoints);
    }
}

fn value(word: &str) {
    match duration(word) {
        Ok(length) => {
            let spelled = humantime::format_duration(length).to_string();
            assert_eq!(duration(&spelled), Ok(length), "{spelled}");
            assert!(length <= Duration::MAX && !word.contains('-'));
        }
        Err(why) => assert!(why.contains("write 30s"), "{why}"),
    }
    if let Ok(number) = word.parse::<u64>() {
        assert_eq!(token(number), if number == 0 { Err(USAGE_CODE) } else { Ok(number) });
    }
}
