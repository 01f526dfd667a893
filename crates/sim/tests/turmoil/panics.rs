//! A panic in any task of a host fails the test, even where the runtime swallows it.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    static SEEN: Cell<u64> = const { Cell::new(0) };
}

static HOOK: Once = Once::new();

/// Counts this thread's panics from now on, and prints them as usual.
pub(crate) fn watch() {
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            SEEN.set(SEEN.get() + 1);
            usual(info);
        }));
    });
    SEEN.set(0);
}

/// How many there were.
pub(crate) fn seen() -> u64 {
    SEEN.get()
}
