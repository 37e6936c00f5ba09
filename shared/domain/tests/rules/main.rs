//! The domain's rules as tables, worked cases and properties, in one binary because each costs a link.

#[cfg(test)]
mod adjustments;
#[cfg(test)]
mod decisions;
#[cfg(test)]
mod document;
#[cfg(test)]
mod given;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod means;
#[cfg(test)]
mod money;
#[cfg(test)]
mod notice;
#[cfg(test)]
mod plate;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod publication;
#[cfg(test)]
mod recurrence;
#[cfg(test)]
mod settlement;
#[cfg(test)]
mod tariff;
#[cfg(test)]
mod tariff_language;
#[cfg(test)]
mod tariff_properties;
#[cfg(test)]
mod validations;
#[cfg(test)]
mod vehicle;
#[cfg(test)]
mod zone;
#[cfg(test)]
mod zone_transitions;
