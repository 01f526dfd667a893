//! What the checks share: the history, and what several of them need to know about it.

use std::collections::{BTreeMap, HashMap};

use super::History;
use super::grants::{self, Grant, Sighting};
use super::lives::{self, Lives};
use super::record::Token;
use super::tenures::{self, Tenure};
use super::watches::Watches;

/// A history, looked through once.
#[derive(Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) history: &'a History,
    /// Every look at a token.
    pub(crate) sightings: Vec<Sighting<'a>>,
    /// When each request id was first sent, and by which line.
    pub(crate) asked: HashMap<&'a str, (u64, usize)>,
    /// By token.
    pub(crate) grants: BTreeMap<Token, Grant<'a>>,
    /// By request id, where one is known: its token.
    pub(crate) token_of: HashMap<&'a str, Token>,
    /// By resource.
    pub(crate) lives: BTreeMap<&'a str, Lives>,
    /// By token.
    pub(crate) tenures: BTreeMap<Token, Tenure<'a>>,
    pub(crate) watches: Watches<'a>,
}

impl<'a> Evidence<'a> {
    pub(crate) fn gather(history: &'a History) -> Self {
        let sightings = grants::sightings(history);
        let asked = grants::first_asked(history);
        let grants = grants::grants(&sightings, &asked);
        let named = grants.values().filter_map(|grant| Some((grant.request?, grant.token)));
        let token_of = named.collect();
        let lives = lives::lives(history, &token_of);
        let tenures = tenures::tenures(history, &grants, &token_of);
        let watches = Watches::of(history);
        Self { history, sightings, asked, grants, token_of, lives, tenures, watches }
    }
}
