//! Something that happened at one moment, on a lane.

use crate::{report::chart::lanes::Item, score::format};

/// Returns the item of a moment; its title has the time on the run's clock.
pub(super) fn moment(at_us: i64, text: String, class: &'static str) -> Item {
    Item {
        from_us: at_us,
        until_us: at_us,
        title: format!("{}: {text}", format::clock(at_us)),
        label: text,
        class,
        ..Item::default()
    }
}
