//! S6: a counter that is read, incremented and written under leases loses no increment.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_types::ResourceName;

use super::Oracle;
use crate::simulation::seen::Seen;

#[derive(Default)]
pub(super) struct NoLostUpdate {
    values: BTreeMap<ResourceName, u64>,
}

impl Oracle for NoLostUpdate {
    fn name(&self) -> &'static str {
        "S6 no lost update"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Stored { resource, stored, put: true } => {
                let before = self.values.insert(resource.clone(), stored.value).unwrap_or(0);
                if stored.value != before + 1 {
                    return Err(format!("{resource} went from {before} to {stored:?}"));
                }
            }
            Seen::StoreOpened { contents } => {
                // A write that was under way when the power went may be there, unanswered.
                let kept: BTreeMap<ResourceName, u64> =
                    contents.iter().map(|(name, held)| (name.clone(), held.value)).collect();
                for (resource, before) in &self.values {
                    let kept = kept.get(resource).copied().unwrap_or(0);
                    if kept < *before {
                        return Err(format!("{resource} was {before} and came back as {kept}"));
                    }
                }
                self.values = kept;
            }
            _ => {}
        }
        Ok(())
    }
}
