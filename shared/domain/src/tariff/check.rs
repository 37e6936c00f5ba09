//! What is wrong with an uploaded tariff: each finding names the field and says how to mend it.

use std::collections::BTreeSet;

use super::check_windows;
use super::extras::{Benefit, Dynamic, Escalation, Fee, Prices, Step, TaxRounding, Taxes, Validation};
use super::language::{Audience, Band, Cap, Period, Product, Selection, Table};
use super::scalar::{Amount, Day, RuleId};
use super::{FieldError, OverstayRule, PRICED_DAYS_MAX, RATE_MINOR_MAX, Tariff, UNIT_MINUTES_MAX};
use crate::money::{BASIS_POINTS, Currency};
use crate::policy::GRACE_MINUTES_MAX;

/// Most tables, and most rules or bands of one list.
const LIST_MAX: usize = 60;
/// Most windows, events and products of all tables: bounds the work of a check and of a price.
const RULES_MAX: usize = 200;
/// Longest minute that a rule may name: what is priced at all.
const MINUTES_MAX: u32 = 400 * 1_440;
/// A local day may have an hour more.
const DAY_MINUTES_LONGEST: u32 = 1_440 + 60;
/// Most taxes together, and most of a fee: the whole again.
const MILLIONTHS_MAX: u32 = 1_000_000;
/// Most that a dynamic price or an escalation adds: ten times the price.
const CHANGE_BASIS_POINTS_MAX: i32 = 100_000;

pub(super) struct Findings {
    pub(super) errors: Vec<FieldError>,
    currency: Currency,
    ids: BTreeSet<RuleId>,
}

/// Everything wrong with a tariff.
pub(super) fn tariff(tariff: &Tariff) -> Vec<FieldError> {
    let mut found = Findings { errors: Vec::new(), currency: tariff.currency, ids: BTreeSet::new() };
    if tariff.tables.is_empty() {
        found.simple(tariff);
    } else {
        found.tables(tariff);
    }
    if let OverstayRule::PerStartedUnit { unit_minutes, rate_minor, admin_fee_minor } = tariff.overstay {
        found.range("/overstay/per_started_unit/unit_minutes", unit_minutes, 1, UNIT_MINUTES_MAX);
        found.minor("/overstay/per_started_unit/rate_minor", rate_minor);
        found.minor("/overstay/per_started_unit/admin_fee_minor", admin_fee_minor);
    }
    let graces = tariff.graces;
    found.range("/graces/consideration_minutes", graces.consideration_minutes, 0, GRACE_MINUTES_MAX);
    found.range("/graces/continuous_minutes", graces.continuous_minutes, 0, GRACE_MINUTES_MAX);
    found.range("/graces/exit_minutes", graces.exit_minutes, 0, GRACE_MINUTES_MAX);
    if let Some(turnaround) = graces.turnaround {
        found.range("/graces/turnaround/minutes", turnaround.minutes, 1, UNIT_MINUTES_MAX);
    }
    if let Some(lost) = tariff.lost_ticket {
        found.amount("/lost_ticket/fee", lost.fee);
    }
    for (kind, fee) in &tariff.violations {
        let pointer = format!("/violations/{}", kind.as_str());
        if fee.minor() == 0 {
            found.errors.push(FieldError::range(&pointer, 1, RATE_MINOR_MAX));
        }
        found.amount(&pointer, *fee);
    }
    found.fees(&tariff.fees);
    if let Some(taxes) = &tariff.taxes {
        found.taxes(taxes);
    }
    found.validations(&tariff.validations);
    if let Some(dynamic) = &tariff.dynamic {
        found.dynamic(dynamic);
    }
    found.escalation(&tariff.escalation);
    if let Some(terms) = &tariff.terms {
        found.errors.extend(
            terms
                .validate()
                .into_iter()
                .map(|error| FieldError { pointer: format!("/terms{}", error.pointer), ..error }),
        );
    }
    found.errors
}

impl Findings {
    pub(super) fn add(&mut self, pointer: impl Into<String>, code: &'static str, detail: &str) {
        self.errors.push(FieldError::new(pointer, code, detail));
    }

    pub(super) fn range(&mut self, pointer: &str, value: u32, min: u32, max: u32) {
        if !(min..=max).contains(&value) {
            self.errors.push(FieldError::range(pointer, i64::from(min), i64::from(max)));
        }
    }

    fn minor(&mut self, pointer: &str, minor: i64) {
        if !(0..=RATE_MINOR_MAX).contains(&minor) {
            self.errors.push(FieldError::range(pointer, 0, RATE_MINOR_MAX));
        }
    }

    pub(super) fn amount(&mut self, pointer: &str, amount: Amount) {
        if !amount.fits(self.currency) {
            let (code, digits) = (self.currency.code(), self.currency.exponent());
            let detail = format!("{code} has {digits} digits after the point: write all of them, or minor units");
            self.add(pointer, "currency_digits", &detail);
            return;
        }
        self.minor(pointer, amount.minor());
    }

    fn optional_amount(&mut self, pointer: &str, amount: Option<Amount>) {
        if let Some(amount) = amount {
            self.amount(pointer, amount);
        }
    }

    fn length(&mut self, pointer: &str, length: usize) {
        if length > LIST_MAX {
            self.add(pointer, "too_many", &format!("at most {LIST_MAX} entries: merge some"));
        }
    }

    fn id(&mut self, pointer: &str, id: &RuleId) {
        if !id.is_valid() {
            self.add(pointer, "malformed", "use 1 to 40 of a-z, 0-9, - and _");
        }
        if !self.ids.insert(id.clone()) {
            self.add(pointer, "duplicate", "another rule has this id: receipts could not tell them apart");
        }
    }

    fn simple(&mut self, tariff: &Tariff) {
        self.range("/unit_minutes", tariff.unit_minutes, 1, UNIT_MINUTES_MAX);
        if tariff.rates.is_empty() {
            self.add("/rates", "empty", "needs a rate for at least one vehicle class, or give tables instead");
        }
        for (class, rate) in &tariff.rates {
            self.minor(&format!("/rates/{class}"), *rate);
        }
        for (class, cap) in tariff.daily_cap.iter().flatten() {
            let pointer = format!("/daily_cap/{class}");
            self.minor(&pointer, *cap);
            if !tariff.rates.contains_key(class) {
                self.add(pointer, "unknown_class", "caps a class that has no rate");
            }
        }
    }

    fn tables(&mut self, tariff: &Tariff) {
        if tariff.unit_minutes != 0 || !tariff.rates.is_empty() || tariff.daily_cap.is_some() {
            self.add("/tables", "two_forms", "give unit_minutes and rates, or tables: not both");
        }
        self.length("/tables", tariff.tables.len());
        let rules = |table: &Table| table.windows.len() + table.events.len() + table.products.len();
        if tariff.tables.iter().map(rules).sum::<usize>() > RULES_MAX {
            let detail = format!("at most {RULES_MAX} windows, events and products together: merge some");
            self.add("/tables", "too_many", &detail);
            return;
        }
        for (position, table) in tariff.tables.iter().enumerate() {
            let pointer = format!("/tables/{position}");
            let mut earlier = tariff.tables.iter().take(position);
            if earlier.any(|before| covers(&before.audience, &table.audience)) {
                let detail = "an earlier table fits everybody whom this one is for: put this one first";
                self.add(format!("{pointer}/for"), "unreachable", detail);
            }
            self.table(&pointer, table);
        }
    }

    fn table(&mut self, at: &str, table: &Table) {
        self.id(&format!("{at}/id"), &table.id);
        self.optional_amount(&format!("{at}/minimum_charge"), table.minimum_charge);
        self.optional_amount(&format!("{at}/maximum_charge"), table.maximum_charge);
        if let (Some(least), Some(most)) = (table.minimum_charge, table.maximum_charge)
            && most.minor() < least.minor()
        {
            self.add(format!("{at}/maximum_charge"), "below_minimum", "must not be below minimum_charge");
        }
        let max_stay = table.max_stay_minutes.unwrap_or(MINUTES_MAX);
        self.range(&format!("{at}/max_stay_minutes"), max_stay, 1, MINUTES_MAX);
        self.caps(at, table);
        let reach = table.caps.first().map_or(MINUTES_MAX, |cap| period_reach(cap.period)).min(max_stay);
        if table.base.is_empty() && table.windows.is_empty() && table.products.is_empty() {
            self.add(format!("{at}/base"), "empty", "sells nothing: add a base charge, a window or a product");
        }
        if !table.base.is_empty() {
            self.bands(&format!("{at}/base"), &table.base, Some(reach));
        }
        if !table.later_base.is_empty() {
            self.bands(&format!("{at}/later_base"), &table.later_base, Some(reach));
        }
        for (name, bands) in [("later_base", &table.later_base)] {
            if !bands.is_empty() && (table.caps.is_empty() || table.base.is_empty()) {
                self.add(format!("{at}/{name}"), "unreachable", "needs a base, and caps whose period ends");
            }
        }
        self.rules(at, table);
        check_windows::check(self, at, table);
    }

    fn rules(&mut self, at: &str, table: &Table) {
        self.length(&format!("{at}/windows"), table.windows.len());
        for (position, rate) in table.windows.iter().enumerate() {
            let pointer = format!("{at}/windows/{position}");
            self.id(&format!("{pointer}/id"), &rate.id);
            self.optional_amount(&format!("{pointer}/cap"), rate.cap);
            if rate.free == rate.charge.is_empty() {
                if !rate.free {
                    self.bands(&format!("{pointer}/charge"), &rate.charge, Some(DAY_MINUTES_LONGEST));
                }
            } else {
                self.add(format!("{pointer}/charge"), "free_or_charge", "give a charge, or free: true and no charge");
            }
        }
        self.length(&format!("{at}/events"), table.events.len());
        for (position, rate) in table.events.iter().enumerate() {
            let pointer = format!("{at}/events/{position}");
            self.id(&format!("{pointer}/id"), &rate.id);
            self.range(&format!("{pointer}/buffer_before_minutes"), rate.buffer_before_minutes, 0, 10_080);
            self.range(&format!("{pointer}/buffer_after_minutes"), rate.buffer_after_minutes, 0, 10_080);
            self.bands(&format!("{pointer}/charge"), &rate.charge, Some(MINUTES_MAX));
        }
        self.length(&format!("{at}/products"), table.products.len());
        let mut always = false;
        for (position, product) in table.products.iter().enumerate() {
            let pointer = format!("{at}/products/{position}");
            if always && table.selection == Selection::AsPublished {
                let detail = "a product before it fits every stay: put this one first, or select best_price";
                self.add(&pointer, "unreachable", detail);
            }
            always |= self.product(&pointer, product);
        }
    }

    /// Checks a product, and says whether it fits every stay.
    fn product(&mut self, pointer: &str, product: &Product) -> bool {
        self.id(&format!("{pointer}/id"), &product.id);
        self.bands(&format!("{pointer}/charge"), &product.charge, None);
        let (least, most) = (product.min_minutes.unwrap_or(1), product.max_minutes.unwrap_or(MINUTES_MAX));
        self.range(&format!("{pointer}/min_minutes"), least, 1, MINUTES_MAX);
        self.range(&format!("{pointer}/max_minutes"), most, least.min(MINUTES_MAX), MINUTES_MAX);
        let windows = [("within", product.within), ("enter", product.enter), ("leave", product.leave)];
        for (name, window) in windows {
            if window.is_some_and(|window| window.days.is_empty()) {
                self.add(format!("{pointer}/{name}/days"), "empty", "list at least one day, or leave days out");
            }
        }
        if product.leave_by.is_some_and(|rule| rule.day == Some(Day::Holiday)) {
            self.add(format!("{pointer}/leave_by/day"), "unreachable", "name a day of the week: holidays do not recur");
        }
        let shaped = windows.iter().any(|(_, window)| window.is_some()) || product.leave_by.is_some();
        let open = product.charge.last().is_some_and(|band| band.up_to_minutes.is_none());
        open && !shaped && product.min_minutes.is_none() && product.max_minutes.is_none()
    }

    fn caps(&mut self, at: &str, table: &Table) {
        self.length(&format!("{at}/caps"), table.caps.len());
        if table.caps.is_empty() && table.tolerance_minutes > 0 {
            self.add(format!("{at}/tolerance_minutes"), "unreachable", "needs caps: without periods none can begin");
        }
        self.range(&format!("{at}/tolerance_minutes"), table.tolerance_minutes, 0, UNIT_MINUTES_MAX - 1);
        let (mut before, mut dearest) = (0, None);
        for (position, cap) in table.caps.iter().enumerate() {
            let pointer = format!("{at}/caps/{position}");
            if let Period::Days(days) = cap.period {
                let most = u32::try_from(PRICED_DAYS_MAX).unwrap_or(u32::MAX);
                self.range(&format!("{pointer}/period/days"), days, 2, most);
            }
            let length = period_length(cap.period);
            if length <= before {
                self.add(format!("{pointer}/period"), "not_ascending", "list the shortest period first, each once");
            }
            before = length;
            let Some(amount) = cap.amount else { continue };
            self.amount(&format!("{pointer}/amount"), amount);
            if dearest.is_some_and(|shorter| amount.minor() < shorter) {
                let detail = "is below the cap of a shorter period, which can then never be reached: raise it";
                self.add(format!("{pointer}/amount"), "cap_below_cap", detail);
            }
            dearest = dearest.max(Some(amount.minor()));
        }
        if let Some(Cap { amount: Some(cap), .. }) = table.caps.first() {
            let windows = table.windows.iter().flat_map(|rate| &rate.charge);
            let dear = table.base.iter().chain(windows).filter_map(|band| band.total.or(band.add));
            if let Some(dear) = dear.map(Amount::minor).filter(|minor| *minor > cap.minor()).max() {
                let detail = format!("is below a tier or unit of {dear} minor units: raise the cap or drop the tier");
                self.add(format!("{at}/caps/0/amount"), "cap_below_tier", &detail);
            }
        }
    }

    /// Checks bands; `reach` is the longest count they have to price.
    fn bands(&mut self, pointer: &str, bands: &[Band], reach: Option<u32>) {
        self.length(pointer, bands.len());
        if bands.is_empty() {
            self.add(pointer, "empty", "needs at least one band");
        }
        let mut before = Some(0);
        for (position, band) in bands.iter().enumerate() {
            let at = format!("{pointer}/{position}");
            self.optional_amount(&format!("{at}/total"), band.total);
            self.optional_amount(&format!("{at}/add"), band.add);
            if band.total.is_some() == band.add.is_some() || band.add.is_some() != band.every_minutes.is_some() {
                self.add(&at, "one_of", "give total, or every_minutes and add");
            }
            self.range(&format!("{at}/every_minutes"), band.every_minutes.unwrap_or(1), 1, MINUTES_MAX);
            match (before, band.up_to_minutes) {
                (None, _) => self.add(&at, "unreachable", "the band before it is open: give that one up_to_minutes"),
                (Some(_), None) => before = None,
                (Some(least), Some(up_to)) => {
                    if up_to <= least {
                        let detail = "each band must end later than the one before: sort the tiers";
                        self.add(format!("{at}/up_to_minutes"), "not_ascending", detail);
                    }
                    self.range(&format!("{at}/up_to_minutes"), up_to, 1, MINUTES_MAX);
                    before = Some(up_to.max(least));
                }
            }
        }
        if let (Some(end), Some(reach)) = (before.filter(|_| !bands.is_empty()), reach)
            && end < reach
        {
            let detail = format!(
                "nothing is priced after {end} minutes, but up to {reach} are possible: leave out the last band's \
                 up_to_minutes, or set a shorter period or max_stay_minutes"
            );
            self.add(pointer, "gap", &detail);
        }
    }

    fn fees(&mut self, fees: &[Fee]) {
        self.length("/fees", fees.len());
        for (position, fee) in fees.iter().enumerate() {
            let at = format!("/fees/{position}");
            self.id(&format!("{at}/id"), &fee.id);
            self.optional_amount(&format!("{at}/amount"), fee.amount);
            self.range(&format!("{at}/rate_millionths"), fee.rate_millionths.unwrap_or(0), 0, MILLIONTHS_MAX);
            if fee.amount.is_some() == fee.rate_millionths.is_some() {
                self.add(&at, "one_of", "give amount or rate_millionths");
            }
        }
    }

    fn taxes(&mut self, taxes: &Taxes) {
        self.length("/taxes/components", taxes.components.len());
        if taxes.components.is_empty() {
            self.add("/taxes/components", "empty", "list at least one tax, or leave taxes out");
        }
        let mut all = 0_u32;
        for (position, tax) in taxes.components.iter().enumerate() {
            let at = format!("/taxes/components/{position}");
            self.id(&format!("{at}/id"), &tax.id);
            all = all.saturating_add(tax.rate_millionths);
            if tax.compound && (taxes.prices, taxes.rounding) != (Prices::Exclusive, TaxRounding::PerComponent) {
                let detail = "a tax on taxes needs exclusive prices and rounding per_component";
                self.add(format!("{at}/compound"), "unsupported", detail);
            }
        }
        if all > MILLIONTHS_MAX {
            self.add("/taxes/components", "out_of_range", "all rates together must not exceed 1000000 (100 %)");
        }
    }

    fn validations(&mut self, validations: &[Validation]) {
        self.length("/validations", validations.len());
        for (position, validation) in validations.iter().enumerate() {
            let at = format!("/validations/{position}");
            self.id(&format!("{at}/id"), &validation.id);
            match validation.benefit {
                Benefit::Percent { basis_points } => {
                    self.range(&format!("{at}/benefit/percent/basis_points"), basis_points, 1, BASIS_POINTS);
                }
                Benefit::Money { amount } => self.amount(&format!("{at}/benefit/money/amount"), amount),
                Benefit::Override { amount } => self.amount(&format!("{at}/benefit/override/amount"), amount),
                Benefit::Time { minutes, .. } => {
                    self.range(&format!("{at}/benefit/time/minutes"), minutes, 1, MINUTES_MAX);
                }
                Benefit::Free {} => {}
            }
            if let Some(limit) = validation.limit {
                self.range(&format!("{at}/limit/uses"), limit.uses, 1, 10_000);
                self.range(&format!("{at}/limit/period_days"), limit.period_days, 1, 366);
            }
        }
    }

    fn dynamic(&mut self, dynamic: &Dynamic) {
        let whole = i32::try_from(BASIS_POINTS).unwrap_or(i32::MAX);
        if !(-whole..=0).contains(&dynamic.floor_basis_points) {
            self.add("/dynamic/floor_basis_points", "out_of_range", "must be from -10000 to 0");
        }
        if !(0..=CHANGE_BASIS_POINTS_MAX).contains(&dynamic.ceiling_basis_points) {
            self.add("/dynamic/ceiling_basis_points", "out_of_range", "must be from 0 to 100000");
        }
        self.steps("/dynamic/occupancy", &dynamic.occupancy, dynamic.largest_step_basis_points);
        self.steps("/dynamic/lead_time", &dynamic.lead_time, dynamic.largest_step_basis_points);
    }

    fn steps(&mut self, pointer: &str, steps: &[Step], largest: i32) {
        self.length(pointer, steps.len());
        let mut before = Step { from: 0, basis_points: 0 };
        for (position, step) in steps.iter().enumerate() {
            if position > 0 && step.from <= before.from {
                self.add(format!("{pointer}/{position}/from"), "not_ascending", "each step must begin later");
            }
            if i64::from(step.basis_points).abs_diff(i64::from(before.basis_points)) > u64::from(largest.unsigned_abs())
            {
                let detail = "jumps by more than largest_step_basis_points: add a step between";
                self.add(format!("{pointer}/{position}/basis_points"), "step_too_large", detail);
            }
            before = *step;
        }
    }

    fn escalation(&mut self, steps: &[Escalation]) {
        self.length("/escalation", steps.len());
        let mut before = None;
        for (position, step) in steps.iter().enumerate() {
            let at = format!("/escalation/{position}");
            if before.is_some_and(|before| step.after_days <= before) {
                self.add(format!("{at}/after_days"), "not_ascending", "each step must begin later");
            }
            before = Some(step.after_days);
            self.range(
                &format!("{at}/add_basis_points"),
                step.add_basis_points,
                0,
                CHANGE_BASIS_POINTS_MAX.unsigned_abs(),
            );
            self.optional_amount(&format!("{at}/add"), step.add);
        }
    }
}

/// Whether everybody of `later` is in `before`.
fn covers(before: &Audience, later: &Audience) -> bool {
    let classes = before.classes.is_empty() || (!later.classes.is_empty() && later.classes.is_subset(&before.classes));
    let permits = before.permits.is_empty() || (!later.permits.is_empty() && later.permits.is_subset(&before.permits));
    classes && permits && before.features.is_subset(&later.features)
}

fn period_length(period: Period) -> u32 {
    match period {
        Period::Rolling24h | Period::CalendarDay | Period::ResetAt(_) => 1_440,
        Period::Days(days) => days.saturating_mul(1_440),
        Period::Stay => u32::MAX,
    }
}

/// The longest count of minutes that one period has.
fn period_reach(period: Period) -> u32 {
    match period {
        Period::CalendarDay | Period::ResetAt(_) => DAY_MINUTES_LONGEST,
        other => period_length(other).min(MINUTES_MAX),
    }
}
