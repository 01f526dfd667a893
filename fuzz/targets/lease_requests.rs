//! See the module `lease_requests`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold_fuzz::lease_requests::check(bytes));
