//! See the module `peer_messages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| leasehold_fuzz::peer_messages::check(bytes));
