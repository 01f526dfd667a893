//! See the module `disk_records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold_fuzz::disk_records::check(bytes));
