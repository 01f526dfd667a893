//! Counting by callgrind, from the moment at which a part is ready.
//!
//! Preparing a million leases costs far more than what is to be counted, and counting is slow. So the
//! process starts with its instrumentation off, and says itself when it is to be switched on.

use std::path::Path;
use std::process::{Command, Output};

use crate::Outcome;
use crate::parts::Part;

/// Set for processes that are counted.
const COUNTED: &str = "LEASEHOLD_COST_COUNTED";

/// From here on it is counted, if this process is.
pub(crate) fn begin() {
    if std::env::var_os(COUNTED).is_none() {
        return;
    }
    let pid = std::process::id().to_string();
    let switched = Command::new("callgrind_control").args(["--instr=on", &pid]).output();
    let done = switched.as_ref().is_ok_and(|output| output.status.success());
    assert!(done, "callgrind_control does not switch counting on: {switched:?}");
}

/// What one command of a part costs.
pub(crate) fn instructions_per_command(part: &Part) -> Outcome<u64> {
    let (few, many) = (part.times, part.times * 3);
    let more = instructions(part, many)?.saturating_sub(instructions(part, few)?);
    Ok(more / u64::from(many - few))
}

/// In the same surroundings everywhere: how long a path or a variable is decides what the allocator has at
/// hand, which makes a tenth of some counts.
fn instructions(part: &Part, times: u32) -> Outcome<u64> {
    let program = std::env::current_exe()?;
    let (Some(directory), Some(name)) = (program.parent(), program.file_name()) else {
        return Err(format!("{} is no program", program.display()).into());
    };
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null"])
        .arg(Path::new(".").join(name))
        .args(["work", part.name, &times.to_string()])
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env(COUNTED, "1")
        .output()
        .map_err(|error| format!("valgrind cannot be run: {error}"))?;
    collected(&output).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("{}: nothing was counted ({}):\n{said}", part.name, output.status).into()
    })
}

/// The number on callgrind's line `==123== Collected : 456`.
fn collected(output: &Output) -> Option<u64> {
    let said = String::from_utf8_lossy(&output.stderr);
    let (_, number) = said.lines().find_map(|line| line.split_once("Collected :"))?;
    let number = number.trim().parse().ok()?;
    (output.status.success() && number > 0).then_some(number)
}
