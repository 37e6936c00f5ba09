//! Which tariff a booking gets, by when it is made (P7).

use parkade_domain::ids::TariffVersion;
use parkade_domain::lot::{Lot, UPCOMING_MAX};
use parkade_domain::time::Minute;
use proptest::prelude::*;

use super::given::lot;

const NOW: Minute = Minute(29_700_000);

fn in_force(lot: &Lot, minutes: i64) -> u32 {
    lot.tariff_at(NOW.plus(minutes)).0
}

#[test]
fn a_publication_holds_from_its_instant_and_not_a_minute_earlier() {
    let lot = lot().publishing(TariffVersion(3), NOW.plus(60), NOW).publishing(TariffVersion(2), NOW.plus(30), NOW);
    assert_eq!([0, 29, 30, 59, 60, 9_999].map(|at| in_force(&lot, at)), [1, 1, 2, 2, 3, 3]);
    let replaced = lot.clone().publishing(TariffVersion(4), NOW.plus(30), NOW);
    assert_eq!([29, 30, 60].map(|at| in_force(&replaced, at)), [1, 4, 3]);
    let at_once = lot.publishing(TariffVersion(5), NOW, NOW);
    assert_eq!([0, 29, 30].map(|at| in_force(&at_once, at)), [5, 5, 2], "what was to come still comes");
}

proptest! {
    /// Whatever is published in whatever order: what is in force is the latest of those that have come, and settling changes nothing.
    #[test]
    fn settling_changes_no_answer(
        publications in prop::collection::vec((0_i64..500, 2_u32..9), 0..UPCOMING_MAX),
        settled_at in 0_i64..600, asked_at in 0_i64..600,
    ) {
        let mut lot = lot();
        let mut expected = std::collections::BTreeMap::from([(i64::MIN, 1)]);
        for (from, version) in publications {
            lot = lot.publishing(TariffVersion(version), NOW.plus(from), NOW);
            // At once, or at its instant.
            expected.insert(if from == 0 { i64::MIN } else { from }, version);
        }
        prop_assert!(lot.upcoming.is_sorted_by(|a, b| a.from < b.from));
        let latest = |at: i64| *expected.range(..=at).next_back().unwrap().1;
        prop_assert_eq!(in_force(&lot, asked_at), latest(asked_at));
        let later = settled_at.max(asked_at);
        prop_assert_eq!(in_force(&lot.clone().settled_at(NOW.plus(settled_at)), later), latest(later));
    }
}
