//! Small worlds, all of them, in every test run.

use leasehold_model::{Found, Happening, Limits, search, small_configurations};

fn exhaust_all() -> Vec<Found> {
    let limits = Limits { threads: 2, ..Limits::default() };
    small_configurations().into_iter().map(|config| search(config, &limits)).collect()
}

#[test]
fn every_small_world_is_exhausted_without_a_flaw_and_shows_what_it_should() {
    let found = exhaust_all();
    for found in &found {
        let broken: Vec<String> =
            found.broken.iter().map(|(name, story)| format!("{name}:\n{story}")).collect();
        assert!(broken.is_empty(), "{}: {}", found.name, broken.join("\n"));
        assert!(found.is_complete, "{} was cut", found.name);
    }
    for what in Happening::ALL {
        let times: u64 = found.iter().map(|found| found.seen[*what as usize].1).sum();
        assert!(times > 0, "no small world shows that {what}");
    }
}
