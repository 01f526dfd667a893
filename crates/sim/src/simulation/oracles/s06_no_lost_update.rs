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
                for (resource, before) in &mut self.values {
                    let kept = contents.iter().find(|(kept, _)| kept == resource);
                    let kept = kept.map_or(0, |(_, held)| held.value);
                    if kept < *before {
                        return Err(format!("{resource} was {before} and came back as {kept}"));
                    }
                    *before = kept;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
