//! What one direction of a link does to the bytes that pass, and the count of what it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// What happens to bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They pass.
    #[default]
    None,
    /// They pass after this long, and up to the second more.
    Delay(Duration, Duration),
    /// They are held until the fault is over, and pass then.
    Hold,
    /// They are taken and never passed on, while the other direction works. When the fault is over
    /// the connection is reset: a stream with a hole in it must not go on.
    Swallow,
    /// One byte of a piece is changed.
    Corrupt,
    /// Half of a piece passes, and both ends see a reset.
    Reset,
}

macro_rules! kinds {
    ($($fault:pat => $kind:ident,)*) => {
        /// How often each fault really happened to bytes that were under way.
        #[derive(Debug, Default)]
        pub(crate) struct Hits { $($kind: AtomicU64,)* }

        impl Hits {
            /// One more, of that kind.
            pub(super) fn count(&self, fault: Fault) {
                match fault {
                    Fault::None => {}
                    $($fault => { self.$kind.fetch_add(1, Ordering::Relaxed); })*
                }
            }

            /// All kinds by name.
            pub(crate) fn by_name(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($kind), self.$kind.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

kinds! {
    Fault::Delay(..) => delayed,
    Fault::Hold => held,
    Fault::Swallow => swallowed,
    Fault::Corrupt => corrupted,
    Fault::Reset => reset,
}

/// The two directions of the connections that one host makes to another.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// From the host that connects.
    pub(super) forth: watch::Sender<Fault>,
    /// Towards it.
    pub(super) back: watch::Sender<Fault>,
    pub(super) hits: Arc<Hits>,
}

impl Link {
    /// A link without faults, which counts what will be done to it.
    pub(crate) fn new(hits: Arc<Hits>) -> Self {
        Self { forth: watch::Sender::default(), back: watch::Sender::default(), hits }
    }
}
