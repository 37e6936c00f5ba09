//! The claims on one spot during one page: the codec and the algebra that make double booking impossible.
//!
//! The stored value is a sorted list of 16-byte entries `{start u16, end u16, lease u32, id u64}`, big endian. It is the operand of
//! a compare-and-set, so whoever writes has planned from exactly the value that is replaced.

use thiserror::Error;

use crate::ids::ReservationId;

/// Bytes of one entry.
const ENTRY_BYTES: usize = 16;
/// Most claims on one spot in one page: a long page of 2 × 32 days filled by the hour stays far below the 400 KB item limit.
pub const CLAIMS_PER_PAGE_MAX: usize = 768;

/// One claim inside a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// First minute of the page.
    pub start: u16,
    /// First minute after the claim.
    pub end: u16,
    /// Epoch second until which the claim is a hold; 0 = firm.
    pub lease_s: u32,
    /// Who claims.
    pub id: ReservationId,
}

impl Claim {
    /// Whether the claim keeps others out at `now_s`: firm, or a hold that has not expired (I4).
    #[must_use]
    pub const fn is_live(&self, now_s: i64) -> bool {
        self.lease_s == 0 || self.lease_s as i64 > now_s
    }

    /// Whether the claim shares a minute with `[start, end)` (T10).
    #[must_use]
    pub const fn overlaps(&self, start: u16, end: u16) -> bool {
        self.start < end && start < self.end
    }
}

/// A stored value that is not a list of claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the stored claims of a spot are not a sorted list of 16-byte entries")]
pub struct CorruptClaims;

/// Somebody else's live claim is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{by} claims the spot during that time")]
pub struct Taken {
    /// The claim's owner.
    pub by: ReservationId,
}

/// All claims on one spot during one page, sorted by start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpotPage(Vec<Claim>);

impl SpotPage {
    /// Reads a stored value; no value means no claims.
    ///
    /// # Errors
    /// [`CorruptClaims`] if the bytes are not what [`Self::encode`] writes.
    pub fn decode(stored: Option<&[u8]>) -> Result<Self, CorruptClaims> {
        let bytes = stored.unwrap_or_default();
        let mut claims = Vec::with_capacity(bytes.len() / ENTRY_BYTES + 1);
        let mut before = 0;
        for claim in entries(bytes)? {
            let claim = claim?;
            if claim.start < before {
                return Err(CorruptClaims);
            }
            before = claim.start;
            claims.push(claim);
        }
        Ok(Self(claims))
    }

    /// The value to store; `None` when nothing is claimed, so that a free spot takes no space.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        let mut bytes = Vec::with_capacity(self.0.len() * ENTRY_BYTES);
        for claim in &self.0 {
            bytes.extend_from_slice(&claim.start.to_be_bytes());
            bytes.extend_from_slice(&claim.end.to_be_bytes());
            bytes.extend_from_slice(&claim.lease_s.to_be_bytes());
            bytes.extend_from_slice(&claim.id.bits().to_be_bytes());
        }
        Some(bytes)
    }

    /// The claims, sorted by start.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.0
    }

    /// The live claim that overlaps `[start, end)`, whoever's it is: replacing a claim of one's own begins with its release.
    #[must_use]
    pub fn taken(&self, start: u16, end: u16, now_s: i64) -> Option<Taken> {
        let mut claims = self.0.iter();
        claims.find(|claim| claim.is_live(now_s) && claim.overlaps(start, end)).map(|claim| Taken { by: claim.id })
    }

    /// Claims `[start, end)`, dropping expired holds in the way (I4).
    ///
    /// # Errors
    /// [`Taken`] if a live claim overlaps or the page has [`CLAIMS_PER_PAGE_MAX`] others; nothing is changed then.
    pub fn claim(&mut self, claim: Claim, now_s: i64) -> Result<(), Taken> {
        if let Some(taken) = self.taken(claim.start, claim.end, now_s) {
            return Err(taken);
        }
        // One more could be written and never be read again.
        let mut others = self.0.iter().filter(|other| !other.overlaps(claim.start, claim.end));
        if let Some(full) = others.nth(CLAIMS_PER_PAGE_MAX - 1) {
            return Err(Taken { by: full.id });
        }
        self.0.retain(|other| !other.overlaps(claim.start, claim.end));
        let at = self.0.partition_point(|other| other.start < claim.start);
        self.0.insert(at, claim);
        Ok(())
    }

    /// Removes the claims of `me`; tells whether there were any.
    pub fn release(&mut self, me: ReservationId) -> bool {
        let before = self.0.len();
        self.0.retain(|claim| claim.id != me);
        self.0.len() != before
    }

    /// Removes the claim of `me` that starts at `start`; tells whether it was there. A series has several claims in one page.
    pub fn release_at(&mut self, me: ReservationId, start: u16) -> bool {
        let before = self.0.len();
        self.0.retain(|claim| !(claim.id == me && claim.start == start));
        self.0.len() != before
    }
}

/// Reads stored claims one by one without allocating: the search path looks at thousands of spots.
///
/// # Errors
/// [`CorruptClaims`] if the length is not a multiple of an entry or beyond [`CLAIMS_PER_PAGE_MAX`].
pub fn entries(bytes: &[u8]) -> Result<impl Iterator<Item = Result<Claim, CorruptClaims>> + '_, CorruptClaims> {
    if !bytes.len().is_multiple_of(ENTRY_BYTES) || bytes.len() / ENTRY_BYTES > CLAIMS_PER_PAGE_MAX {
        return Err(CorruptClaims);
    }
    let (chunks, _) = bytes.as_chunks::<ENTRY_BYTES>();
    Ok(chunks.iter().map(|entry| {
        let [s0, s1, e0, e1, l0, l1, l2, l3, i0, i1, i2, i3, i4, i5, i6, i7] = *entry;
        let id = u64::from_be_bytes([i0, i1, i2, i3, i4, i5, i6, i7]);
        let (start, end) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([e0, e1]));
        if start >= end {
            return Err(CorruptClaims);
        }
        let id = ReservationId::from_bits(id).ok_or(CorruptClaims)?;
        Ok(Claim { start, end, lease_s: u32::from_be_bytes([l0, l1, l2, l3]), id })
    }))
}

/// The free minutes around `[start, end)` in a page of `page_minutes`, or who is in the way; in a full page anyone is.
///
/// # Errors
/// [`CorruptClaims`] as [`entries`].
pub fn gap(
    bytes: &[u8],
    start: u16,
    end: u16,
    page_minutes: u16,
    now_s: i64,
) -> Result<Result<u16, Taken>, CorruptClaims> {
    let (mut from, mut until) = (0, page_minutes);
    let mut others = 0;
    for claim in entries(bytes)? {
        let claim = claim?;
        others += usize::from(!claim.overlaps(start, end));
        if others == CLAIMS_PER_PAGE_MAX {
            return Ok(Err(Taken { by: claim.id }));
        }
        if !claim.is_live(now_s) {
            continue;
        }
        if claim.overlaps(start, end) {
            return Ok(Err(Taken { by: claim.id }));
        }
        if claim.end <= start {
            from = from.max(claim.end);
        } else {
            until = until.min(claim.start);
        }
    }
    Ok(Ok(until - from))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::Claimant;

    const NOW_S: i64 = 1_800_000_000;

    fn id(n: u64) -> ReservationId {
        ReservationId::new(Claimant::Reservation, n)
    }

    fn claim(start: u16, end: u16, lease_s: u32, owner: u64) -> Claim {
        Claim { start, end, lease_s, id: id(owner) }
    }

    #[test]
    fn touching_claims_both_succeed() {
        let mut page = SpotPage::default();
        page.claim(claim(540, 600, 0, 1), NOW_S).unwrap();
        page.claim(claim(600, 660, 0, 2), NOW_S).unwrap();
        assert_eq!(page.claims().len(), 2);
    }

    #[test]
    fn a_hold_that_expires_this_second_no_longer_keeps_others_out() {
        let mut page = SpotPage::default();
        let lease = u32::try_from(NOW_S).unwrap();
        page.claim(claim(540, 600, lease, 1), NOW_S - 10).unwrap();
        assert_eq!(page.taken(550, 560, NOW_S - 1), Some(Taken { by: id(1) }));
        page.claim(claim(550, 560, 0, 2), NOW_S).unwrap();
        assert_eq!(page.claims(), &[claim(550, 560, 0, 2)]);
    }

    #[test]
    fn a_refused_claim_changes_nothing() {
        let mut page = SpotPage::default();
        page.claim(claim(0, 10, 1, 1), NOW_S).unwrap();
        page.claim(claim(20, 30, 0, 2), NOW_S).unwrap();
        let before = page.clone();
        assert_eq!(page.claim(claim(5, 21, 0, 3), NOW_S), Err(Taken { by: id(2) }));
        assert_eq!(page, before);
    }

    #[test]
    fn a_full_page_takes_no_more_claims_and_stays_readable() {
        let mut page = SpotPage::default();
        let most = u16::try_from(CLAIMS_PER_PAGE_MAX).unwrap();
        for n in 0..most {
            page.claim(claim(n * 15, n * 15 + 15, u32::MAX, u64::from(n)), NOW_S).unwrap();
        }
        let (start, end) = (most * 15, most * 15 + 15);
        assert!(page.claim(claim(start, end, 0, 9_999), NOW_S).is_err());
        let stored = page.encode().unwrap();
        assert!(gap(&stored, start, end, 46_080, NOW_S).unwrap().is_err(), "what cannot be claimed is not free");
        let mut read = SpotPage::decode(Some(&stored)).unwrap();
        assert!(read.release(id(0)));
        assert!(gap(&read.encode().unwrap(), start, end, 46_080, NOW_S).unwrap().is_ok());
        read.claim(claim(start, end, 0, 9_999), NOW_S).unwrap();
    }

    #[test]
    fn bytes_that_are_not_claims_are_corrupt() {
        assert_eq!(SpotPage::decode(Some(&[0; 15])), Err(CorruptClaims));
        let reversed = SpotPage(vec![claim(9, 9, 0, 1)]).encode().unwrap();
        assert_eq!(SpotPage::decode(Some(&reversed)), Err(CorruptClaims));
        let unsorted = SpotPage(vec![claim(9, 10, 0, 1), claim(1, 2, 0, 1)]).encode().unwrap();
        assert_eq!(SpotPage::decode(Some(&unsorted)), Err(CorruptClaims));
        let unknown_kind = [0, 1, 0, 2, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(SpotPage::decode(Some(&unknown_kind)), Err(CorruptClaims));
    }

    /// One step of the model: claim or release, at a time.
    fn steps() -> impl Strategy<Value = Vec<(u16, u16, u32, u64, bool, i64)>> {
        let step = (0_u16..1_400, 1_u16..200, 0_u32..3, 1_u64..6, any::<bool>(), 0_i64..100)
            .prop_map(|(start, len, lease, owner, release, at)| (start, start + len, lease, owner, release, at));
        prop::collection::vec(step, 1..60)
    }

    proptest! {
        #[test]
        fn live_claims_never_overlap_and_the_codec_is_exact(steps in steps()) {
            let mut page = SpotPage::default();
            let mut now_s = NOW_S;
            for (start, end, lease, owner, release, wait) in steps {
                now_s += wait;
                let lease_s = if lease == 0 { 0 } else { u32::try_from(now_s).unwrap() + lease * 60 };
                if release {
                    page.release(id(owner));
                } else if page.taken(start, end, now_s).is_none() {
                    prop_assert!(page.claim(claim(start, end, lease_s, owner), now_s).is_ok());
                } else {
                    prop_assert!(page.clone().claim(claim(start, end, lease_s, owner), now_s).is_err());
                }
                for (i, a) in page.claims().iter().enumerate() {
                    for b in page.claims().iter().skip(i + 1) {
                        prop_assert!(!(a.is_live(now_s) && b.is_live(now_s) && a.overlaps(b.start, b.end)));
                    }
                }
                prop_assert_eq!(SpotPage::decode(page.encode().as_deref()).unwrap(), page.clone());
                let stored = page.encode().unwrap_or_default();
                let found = gap(&stored, start, end, 1_600, now_s).unwrap();
                prop_assert_eq!(found.is_err(), page.taken(start, end, now_s).is_some());
                if let Ok(minutes) = found {
                    prop_assert!(minutes >= end - start);
                }
            }
        }
    }
}
