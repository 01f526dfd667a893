//! Scenarios of `docs/faults.md` whose interleaving only the model walks through to the end: the bug as it
//! happened elsewhere, put into the protocol, breaks what it broke there; the protocol as it is does not, in
//! the same small world and for longer than the bug needs.

use leasehold_model::{Limits, Mutant, search, trials};

/// States of the protocol as it is that are looked at: more than any of these bugs needs to show.
const STATES: usize = 40_000;

fn breaks(mutant: Mutant, promise: &str) {
    let trial = trials().into_iter().find(|trial| trial.mutant == mutant);
    let trial = trial.expect("every mutant has a trial");
    assert!(trial.breaks.is_some_and(|broken| broken.starts_with(promise)), "{:?}", trial.breaks);
    let found = trial.run();
    assert!(trial.counter_example(&found).is_some(), "the bug is not seen");
    let mut config = trial.config;
    config.mutant = Mutant::None;
    let sound = search(config, &Limits { threads: 1, states: STATES });
    assert!(sound.broken.is_empty(), "without it: {:?}", sound.broken[0].0);
}

#[test]
fn a_deposed_leaders_timer_that_ends_leases_ends_one_that_was_renewed_meanwhile() {
    breaks(Mutant::RevokeByTimer, "S4");
}

#[test]
fn a_deposed_leader_that_answers_renewals_is_believed_for_too_long() {
    breaks(Mutant::DeposedAnswersRenew, "S4");
}

#[test]
fn a_leader_that_starts_every_ttl_afresh_keeps_the_dead_beyond_their_bound() {
    breaks(Mutant::NewLeaderRestartsTtls, "L2");
}

#[test]
fn ending_what_is_due_one_by_one_grants_to_a_waiter_that_is_due_itself() {
    breaks(Mutant::ExpireOneByOne, "I1");
}

#[test]
fn a_waiter_without_a_deadline_of_its_own_blocks_those_behind_it() {
    breaks(Mutant::WaitersLiveForEver, "L2");
}

#[test]
fn a_lost_push_of_a_grant_is_never_made_good_if_renewals_do_not_tell_it() {
    breaks(Mutant::RenewAnswerWithoutToken, "L1");
}

#[test]
fn a_retry_that_is_told_a_whole_ttl_believes_for_too_long() {
    breaks(Mutant::RepeatedAcquireSaysFullTtl, "S4");
}

#[test]
fn a_cancel_that_overtook_its_acquire_and_was_forgotten_lets_it_be_granted() {
    breaks(Mutant::CancelOfUnknownForgotten, "S8");
}

#[test]
fn a_token_counter_that_is_kept_with_the_claims_starts_again() {
    breaks(Mutant::TokensRestart, "S1");
}

#[test]
fn a_store_that_looks_at_no_token_loses_an_update_to_a_paused_writer() {
    breaks(Mutant::UnfencedStore, "S");
}

#[test]
fn a_client_that_counts_from_the_answer_believes_for_too_long() {
    breaks(Mutant::TtlFromReceipt, "S4");
}

#[test]
fn an_id_that_is_repeated_for_longer_than_it_is_remembered_is_granted_twice() {
    breaks(Mutant::RetriesForEver, "S7");
}

#[test]
fn a_node_that_cancels_for_a_client_whose_call_broke_ends_what_another_node_granted() {
    breaks(Mutant::NodeCancelsBrokenCall, "S4");
}
