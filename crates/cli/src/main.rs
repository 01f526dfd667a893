//! The `leasehold` command; see the library beside it.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// What a node allocates for a pair it frees a millisecond later, often on another thread.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    leasehold::main()
}
