//! Plans changes of a lot's spot calendar and finds free spots.
//!
//! A plan is made from the stored values it was shown and says, for every attribute it changes, what it replaces. The store turns it
//! into one transaction of compare-and-sets; if any value moved meanwhile nothing is written and a new plan is made.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::claims::{Claim, CorruptClaims, SpotPage, Taken, gap};
use crate::geometry::{Geometry, Page, Segment, Tile};
use crate::ids::{ReservationId, SpotIndex};
use crate::time::Window;

/// Most spots of one tile; the stored attributes are `a` to `h`.
pub const SLOTS_MAX: usize = 8;
/// How many random candidates are compared when many clients want the same lot. 64 clients keep 98 % of the sellable time with the best of 16,
/// 97 % with the best of 8, and need the same number of attempts.
pub const SPREAD_CANDIDATES: usize = 16;

/// The stored claims of one tile during one page, one value per spot.
pub type TileValues = [Option<Vec<u8>>; SLOTS_MAX];

/// One calendar item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileKey {
    /// The page.
    pub page: Page,
    /// The tile.
    pub tile: Tile,
}

/// What was read of a lot's calendar. A tile that is not here had no item: all its spots are free.
#[derive(Debug, Clone)]
pub struct CalendarView {
    geometry: Geometry,
    tiles: BTreeMap<TileKey, TileValues>,
}

/// Replaces the claims of one id on one spot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimEdit {
    /// The spot.
    pub spot: SpotIndex,
    /// Whose claims.
    pub id: ReservationId,
    /// The windows claimed so far. A claim that is no longer there (an expired hold somebody overwrote) is no error.
    pub old: Vec<Window>,
    /// The windows claimed from now on; none to release.
    pub new: Vec<Window>,
    /// Epoch second until which the new claims are holds; 0 = firm.
    pub lease_s: u32,
}

/// One attribute's compare-and-set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotEdit {
    /// The spot's place in the tile.
    pub slot: usize,
    /// The value that must still be there; `None` = no value.
    pub old: Option<Vec<u8>>,
    /// The value to write; `None` = remove.
    pub new: Option<Vec<u8>>,
}

/// One item's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileEdit {
    /// The item.
    pub key: TileKey,
    /// Its changed attributes, never empty.
    pub slots: Vec<SlotEdit>,
}

/// Why no plan can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Someone else's live claim is in the way.
    #[error("spot {} is claimed during that time", .spot.0)]
    Taken {
        /// The spot.
        spot: SpotIndex,
        /// Who claims it.
        #[source]
        taken: Taken,
    },
    /// A stored value cannot be read.
    #[error("the calendar of spot {} cannot be read", .spot.0)]
    Corrupt {
        /// The spot.
        spot: SpotIndex,
        /// The cause.
        #[source]
        cause: CorruptClaims,
    },
}

/// A spot that is free for the whole wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpot {
    /// The spot.
    pub spot: SpotIndex,
    /// The caller's rank of it; lower is a better fit (I2).
    pub rank: u16,
    /// Free minutes around the wish that would be left over: small means little fragmentation.
    pub slack_minutes: u32,
}

/// How to choose among free spots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// The best fit of all; equals are ordered by the seed.
    BestFit,
    /// The best of [`SPREAD_CANDIDATES`] random ones, so that a crowd does not fight for one spot.
    Spread,
}

impl CalendarView {
    /// An empty view.
    #[must_use]
    pub const fn new(geometry: Geometry) -> Self {
        Self { geometry, tiles: BTreeMap::new() }
    }

    /// The geometry.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Takes in what was read of an item.
    pub fn insert(&mut self, key: TileKey, values: TileValues) {
        self.tiles.insert(key, values);
    }

    /// Forgets an item: it was read and is not there.
    pub fn remove(&mut self, key: TileKey) {
        self.tiles.remove(&key);
    }

    /// The stored claims of a spot during a page.
    #[must_use]
    pub fn stored(&self, spot: SpotIndex, page: Page) -> Option<&[u8]> {
        let values = self.tiles.get(&TileKey { page, tile: self.geometry.tile(spot) })?;
        values.get(self.geometry.slot(spot))?.as_deref()
    }

    /// The items that a set of edits reads or writes.
    #[must_use]
    pub fn tiles_of(geometry: Geometry, edits: &[ClaimEdit]) -> BTreeSet<(u16, TileKey)> {
        let mut keys = BTreeSet::new();
        for edit in edits {
            for window in edit.old.iter().chain(&edit.new) {
                for page in geometry.pages(*window) {
                    keys.insert((Geometry::group(edit.spot), TileKey { page, tile: geometry.tile(edit.spot) }));
                }
            }
        }
        keys
    }

    /// Plans all edits together, in order, as one change.
    ///
    /// # Errors
    /// [`PlanError`]; no partial plan exists.
    pub fn plan(&self, edits: &[ClaimEdit], now_s: i64) -> Result<Vec<TileEdit>, PlanError> {
        let mut work: BTreeMap<(SpotIndex, Page), SpotPage> = BTreeMap::new();
        for edit in edits {
            self.apply(&mut work, edit, now_s)?;
        }
        let mut tiles: BTreeMap<TileKey, Vec<SlotEdit>> = BTreeMap::new();
        for ((spot, page), after) in work {
            let old = self.stored(spot, page).map(<[u8]>::to_vec);
            let new = after.encode();
            if old != new {
                let key = TileKey { page, tile: self.geometry.tile(spot) };
                tiles.entry(key).or_default().push(SlotEdit { slot: self.geometry.slot(spot), old, new });
            }
        }
        Ok(tiles.into_iter().map(|(key, slots)| TileEdit { key, slots }).collect())
    }

    fn apply(
        &self,
        work: &mut BTreeMap<(SpotIndex, Page), SpotPage>,
        edit: &ClaimEdit,
        now_s: i64,
    ) -> Result<(), PlanError> {
        let segments = |windows: &[Window]| -> Vec<Segment> {
            windows.iter().flat_map(|window| self.geometry.segments(*window)).collect()
        };
        for segment in segments(&edit.old) {
            self.page_of(work, edit.spot, segment.page)?.release_at(edit.id, segment.start);
        }
        for segment in segments(&edit.new) {
            let claim = Claim { start: segment.start, end: segment.end, lease_s: edit.lease_s, id: edit.id };
            self.page_of(work, edit.spot, segment.page)?
                .claim(claim, now_s)
                .map_err(|taken| PlanError::Taken { spot: edit.spot, taken })?;
        }
        Ok(())
    }

    fn page_of<'a>(
        &self,
        work: &'a mut BTreeMap<(SpotIndex, Page), SpotPage>,
        spot: SpotIndex,
        page: Page,
    ) -> Result<&'a mut SpotPage, PlanError> {
        use std::collections::btree_map::Entry;
        match work.entry((spot, page)) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(unknown) => {
                let decoded = SpotPage::decode(self.stored(spot, page));
                Ok(unknown.insert(decoded.map_err(|cause| PlanError::Corrupt { spot, cause })?))
            }
        }
    }

    /// The spots among `ranked` that are free for all `windows`, in the order given.
    ///
    /// # Errors
    /// [`PlanError::Corrupt`].
    pub fn free(
        &self,
        ranked: impl IntoIterator<Item = (SpotIndex, u16)>,
        windows: &[Window],
        now_s: i64,
    ) -> Result<Vec<FreeSpot>, PlanError> {
        let segments: Vec<Segment> = windows.iter().flat_map(|window| self.geometry.segments(*window)).collect();
        let mut found = Vec::new();
        for (spot, rank) in ranked {
            if let Some(slack_minutes) = self.slack(spot, &segments, now_s)? {
                found.push(FreeSpot { spot, rank, slack_minutes });
            }
        }
        Ok(found)
    }

    fn slack(&self, spot: SpotIndex, segments: &[Segment], now_s: i64) -> Result<Option<u32>, PlanError> {
        let page_minutes = u16::try_from(self.geometry.page_minutes()).unwrap_or(u16::MAX);
        let mut slack = 0_u32;
        for segment in segments {
            let stored = self.stored(spot, segment.page).unwrap_or_default();
            let gap = gap(stored, segment.start, segment.end, page_minutes, now_s)
                .map_err(|cause| PlanError::Corrupt { spot, cause })?;
            match gap {
                Ok(minutes) => slack += u32::from(minutes - (segment.end - segment.start)),
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(slack))
    }
}

/// Chooses a spot (I2: best rank first, then the one that fragments the day least). The same seed chooses the same spot.
#[must_use]
pub fn choose(free: &[FreeSpot], allocation: Allocation, seed: u64) -> Option<SpotIndex> {
    let best = |spots: &mut dyn Iterator<Item = &FreeSpot>| {
        spots.min_by_key(|f| (f.rank, f.slack_minutes, scatter(seed, f.spot))).map(|f| f.spot)
    };
    match allocation {
        Allocation::BestFit => best(&mut free.iter()),
        Allocation::Spread => {
            let rank = free.iter().map(|f| f.rank).min()?;
            let mut fitting: Vec<&FreeSpot> = free.iter().filter(|f| f.rank == rank).collect();
            fitting.sort_by_key(|f| scatter(seed, f.spot));
            best(&mut fitting.into_iter().take(SPREAD_CANDIDATES))
        }
    }
}

/// A well-mixed number from seed and spot (SplitMix64's finaliser), so that equal spots are tried in a different order by each client.
const fn scatter(seed: u64, spot: SpotIndex) -> u64 {
    let mut mixed = seed ^ (spot.0 as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::Shape;
    use crate::ids::Claimant;
    use crate::time::Minute;

    const NOW_S: i64 = 29_000_000 * 60;
    const GEOMETRY: Geometry = Geometry { shape: Shape::Hourly, offset_minutes: 240 };

    fn id(n: u64) -> ReservationId {
        ReservationId::new(Claimant::Reservation, n)
    }

    fn window(start: i64, end: i64) -> Window {
        Window::new(Minute(29_000_000 + start), Minute(29_000_000 + end)).unwrap()
    }

    fn edit(spot: u16, owner: u64, old: &[Window], new: &[Window]) -> ClaimEdit {
        ClaimEdit { spot: SpotIndex(spot), id: id(owner), old: old.to_vec(), new: new.to_vec(), lease_s: 0 }
    }

    /// Writes a plan the way the store does, checking every compare.
    fn commit(view: &mut CalendarView, plan: &[TileEdit]) {
        for tile in plan {
            let mut values = view.tiles.get(&tile.key).cloned().unwrap_or_default();
            for slot in &tile.slots {
                assert_eq!(values[slot.slot], slot.old);
                values[slot.slot] = slot.new.clone();
            }
            view.insert(tile.key, values);
        }
    }

    #[test]
    fn two_spots_of_one_tile_are_one_item_of_the_transaction() {
        let mut view = CalendarView::new(GEOMETRY);
        let plan = view.plan(&[edit(1, 7, &[], &[window(0, 60)])], NOW_S).unwrap();
        commit(&mut view, &plan);
        let moved = view.plan(&[edit(1, 7, &[window(0, 60)], &[]), edit(2, 7, &[], &[window(0, 60)])], NOW_S).unwrap();
        assert_eq!(moved.len(), 1);
        assert_eq!(moved[0].slots.len(), 2);
    }

    #[test]
    fn shortening_a_stay_writes_only_the_pages_that_change() {
        let mut view = CalendarView::new(GEOMETRY);
        let long = window(0, 3 * 1_440);
        let plan = view.plan(&[edit(0, 7, &[], &[long])], NOW_S).unwrap();
        commit(&mut view, &plan);
        let shorter = Window::new(long.start(), long.end().plus(-10)).unwrap();
        assert_eq!(view.plan(&[edit(0, 7, &[long], &[shorter])], NOW_S).unwrap().len(), 1);
        assert!(view.plan(&[edit(0, 7, &[long], &[long])], NOW_S).unwrap().is_empty());
    }

    #[test]
    fn one_plan_can_move_the_next_reservation_out_of_the_way_and_extend_into_its_place() {
        let mut view = CalendarView::new(GEOMETRY);
        for e in [edit(0, 1, &[], &[window(0, 60)]), edit(0, 2, &[], &[window(60, 120)])] {
            let plan = view.plan(&[e], NOW_S).unwrap();
            commit(&mut view, &plan);
        }
        let next_out = edit(0, 2, &[window(60, 120)], &[]);
        let next_in = edit(9, 2, &[], &[window(60, 120)]);
        let extend = edit(0, 1, &[window(0, 60)], &[window(0, 90)]);
        assert!(matches!(view.plan(std::slice::from_ref(&extend), NOW_S), Err(PlanError::Taken { .. })));
        let plan = view.plan(&[next_out, next_in, extend], NOW_S).unwrap();
        commit(&mut view, &plan);
        let free = view.free([(SpotIndex(0), 0), (SpotIndex(9), 0)], &[window(90, 100)], NOW_S).unwrap();
        assert_eq!(free.iter().map(|f| f.spot).collect::<Vec<_>>(), vec![SpotIndex(0)]);
    }

    #[test]
    fn best_fit_takes_the_tightest_gap_of_the_best_rank() {
        let free = |spot, rank, slack_minutes| FreeSpot { spot: SpotIndex(spot), rank, slack_minutes };
        let spots = [free(0, 1, 0), free(1, 0, 500), free(2, 0, 30), free(3, 0, 900)];
        assert_eq!(choose(&spots, Allocation::BestFit, 1), Some(SpotIndex(2)));
        assert_eq!(choose(&[], Allocation::BestFit, 1), None);
    }

    #[test]
    fn equal_spots_are_spread_by_the_seed() {
        let spots: Vec<FreeSpot> =
            (0..200).map(|i| FreeSpot { spot: SpotIndex(i), rank: 0, slack_minutes: 0 }).collect();
        let chosen: BTreeSet<_> = (0..100).filter_map(|seed| choose(&spots, Allocation::BestFit, seed)).collect();
        assert!(chosen.len() > 60, "{} different spots", chosen.len());
    }

    proptest! {
        #[test]
        fn a_spot_reported_free_can_be_claimed_and_no_other(
            stays in prop::collection::vec((0_u16..12, 0_i64..4_000, 1_i64..900), 1..80),
            long: bool,
        ) {
            let shape = if long { Shape::LongStay } else { Shape::Hourly };
            let mut view = CalendarView::new(Geometry { shape, offset_minutes: 240 });
            let mut held: Vec<(u16, Window)> = Vec::new();
            for (n, (spot, start, minutes)) in (1..).zip(stays) {
                let wish = window(start, start + minutes);
                let free = !view.free([(SpotIndex(spot), 0)], &[wish], NOW_S).unwrap().is_empty();
                let expected = !held.iter().any(|(s, w)| *s == spot && w.overlaps(wish));
                prop_assert_eq!(free, expected);
                match view.plan(&[edit(spot, n, &[], &[wish])], NOW_S) {
                    Ok(plan) => { prop_assert!(free); commit(&mut view, &plan); held.push((spot, wish)); }
                    Err(_) => prop_assert!(!free),
                }
            }
        }
    }
}
