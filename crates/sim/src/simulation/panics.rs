//! A panic in any task of a run is a violation, even where the runtime swallows it.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

use super::oracles::Violation;
use super::process::true_time;

thread_local! {
    /// `None`: this thread simulates nothing, and its panics are printed as usual.
    static NOTICED: RefCell<Option<Vec<Violation>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Notes panics on this thread from now on.
pub(crate) fn watch() {
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let violation = Violation {
                oracle: "nothing panics".to_owned(),
                at: true_time(),
                what: info.to_string(),
            };
            let noted = NOTICED.with(|noticed| match noticed.try_borrow_mut() {
                Ok(mut noticed) => noticed.as_mut().map(|noticed| noticed.push(violation)),
                Err(_) => None,
            });
            if noted.is_none() {
                usual(info);
            }
        }));
    });
    NOTICED.with(|noticed| *noticed.borrow_mut() = Some(Vec::new()));
}

/// The first panic, if there was one.
pub(crate) fn noticed() -> Option<Violation> {
    NOTICED.with(|noticed| noticed.borrow().as_ref()?.first().cloned())
}
