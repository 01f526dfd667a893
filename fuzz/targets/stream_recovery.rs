//! See the module `stream_recovery`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold_fuzz::stream_recovery::check(bytes));
