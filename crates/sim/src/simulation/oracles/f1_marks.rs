//! F1: a mark never decreases, whatever happens to the store.

use std::collections::BTreeMap;
use std::time::Duration;

use leasehold_fence::Mark;
use leasehold_types::ResourceName;

use super::Oracle;
use crate::simulation::seen::Seen;

#[derive(Default)]
pub(super) struct MarksNeverDecrease {
    marks: BTreeMap<ResourceName, Mark>,
}

impl MarksNeverDecrease {
    fn see_mark(&mut self, resource: &ResourceName, mark: Mark) -> Result<(), String> {
        let before = self.marks.entry(resource.clone()).or_default();
        if mark < *before {
            return Err(format!("the mark of {resource} went from {before} to {mark}"));
        }
        *before = mark;
        Ok(())
    }
}

impl Oracle for MarksNeverDecrease {
    fn name(&self) -> &'static str {
        "F1 a mark never decreases"
    }

    fn see(&mut self, _: Duration, seen: &Seen) -> Result<(), String> {
        match seen {
            Seen::Stored { resource, stored, .. } => self.see_mark(resource, stored.mark),
            Seen::StoreOpened { contents } => {
                for resource in self.marks.keys() {
                    if !contents.iter().any(|(kept, _)| kept == resource) {
                        return Err(format!("the mark of {resource} is gone"));
                    }
                }
                let mut kept = contents.iter();
                kept.try_for_each(|(resource, held)| self.see_mark(resource, held.mark))
            }
            _ => Ok(()),
        }
    }
}
