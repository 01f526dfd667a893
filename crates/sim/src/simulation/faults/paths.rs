//! Paths that are cut: shapes of partitions, replies that are lost.

use std::time::Duration;

use super::super::network::Place;
use super::super::world::{Due, World};

impl World {
    pub(super) fn cut_for(
        &mut self,
        paths: Vec<(Place, Place)>,
        ms: std::ops::Range<u64>,
    ) -> Duration {
        let long = self.ms(ms);
        self.perform(Due::Cut(paths.clone()));
        self.later(long, Due::Mend(paths));
        long
    }

    pub(super) fn isolate(&mut self, node: u64) -> Option<String> {
        let here = Place::Node(node);
        let both = |other| [(here, Place::Node(other)), (Place::Node(other), here)];
        let paths = self.others(node).flat_map(both).collect();
        let long = self.cut_for(paths, 100..10_000);
        Some(format!("node {node} from its peers for {long:?}"))
    }

    pub(super) fn one_way(&mut self, node: u64) -> Option<String> {
        let deaf = self.chance.bool();
        let here = Place::Node(node);
        let path =
            |other| if deaf { (Place::Node(other), here) } else { (here, Place::Node(other)) };
        let paths = self.others(node).map(path).collect();
        let long = self.cut_for(paths, 100..8_000);
        Some(format!("node {node} is {} for {long:?}", if deaf { "deaf" } else { "mute" }))
    }

    pub(super) fn bridge(&mut self, middle: u64) -> Option<String> {
        let others: Vec<u64> = self.others(middle).collect();
        let (left, right) = others.split_at(others.len() / 2);
        let both =
            |a: u64, b: u64| [(Place::Node(a), Place::Node(b)), (Place::Node(b), Place::Node(a))];
        let pairs = left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b)));
        let paths = pairs.flat_map(|(a, b)| both(a, b)).collect();
        let long = self.cut_for(paths, 500..12_000);
        Some(format!("only node {middle} reaches all, for {long:?}"))
    }

    pub(super) fn flap(&mut self, node: u64) -> Option<String> {
        let other = node % self.plan.nodes + 1;
        let paths =
            vec![(Place::Node(node), Place::Node(other)), (Place::Node(other), Place::Node(node))];
        for turn in 0..self.chance.u64(2..8) {
            self.later(Duration::from_millis(turn * 300), Due::Cut(paths.clone()));
            self.later(Duration::from_millis(turn * 300 + 150), Due::Mend(paths.clone()));
        }
        Some(format!("nodes {node} and {other}"))
    }

    pub(super) fn cut_clients(&mut self, node: u64) -> Option<String> {
        let client = Place::Client(self.chance.u64(1..=self.plan.clients));
        let nodes = match self.chance.bool() {
            true => vec![node],
            false => (1..=self.plan.nodes).collect(),
        };
        let both = |node: &u64| [(client, Place::Node(*node)), (Place::Node(*node), client)];
        let mut paths: Vec<_> = nodes.iter().flat_map(both).collect();
        if self.chance.bool() {
            paths.retain(|(from, _)| *from != client);
        }
        let long = self.cut_for(paths, 100..6_000);
        Some(format!("{client:?} and nodes {nodes:?} for {long:?}"))
    }

    /// Requests arrive and are carried out, and nobody hears of it.
    pub(super) fn lose_replies(&mut self, node: u64) -> Option<String> {
        let here = Place::Node(node);
        self.network.lose_replies(here, true);
        let clients: Vec<u64> = (1..=self.plan.clients).collect();
        let of = self.chance.choice(&clients).copied()?;
        self.network.break_pipes(here, Place::Client(of));
        let long = self.ms(50..2_000);
        self.later(long, Due::HearReplies(here));
        Some(format!("of node {node} for {long:?}, and its connection with client {of} breaks"))
    }
}
