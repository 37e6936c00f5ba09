//! What stays are priced by: the versions in force when they were agreed, and what else was pinned with them.

use std::sync::Arc;

use futures::future::try_join;
use parkade_domain::decide::Rules;
use parkade_domain::ids::{SpotIndex, TariffVersion};
use parkade_domain::reservation::{Circumstances, Reservation};
use parkade_domain::tariff::{LotCalendar, Tariff};
use parkade_domain::time::{Minute, Window};
use parkade_domain::vehicle::Features;

use crate::lots::LotFacts;
use crate::occupancy::LotDay;
use crate::{CommandError, Store, StoreError};

/// What a stay is, or would be, priced and settled by.
#[derive(Debug, Clone)]
pub struct Pricing {
    /// The lot.
    pub facts: Arc<LotFacts>,
    /// The tariff version (P7, P19).
    pub tariff: Arc<Tariff>,
    /// The holidays and events of the version that `circumstances` names.
    pub calendar: Arc<LotCalendar>,
    /// What else the price depends on.
    pub circumstances: Circumstances,
}

/// What a driver was promised: the same again until it expires (P17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// The tariff version.
    pub tariff: TariffVersion,
    /// What else the price was computed from.
    pub circumstances: Circumstances,
    /// Epoch second at which the promise ends.
    pub expires_at_s: i64,
}

impl Pricing {
    /// What decisions read.
    #[must_use]
    pub fn rules(&self) -> Rules<'_> {
        Rules {
            lot: &self.facts.lot,
            tariff: &self.tariff,
            calendar: &self.calendar,
            circumstances: self.circumstances,
        }
    }

    /// The features of a spot of the lot.
    #[must_use]
    pub fn features(&self, spot: SpotIndex) -> Features {
        self.facts.directory.get(spot).map_or_else(Features::default, |spot| spot.features)
    }

    /// The same stays under another version of the tariff.
    #[must_use]
    pub fn under(self, tariff: Arc<Tariff>) -> Self {
        Self { tariff, ..self }
    }
}

impl Store {
    /// What a reservation was priced by. Versions are remembered, so this rarely reads.
    ///
    /// # Errors
    /// [`CommandError::UnknownLot`], or the store's.
    pub async fn pricing_of(&self, stay: &Reservation) -> Result<Pricing, CommandError> {
        let facts = self.lot(&stay.lot).await?.ok_or(CommandError::UnknownLot)?;
        Ok(self.pinned(facts, stay.tariff, stay.circumstances).await?)
    }

    /// What a stay that is agreed at `now_s` is priced by; `first` is its (first) window, `features` are those of the spot that the
    /// driver names.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pricing_now(
        &self,
        facts: &Arc<LotFacts>,
        first: Window,
        features: Features,
        now_s: i64,
    ) -> Result<Pricing, StoreError> {
        let now = Minute(now_s.div_euclid(60));
        let circumstances = Circumstances { calendar: facts.lot.calendar, features, ..Circumstances::default() };
        let mut pricing = self.pinned(Arc::clone(facts), facts.lot.tariff_at(now), circumstances).await?;
        if let Some(dynamic) = &pricing.tariff.dynamic {
            if !dynamic.lead_time.is_empty() {
                let minutes = first.start().0.saturating_sub(now.0).max(0);
                pricing.circumstances.lead_minutes = Some(u32::try_from(minutes).unwrap_or(u32::MAX));
            }
            if !dynamic.occupancy.is_empty() {
                pricing.circumstances.occupancy_percent = Some(self.occupancy_percent(facts, first).await?);
            }
        }
        Ok(pricing)
    }

    /// What a promised stay is priced by.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pricing_promised(&self, facts: &Arc<LotFacts>, promise: &Promise) -> Result<Pricing, StoreError> {
        self.pinned(Arc::clone(facts), promise.tariff, promise.circumstances).await
    }

    async fn pinned(
        &self,
        facts: Arc<LotFacts>,
        tariff: TariffVersion,
        circumstances: Circumstances,
    ) -> Result<Pricing, StoreError> {
        let lot = &facts.lot.id;
        let (tariff, calendar) =
            try_join(self.tariff(lot, tariff), self.lot_calendar(lot, circumstances.calendar)).await?;
        Ok(Pricing { facts, tariff, calendar, circumstances })
    }

    /// Per cent of the lot's spots that are claimed at some time of the hours in which a stay begins; of the part of it that lies on
    /// its first day. From the counts that follow the calendar within seconds: good enough for a price step, which is pinned.
    async fn occupancy_percent(&self, facts: &LotFacts, stay: Window) -> Result<u8, StoreError> {
        let lot = &facts.lot;
        let day = (stay.start().0 - lot.geometry.offset_minutes).div_euclid(parkade_domain::time::DAY_MINUTES);
        let days = self.occupancy(&[(lot.id.clone(), u32::try_from(day).unwrap_or(0))]).await?;
        let percent = |day: &LotDay| {
            // Counts of before the total was stored are compared with the lot as it is.
            let counted = if day.spots == 0 { facts.directory.spots.len() } else { usize::from(day.spots) };
            let total = u32::try_from(counted).unwrap_or(u32::MAX).max(1);
            let free = u32::from(day.free_on(stay.start(), stay.end()));
            total.saturating_sub(free).saturating_mul(100) / total
        };
        Ok(days.first().map_or(0, |day| u8::try_from(percent(day)).unwrap_or(100)))
    }
}
