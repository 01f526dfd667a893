//! See the module `store_requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold_fuzz::store_requests::check(bytes));
