//! Cuts: packets between two hosts that the bridge drops, and counts.
//!
//! A cut is a set of directed pairs, so every shape is one: symmetric, one-way, a bridge, a minority.

use super::network::{Host, feed};
use crate::Outcome;

/// From whom, to whom.
pub(crate) type Pair = (Host, Host);

/// Drops everything between these pairs from now on, instead of what was dropped before.
pub(crate) fn cut(pairs: &[Pair]) -> Outcome<()> {
    feed("nft", &["-f", "-"], &rules(pairs)).map(|_| ())
}

/// Lets everything through again. Gives the number of packets that were dropped.
pub(crate) fn heal() -> Outcome<u64> {
    let dropped = dropped(&feed("nft", &["list", "table", "bridge", "fire"], "")?);
    feed("nft", &["delete", "table", "bridge", "fire"], "")?;
    Ok(dropped)
}

/// Both directions between each of the ones and each of the others.
pub(crate) fn between(some: &[Host], others: &[Host]) -> Vec<Pair> {
    let both =
        |one: &Host, other: &Host| [(one.clone(), other.clone()), (other.clone(), one.clone())];
    some.iter().flat_map(|one| others.iter().flat_map(move |other| both(one, other))).collect()
}

fn rules(pairs: &[Pair]) -> String {
    let mut text = String::from("table bridge fire\ndelete table bridge fire\n");
    text += "table bridge fire {\nchain forward {\n";
    text += "type filter hook forward priority 0; policy accept;\n";
    for (from, to) in pairs {
        text += &format!("ip saddr {} ip daddr {} counter drop\n", from.address(), to.address());
    }
    text + "}\n}\n"
}

fn dropped(listing: &str) -> u64 {
    let after = listing.split("counter packets ").skip(1);
    after.filter_map(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(octet: u8) -> Host {
        Host { name: format!("node-{octet}"), octet }
    }

    #[test]
    fn a_symmetric_cut_has_both_directions_of_every_pair() {
        let pairs = between(&[host(1)], &[host(2), host(3)]);
        assert_eq!(pairs.len(), 4);
        assert!(pairs.contains(&(host(3), host(1))) && pairs.contains(&(host(1), host(3))));
        assert_eq!(rules(&pairs).matches("counter drop").count(), 4);
    }

    #[test]
    fn dropped_packets_are_added_up_over_all_rules() {
        let listing = "ip saddr 10.77.0.1 counter packets 12 bytes 700 drop\n\
                       ip saddr 10.77.0.2 counter packets 0 bytes 0 drop\n\
                       ip saddr 10.77.0.3 counter packets 3 bytes 60 drop";
        assert_eq!(dropped(listing), 15);
        assert_eq!(dropped("chain forward {}"), 0);
    }
}
