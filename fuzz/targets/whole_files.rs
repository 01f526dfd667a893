//! See the module `whole_files`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold_fuzz::whole_files::check(bytes));
