//! What a run needs from the machine, asked before anything is made.

use std::process::{Command, Stdio};

use crate::Outcome;

/// Says what is missing, and how to get it.
pub(crate) fn check(tools: &[(&str, &str)]) -> Outcome<()> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push("to be run as root: it makes network namespaces and mounts".to_owned());
    }
    for (tool, package) in tools {
        let found = Command::new(tool)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if found.is_err() {
            missing.push(format!("`{tool}`: on Debian, apt-get install {package}"));
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("this needs\n  {}", missing.join("\n  ")).into()),
    }
}
