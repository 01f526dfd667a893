//! A flipped bit anywhere in the database is found when the store is opened, or makes no difference.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::random::Random;
use super::*;

/// What opening made of a flipped bit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    /// Refused.
    Found,
    /// Served, as it was.
    Harmless,
}

/// A small store with one commit more than its last restart, and what it holds.
fn image(closed: bool) -> (Vec<u8>, Contents, Testimony) {
    let (backend, mut store) = new_store();
    for round in 1..=20 {
        let resource = format!("resource {}", round % 7);
        let long = "x".repeat(300 * round);
        let value = put(&format!("key {}", round % 3), &long);
        apply(&mut store, write(&resource, round as u64, 1, [value])).expect("accepted");
    }
    let (before, testimony) = (
        contents(&store),
        Testimony::Commits { store: store.store_id(), commits: store.commits() },
    );
    if closed {
        store.close().expect("closes");
    }
    (backend.live(), before, testimony)
}

fn verdict(image: &[u8], bit: usize, before: &Contents, testimony: Testimony) -> Verdict {
    let mut flipped = image.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    // The database asserts, in builds for tests, what it reports as corruption in others.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let backend = Backend::holding(flipped);
        open_backend(backend, &options(), testimony).map(|store| contents(&store)).ok()
    }));
    match opened {
        Ok(Some(found)) => {
            assert_eq!(&found, before, "bit {bit} was flipped, and something else was served");
            Verdict::Harmless
        }
        Ok(None) | Err(_) => Verdict::Found,
    }
}

/// The pages in use, by the bytes in them.
fn used_bytes(image: &[u8]) -> Vec<usize> {
    (0..image.len()).filter(|&at| image[at] != 0).collect()
}

fn check(closed: bool) {
    let (image, before, testimony) = image(closed);
    let (mut found, mut harmless) = (0, 0);
    let mut judge = |bit| match verdict(&image, bit, &before, testimony) {
        Verdict::Found => found += 1,
        Verdict::Harmless => harmless += 1,
    };
    // The header is small, unlike anything else, and decides which commit counts: every bit of it.
    (0..320 * 8).for_each(&mut judge);
    let used = used_bytes(&image);
    let mut random = Random::new(7);
    for _ in 0..600 {
        judge(used[random.below(used.len())] * 8 + random.below(8));
    }
    for _ in 0..200 {
        judge(random.below(image.len() * 8));
    }
    assert!(found > 500, "{found} found, {harmless} harmless");
}

#[test]
fn a_flipped_bit_in_a_killed_store_is_found_or_harmless() {
    check(false);
}

#[test]
fn a_flipped_bit_in_a_stopped_store_is_found_or_harmless() {
    check(true);
}
