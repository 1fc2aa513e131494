//! The terms of reports, each with a short explanation that is shown where the term is used.

use std::collections::BTreeMap;

/// The terms with their meanings. The template refers to them by name; a test fails if it refers to a name that is not here.
const ALL: [(&str, &str); 17] = [
    (
        "errors in the fault",
        "share of failed requests while the fault was in force, at the vantage that saw most",
    ),
    ("to detect", "from the fault's start until the alert fired"),
    ("to mitigate", "from the fault's start until requests were good again while the fault held"),
    ("to recover", "from the heal until requests were good again"),
    ("longest total outage", "the longest time in which failed requests outweighed good ones"),
    (
        "partial failure",
        "the seconds in which some requests failed and others did not: the share that failed, and their total length",
    ),
    ("score", "0 to 100, for trends only: it decides nothing"),
    (
        "budget spent",
        "failed requests as a part of those that the goal for good requests allows over the attack; above 100 % it is overspent",
    ),
    ("p50, p99", "half of the requests, and 99 of 100, were answered within this time"),
    (
        "likely",
        "a range that has the true value in it in at least 95 % of cases: each end errs in at most 2.5 %",
    ),
    ("held", "all that was promised is shown by enough measurements"),
    ("violated", "what was measured breaks a promise for certain"),
    ("unknown", "not decided: something did not land or was not measured"),
    ("slipped", "requests that the vantage itself could not send in time; neither good nor bad"),
    ("vantage", "a place that requests are sent from, as users send them"),
    ("exercised", "whether traffic or a process met the fault"),
    ("compared", "settings of the host that were read before and after"),
];

/// Returns all terms by name.
pub(super) fn all() -> BTreeMap<&'static str, &'static str> {
    ALL.into_iter().collect()
}
