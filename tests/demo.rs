//! The demo is the first thing a newcomer runs, so it is a test too.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod harness;

use harness::{binary, text};

#[test]
fn the_demo_observes_every_step() {
    let output = std::process::Command::new(binary()).arg("demo").output().unwrap();
    assert!(output.status.success(), "{}\n{output:?}", text(&output));
}
