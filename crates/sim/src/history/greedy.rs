//! Whether operations whose order is known can be put on the line of time in that order.
//!
//! Each operation took effect at one moment between its invocation and its answer, and the order of
//! these moments is given. So each gets the earliest moment it can have, p(i) = max(p(i-1),
//! invoked(i)), and there is a way if and only if p(i) <= answered(i) for all. Sound and complete for a
//! known total order, O(n log n). What shares a position happened at one moment; a read of a position
//! comes after what made it, and reads of one position may come in any order.

use super::record::Span;

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Its position in the known order.
    pub(crate) order: u64,
    /// Whether it only saw that position.
    pub(crate) reads: bool,
    /// When it can have happened.
    pub(crate) span: Span,
    /// Its line.
    pub(crate) line: usize,
}

/// Two steps that turn time back: the first comes before the second in order, or is the same, and
/// was asked for only after the second was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TurnedBack {
    pub(crate) first: Step,
    pub(crate) second: Step,
}

/// The steps that cannot be placed, each with the one that is in its way.
pub(crate) fn turned_back(mut steps: Vec<Step>) -> Vec<TurnedBack> {
    steps.sort_unstable_by_key(|step| (step.order, step.reads, step.span.invoked_ns, step.line));
    let mut found = Vec::new();
    let mut latest: Option<Step> = None;
    for group in steps.chunk_by(|one, next| (one.order, one.reads) == (next.order, next.reads)) {
        if !group[0].reads {
            latest = later(latest, group.last().copied());
        }
        for &second in group {
            latest = later(latest, Some(second));
            let Some(first) = latest else { continue };
            if second.span.answered_ns < first.span.invoked_ns {
                found.push(TurnedBack { first, second });
            }
        }
    }
    found
}

fn later(one: Option<Step>, other: Option<Step>) -> Option<Step> {
    one.into_iter().chain(other).max_by_key(|step| step.span.invoked_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(order: u64, reads: bool, invoked_ns: u64, answered_ns: u64) -> Step {
        let line = usize::try_from(order).expect("small");
        Step { order, reads, span: Span { invoked_ns, answered_ns }, line }
    }

    fn lines(steps: Vec<Step>) -> Vec<(usize, usize)> {
        let found = turned_back(steps);
        found.iter().map(|found| (found.first.line, found.second.line)).collect()
    }

    #[test]
    fn overlapping_steps_take_any_order() {
        assert_eq!(lines(vec![step(2, false, 0, 10), step(1, false, 5, 20)]), []);
    }

    #[test]
    fn a_step_answered_before_an_earlier_one_was_asked_turns_time_back() {
        assert_eq!(lines(vec![step(1, false, 11, 20), step(2, false, 0, 10)]), [(1, 2)]);
    }

    #[test]
    fn three_steps_that_fit_in_pairs_need_not_fit_together() {
        let chain = vec![step(1, false, 8, 20), step(2, false, 0, 30), step(3, false, 0, 7)];
        assert_eq!(lines(chain), [(1, 3)]);
    }

    #[test]
    fn what_shares_a_position_needs_a_moment_in_common() {
        assert_eq!(lines(vec![step(1, false, 0, 10), step(1, false, 11, 20)]), [(1, 1)]);
        assert_eq!(lines(vec![step(1, true, 0, 10), step(1, true, 11, 20)]), []);
    }

    #[test]
    fn a_read_comes_after_what_it_saw() {
        assert_eq!(lines(vec![step(1, true, 0, 4), step(1, false, 5, 9)]), [(1, 1)]);
        assert_eq!(lines(vec![step(1, true, 0, 5), step(1, false, 5, 9)]), []);
    }

    #[test]
    fn an_answer_before_its_question_turns_time_back() {
        assert_eq!(lines(vec![step(1, false, 5, 4)]), [(1, 1)]);
    }
}
