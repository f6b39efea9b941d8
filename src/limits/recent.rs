use super::table::Table;
use std::{convert::Infallible, time::Duration};

/// The names that occurred a short time ago, in a table of fixed size.
pub(super) struct Recent {
    table: Table,
    /// In nanoseconds.
    lasting: u64,
}

impl Recent {
    pub(super) fn new(capacity: usize, lasting: Duration) -> Self {
        Self { table: Table::new(capacity), lasting: u64::try_from(lasting.as_nanos()).unwrap_or(u64::MAX) }
    }

    pub(super) fn contains(&self, name: u64, now: u64) -> bool {
        self.table.get(name, now).is_some()
    }

    /// Notes a name, and returns whether the name was there before.
    pub(super) fn note(&self, name: u64, now: u64) -> bool {
        let mut was_there = false;
        let Ok(()) = self.table.update(name, now, |until| {
            was_there = until.is_some();
            Ok::<_, Infallible>(now.saturating_add(self.lasting))
        });
        was_there
    }
}
