//! The high-water rule: storage refuses a fencing token smaller than one it has already seen.
//!
//! A lock service cannot stop a paused holder from writing late; only the storage it writes to can
//! (Kleppmann, "How to do distributed locking", 2016; the idea is Chubby's sequencer, Burrows, OSDI
//! 2006, section 2.4). This crate is that rule and nothing else, so that it can be put into any
//! storage: a SQL table, a file format, a queue consumer.
//!
//! For each resource the storage keeps one [`Mark`]: the highest (token, sequence) it has seen. A
//! write brings its fencing token and, so that a repeated message is told from a new one, a sequence
//! number that counts the writes under that token: 1, 2, 3. [`Mark::admit`] says what to do:
//!
//! | the write's (token, sequence) | verdict | the storage |
//! |---|---|---|
//! | above the mark | [`Admitted::Accept`] with the new mark | applies it and keeps the new mark and the answer |
//! | the mark itself | [`Admitted::Repeat`] | answers as the first time, applies nothing |
//! | same token, smaller sequence | [`Stale::Sequence`] | refuses: a late duplicate |
//! | smaller token | [`Stale::Token`] | refuses: the lease was lost |
//!
//! A writer that never repeats itself sends sequence 0, which asks only that its token is not below
//! the mark's. A read that wants to write back what it read calls [`Mark::raise`] first. After the
//! storage was restored from a copy, a [`Floor`] replaces the marks that the copy does not have.
//!
//! # Putting it into your own storage
//!
//! Mark, answer and data change in **one** transaction, which is durable **before** the reply.
//! Here `Disk` stands for whatever does that for you: a SQL transaction, a batch, an atomic rename.
//!
//! ```
//! use leasehold_fence::{Admitted, Mark, Stale};
//! use leasehold_types::FencingToken;
//!
//! /// One row per resource: UPDATE .. SET token = ?, sequence = ?, answer = ?, balance = ?
//! #[derive(Clone, Copy, Default)]
//! struct Row { mark: Mark, answer: i64, balance: i64 }
//!
//! struct Account { disk: Disk }
//!
//! impl Account {
//!     /// Every change goes through here: deposits, withdrawals, closing the account.
//!     fn add(&mut self, token: FencingToken, sequence: u64, amount: i64) -> Result<i64, Stale> {
//!         let row = self.disk.read();
//!         match row.mark.admit(token, sequence)? {
//!             Admitted::Repeat => Ok(row.answer),
//!             Admitted::Accept(mark) => {
//!                 let balance = row.balance + amount;
//!                 self.disk.write_and_sync(Row { mark, answer: balance, balance });
//!                 Ok(balance)
//!             }
//!         }
//!     }
//! }
//! # struct Disk(Row);
//! # impl Disk {
//! #     fn read(&self) -> Row { self.0 }
//! #     fn write_and_sync(&mut self, row: Row) { self.0 = row }
//! # }
//! # let token = |value| FencingToken::new(value).expect("not 0");
//! # let mut account = Account { disk: Disk(Row::default()) };
//!
//! assert_eq!(account.add(token(33), 1, 10), Ok(10));
//! assert_eq!(account.add(token(33), 1, 10), Ok(10)); // sent twice, applied once
//! assert_eq!(account.add(token(34), 1, 5), Ok(15)); // the next holder
//! let late = account.add(token(33), 2, 100); // the first one wakes up
//! assert!(matches!(late, Err(Stale::Token { .. })));
//! assert_eq!(account.disk.read().balance, 15);
//! ```
//!
//! # Mistakes that undo it
//!
//! * Comparing for equality ("the token must be the current one"): the storage then has to be told
//!   of every new holder before it may refuse the old one. Equal is the same holder writing again,
//!   larger is a newer one, and both pass.
//! * Keeping the mark in memory: after a restart the paused holder is let in.
//! * Replying before the mark is durable, or making data and mark durable one after the other.
//! * Checking on put but not on delete, append, truncate, rename.
//! * Deriving the mark from the data (the largest token stored beside a value): deleting the data
//!   then deletes the mark. The mark outlives everything it guards.
//! * Checking first and changing later without a lock in between: two writers pass the check.
//!
//! # What is deliberately absent
//!
//! Clocks, leases and the lease service: the rule is right even when the service is wrong, slow or
//! gone. Storage: see above. Whether a token was ever issued: whoever may write may also present a
//! huge token and lock everybody out, so decide who may write before asking this crate.
#![no_std]

mod floor;
mod mark;
mod stale;

pub use floor::Floor;
pub use mark::{Admitted, Mark};
pub use stale::Stale;
