//! Each changed protocol is caught by the property that it must break.

use leasehold_model::{Mutant, Trial, trials};

/// Runs every `part`-th of three: tests run side by side, and the searches do not share anything.
fn run_part(part: usize) {
    for trial in trials().into_iter().skip(part).step_by(3) {
        let found = trial.run();
        let broken: Vec<_> = found.broken.iter().map(|(name, _)| *name).collect();
        let Trial { mutant, breaks, .. } = &trial;
        assert!(trial.is_good(&found), "{mutant:?} must break {breaks:?}; broken are {broken:?}");
    }
}

#[test]
fn each_mutant_of_the_first_third_breaks_what_it_must() {
    run_part(0);
}

#[test]
fn each_mutant_of_the_second_third_breaks_what_it_must() {
    run_part(1);
}

#[test]
fn each_mutant_of_the_last_third_breaks_what_it_must() {
    run_part(2);
}

#[test]
fn without_its_mutant_no_trial_breaks_anything() {
    // The world in which a mutant is caught shows nothing in the protocol as it is: the trials with the
    // shortest counter-examples, to the depth at which those were found and beyond.
    for mutant in [Mutant::CancelOfUnknownForgotten, Mutant::NodeCancelsBrokenCall] {
        let trial = trials().into_iter().find(|trial| trial.mutant == mutant);
        let mut config = trial.expect("every mutant has a trial").config;
        config.mutant = Mutant::None;
        let limits = leasehold_model::Limits { threads: 1, states: 20_000 };
        assert!(leasehold_model::search(config, &limits).broken.is_empty());
    }
}

#[test]
fn at_least_thirty_mutants_are_caught_and_each_has_one_trial() {
    let trials = trials();
    assert!(trials.iter().filter(|trial| trial.breaks.is_some()).count() >= 30);
    for (index, trial) in trials.iter().enumerate() {
        assert!(trials[..index].iter().all(|earlier| earlier.mutant != trial.mutant));
    }
}
