//! What goes wrong, one thing at a time or two at once, and each counted only when it really did.

mod cuts;
mod dates;
mod disks;
mod kills;
mod links;
mod pauses;
mod starvation;

use crate::Outcome;
use crate::rig::Rig;

/// A way to do harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nemesis {
    KillAny,
    KillLeader,
    KillAll,
    KillStore,
    KillClients,
    StopLeader,
    StopFollower,
    StopClient,
    StopStore,
    CutInTwo,
    CutOneWay,
    CutBridge,
    CutLeaderToMinority,
    CutClients,
    CutFlapping,
    DisturbLinks,
    Starve,
    FillDisk,
    CorruptDisk,
    SetDates,
}

use Nemesis::*;

/// Each as often as it is to be drawn.
const EVERYTHING: &[(u32, Nemesis)] = &[
    (12, KillAny),
    (10, KillLeader),
    (10, KillAll),
    (8, KillStore),
    (10, KillClients),
    (4, StopLeader),
    (3, StopFollower),
    (4, StopClient),
    (4, StopStore),
    (5, CutInTwo),
    (5, CutOneWay),
    (5, CutBridge),
    (5, CutLeaderToMinority),
    (5, CutClients),
    (2, CutFlapping),
    (10, DisturbLinks),
    (2, Starve),
    (1, FillDisk),
    (2, CorruptDisk),
    (6, SetDates),
];

/// For a run in which the clients are to get on.
const FEW: &[(u32, Nemesis)] = &[
    (2, KillAny),
    (4, KillLeader),
    (1, KillAll),
    (2, KillStore),
    (3, KillClients),
    (2, StopLeader),
    (2, StopFollower),
    (3, StopClient),
    (1, StopStore),
    (1, SetDates),
];

impl Nemesis {
    /// Draws one.
    pub(crate) fn draw(random: &mut fastrand::Rng, few: bool) -> Self {
        let table = if few { FEW } else { EVERYTHING };
        let total: u32 = table.iter().map(|(weight, _)| weight).sum();
        let mut at = random.u32(..total);
        for (weight, nemesis) in table {
            match at.checked_sub(*weight) {
                None => return *nemesis,
                Some(rest) => at = rest,
            }
        }
        unreachable!("a number below the sum of the weights falls on one of them")
    }

    /// Does it, and undoes it.
    pub(crate) async fn strike(self, rig: &mut Rig) -> Outcome<()> {
        match self {
            KillAny => kills::any(rig).await,
            KillLeader => kills::leader(rig).await,
            KillAll => kills::all(rig).await,
            KillStore => kills::store(rig).await,
            KillClients => kills::clients(rig).await,
            StopLeader => pauses::leader(rig).await,
            StopFollower => pauses::follower(rig).await,
            StopClient => pauses::client(rig).await,
            StopStore => pauses::store(rig).await,
            CutInTwo => cuts::in_two(rig).await,
            CutOneWay => cuts::one_way(rig).await,
            CutBridge => cuts::bridge(rig).await,
            CutLeaderToMinority => cuts::leader_to_minority(rig).await,
            CutClients => cuts::clients(rig).await,
            CutFlapping => cuts::flapping(rig).await,
            DisturbLinks => links::disturb(rig).await,
            Starve => starvation::starve(rig).await,
            FillDisk => disks::full(rig).await,
            CorruptDisk => disks::corrupt(rig).await,
            SetDates => dates::set(rig),
        }
    }
}
