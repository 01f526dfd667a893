//! See the module `log_records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold_fuzz::log_records::check(bytes));
