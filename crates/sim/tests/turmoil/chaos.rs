//! What breaks, and when: drawn from the seed.

use std::time::Duration;

use crate::hosts::{NODES, STORE};
use crate::lab::Lab;

/// One thing that is broken.
enum Broken {
    Cut(&'static str, &'static str),
    Held(&'static str, &'static str),
    Down(&'static str),
}

/// Breaks things for a while, some of them at the same time, and leaves everything whole.
pub(crate) async fn chaos(lab: &Lab, clients: &[&'static str], time: Duration) {
    let until = lab.now() + time;
    let mut broken: Vec<Broken> = Vec::new();
    while lab.now() < until {
        lab.pause(Duration::from_millis(800)).await;
        if broken.len() > 2 || (!broken.is_empty() && lab.one_in(3)) {
            heal(lab, broken.remove(0)).await;
        } else {
            broken.extend(break_something(lab, clients, &broken).await);
        }
    }
    for one in broken {
        heal(lab, one).await;
    }
}

async fn break_something(lab: &Lab, clients: &[&'static str], broken: &[Broken]) -> Option<Broken> {
    let ends = [
        (lab.pick(clients), STORE),
        (lab.pick(clients), STORE),
        (lab.pick(clients), lab.pick(&NODES)),
        (lab.pick(&NODES), lab.pick(&NODES)),
    ];
    let one = match lab.pick(&ends) {
        (_, host) if lab.one_in(6) => Broken::Down(host),
        (a, b) if a == b => return None,
        (a, b) if lab.one_in(6) => Broken::Held(a, b),
        (a, b) => Broken::Cut(a, b),
    };
    // Cuts and holds of one link do not mix.
    if broken.iter().any(|other| same(other, &one)) {
        return None;
    }
    match one {
        Broken::Down(host) => lab.crash(host).await,
        Broken::Held(a, b) => lab.hold(a, b),
        Broken::Cut(a, b) if lab.one_in(3) => lab.cut_one_way(a, b),
        Broken::Cut(a, b) if lab.one_in(2) => lab.cut_one_way(b, a),
        Broken::Cut(a, b) => lab.cut(a, b),
    }
    Some(one)
}

async fn heal(lab: &Lab, one: Broken) {
    match one {
        Broken::Down(host) => lab.bounce(host).await,
        Broken::Held(a, b) => lab.let_go(a, b),
        Broken::Cut(a, b) => lab.mend(a, b),
    }
}

fn same(one: &Broken, other: &Broken) -> bool {
    let ends = |broken: &Broken| match *broken {
        Broken::Down(host) => [host, host],
        Broken::Held(a, b) | Broken::Cut(a, b) => [a.min(b), a.max(b)],
    };
    ends(one) == ends(other)
}
