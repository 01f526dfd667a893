//! The command without a network: what anybody can see of it, root or not.

use std::process::{Command, Output};

fn fire(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leasehold-fire"));
    command.args(arguments).output().expect("it was built for this test")
}

#[test]
fn without_what_it_needs_there_is_no_verdict_and_it_says_what_is_missing() {
    for verb in [&["run", "--profile", "ci"][..], &["eio"][..], &["power"][..]] {
        let arguments = [verb, &["--binary", "/nowhere/leasehold"]].concat();
        let output = fire(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        // Root has all but the program; anybody else is told about root first.
        assert!(said.contains("/nowhere/leasehold") || said.contains("this needs"), "{said}");
    }
}

#[test]
fn the_help_tells_the_exit_codes_and_hides_the_clients() {
    let output = fire(&["--help"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("Exit codes:"), "{said}");
    assert!(!said.contains("One client of a run"), "{said}");
}
