//! See the module `core_codec`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold_fuzz::core_codec::check(bytes));
