//! See the module `arguments`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold_fuzz::arguments::check(bytes));
