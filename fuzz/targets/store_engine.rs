//! See the module `store_engine`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold_fuzz::store_engine::check(bytes));
