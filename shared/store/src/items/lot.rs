//! `L#<lot>`: `META` the lot, `DIR` its spots in one packed item, `TARIFF#<version>` and `CALENDAR#<version>` its
//! immutable tariffs and calendars of holidays and events.

use parkade_domain::geometry::{Geometry, Shape};
use parkade_domain::ids::{CalendarVersion, LotId, SpotIndex, TariffVersion};
use parkade_domain::lot::{Directory, Lot, LotKind, Publication};
use parkade_domain::money::Currency;
use parkade_domain::tariff::{LotCalendar, Tariff};
use parkade_domain::time::Minute;
use parkade_domain::vehicle::{Spot, SpotKind};
use parkade_domain::zone::LotZone;

use crate::attributes::{Item, Reader, SCHEMA, bytes, from_json, json, keyed, number, text};
use crate::error::StoreError;
use crate::items::reservation::VERSION;
use crate::keys;
use crate::tariffs::TariffSummary;

const SCHEMA_VERSION: i64 = 1;
/// Separates numbers and zones in the packed directory; neither may contain it.
const SEPARATOR: char = '\n';

pub(crate) fn write_meta(lot: &Lot) -> Result<Item, StoreError> {
    let mut item = keyed(keys::lot_partition(&lot.id), keys::LOT_META);
    item.extend([
        (SCHEMA.to_owned(), number(SCHEMA_VERSION)),
        (VERSION.to_owned(), number(lot.version)),
        ("name".to_owned(), text(lot.name.as_str())),
        ("addr".to_owned(), text(lot.address.as_str())),
        ("lat".to_owned(), number(lot.latitude_microdegrees)),
        ("lon".to_owned(), number(lot.longitude_microdegrees)),
        ("tz".to_owned(), text(lot.zone.name())),
        ("cu".to_owned(), text(lot.currency.code())),
        ("kind".to_owned(), json(&lot.kind)?),
        ("shape".to_owned(), json(&lot.geometry.shape)?),
        ("off".to_owned(), number(lot.geometry.offset_minutes)),
        ("pol".to_owned(), json(&lot.policy)?),
        ("tv".to_owned(), number(lot.tariff.0)),
        ("nt".to_owned(), number(lot.newest_tariff.0)),
        ("cv".to_owned(), number(lot.calendar.0)),
        ("up".to_owned(), json(&lot.upcoming.iter().map(|next| (next.from.0, next.version.0)).collect::<Vec<_>>())?),
    ]);
    Ok(item)
}

pub(crate) fn read_meta(item: &Item) -> Result<Lot, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    // A lot of before there were publications has none to come.
    let upcoming: Vec<(i64, u32)> = reader.text_maybe("up").map_or(Ok(Vec::new()), |_| from_json(&reader, "up"))?;
    let tariff = TariffVersion(reader.number("tv")?);
    Ok(Lot {
        id: reader.parsed(keys::PK, |pk| LotId::new(pk.strip_prefix("L#")?).ok())?,
        name: reader.text("name")?.to_owned(),
        address: reader.text("addr")?.to_owned(),
        latitude_microdegrees: reader.number("lat")?,
        longitude_microdegrees: reader.number("lon")?,
        zone: reader.parsed("tz", |name| LotZone::parse(name).ok())?,
        currency: reader.parsed("cu", |code| Currency::from_code(code).ok())?,
        kind: from_json::<LotKind>(&reader, "kind")?,
        geometry: Geometry { shape: from_json::<Shape>(&reader, "shape")?, offset_minutes: reader.number("off")? },
        policy: from_json(&reader, "pol")?,
        tariff,
        upcoming: upcoming
            .into_iter()
            .map(|(from, version)| Publication { from: Minute(from), version: TariffVersion(version) })
            .collect(),
        newest_tariff: reader.number_maybe("nt")?.map_or(tariff, TariffVersion),
        calendar: CalendarVersion(reader.number_maybe("cv")?.unwrap_or(0)),
        version: reader.number(VERSION)?,
    })
}

pub(crate) fn write_tariff(
    lot: &LotId,
    tariff: &Tariff,
    created_at_s: i64,
    published_from: Option<Minute>,
) -> Result<Item, StoreError> {
    let mut item = keyed(keys::lot_partition(lot), keys::tariff_sort(tariff.version));
    item.insert(SCHEMA.to_owned(), number(SCHEMA_VERSION));
    item.insert("doc".to_owned(), json(tariff)?);
    item.insert("ca".to_owned(), number(created_at_s));
    if let Some(from) = published_from {
        item.insert("pf".to_owned(), number(from.0));
    }
    Ok(item)
}

pub(crate) fn write_calendar(
    lot: &LotId,
    version: CalendarVersion,
    calendar: &LotCalendar,
) -> Result<Item, StoreError> {
    let mut item = keyed(keys::lot_partition(lot), keys::lot_calendar_sort(version));
    item.insert(SCHEMA.to_owned(), number(SCHEMA_VERSION));
    item.insert("doc".to_owned(), json(calendar)?);
    Ok(item)
}

pub(crate) fn read_calendar(item: &Item) -> Result<LotCalendar, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    from_json(&reader, "doc")
}

pub(crate) fn read_summary(item: &Item) -> Result<TariffSummary, StoreError> {
    let reader = Reader(item);
    let (created_at_s, published_from) = (reader.number_maybe("ca")?, reader.number_maybe("pf")?);
    Ok(TariffSummary {
        version: reader.parsed(keys::SK, |sk| sk.strip_prefix("TARIFF#")?.parse().ok().map(TariffVersion))?,
        created_at_s: created_at_s.unwrap_or(0),
        // Before there were drafts, every version came into force at once.
        published_from: published_from.or(created_at_s.is_none().then_some(0)).map(Minute),
    })
}

pub(crate) fn read_tariff(item: &Item) -> Result<Tariff, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let version = reader.parsed(keys::SK, |sk| sk.strip_prefix("TARIFF#")?.parse().ok())?;
    Ok(from_json::<Tariff>(&reader, "doc")?.at_version(TariffVersion(version)))
}

pub(crate) fn write_directory(lot: &LotId, directory: &Directory) -> Item {
    let spots = &directory.spots;
    let mut zones: Vec<&str> = spots.iter().map(|spot| spot.zone.as_str()).collect();
    zones.sort_unstable();
    zones.dedup();
    let zone_of = |spot: &Spot| zones.binary_search(&spot.zone.as_str()).unwrap_or(0);
    let mut item = keyed(keys::lot_partition(lot), keys::LOT_DIRECTORY);
    let joined = |names: Vec<&str>| text(names.join(&SEPARATOR.to_string()));
    item.extend([
        (SCHEMA.to_owned(), number(SCHEMA_VERSION)),
        (VERSION.to_owned(), number(directory.version)),
        ("k".to_owned(), bytes(spots.iter().map(|spot| spot.kind().to_byte()).collect::<Vec<u8>>())),
        ("n".to_owned(), joined(spots.iter().map(|spot| spot.number.as_str()).collect())),
        ("z".to_owned(), joined(zones.clone())),
        (
            "zi".to_owned(),
            bytes(
                spots
                    .iter()
                    .flat_map(|spot| u16::try_from(zone_of(spot)).unwrap_or(0).to_be_bytes())
                    .collect::<Vec<u8>>(),
            ),
        ),
    ]);
    item
}

pub(crate) fn read_directory(item: &Item) -> Result<Directory, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let kinds = reader.bytes("k")?;
    let numbers: Vec<&str> = reader.text("n")?.split(SEPARATOR).collect();
    let zones: Vec<&str> = reader.text("z")?.split(SEPARATOR).collect();
    let (zone_indexes, _) = reader.bytes("zi")?.as_chunks::<2>();
    if kinds.len() != zone_indexes.len() || (numbers.len() != kinds.len() && !kinds.is_empty()) {
        return Err(reader.corrupt("the lists of the directory differ in length"));
    }
    let spot = |(index, ((kind, number), zone)): (u16, ((&u8, &&str), &[u8; 2]))| {
        let SpotKind { size, features } = SpotKind::from_byte(*kind)?;
        let zone = zones.get(usize::from(u16::from_be_bytes(*zone)))?;
        Some(Spot { index: SpotIndex(index), number: (*number).to_owned(), zone: (*zone).to_owned(), size, features })
    };
    let spots = (0..).zip(kinds.iter().zip(&numbers).zip(zone_indexes)).map(spot).collect::<Option<Vec<Spot>>>();
    let spots = spots.ok_or_else(|| reader.corrupt("a spot has an unknown kind or zone"))?;
    Ok(Directory { spots, version: reader.number(VERSION)? })
}
