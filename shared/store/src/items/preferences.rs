//! `U#<user>` / `NOTIFY`: a user's contacts, sealed, and wishes.

use parkade_domain::ids::UserId;
use parkade_domain::preferences::{Channel, Channels, Locale, Preferences, QuietHours};
use parkade_domain::zone::LotZone;

use crate::attributes::{Item, Reader, SCHEMA, bytes, keyed, number, text};
use crate::error::StoreError;
use crate::items::reservation::VERSION;
use crate::keys;

const SCHEMA_VERSION: i64 = 1;

/// Builds the item.
pub(crate) fn write(preferences: &Preferences) -> Item {
    let p = preferences;
    let mut item = keyed(keys::owner_partition(&p.user), keys::PREFERENCES_SORT);
    item.insert(SCHEMA.to_owned(), number(SCHEMA_VERSION));
    item.insert(VERSION.to_owned(), number(p.version));
    item.insert("lo".to_owned(), text(p.locale.as_str()));
    for (name, sealed) in [("em", &p.email), ("ph", &p.phone)] {
        if let Some(sealed) = sealed {
            item.insert(name.to_owned(), bytes(sealed.as_slice()));
        }
    }
    let Channels { bookings, reminders, receipts, offers } = p.channels;
    for (name, channel) in [("cb", bookings), ("cr", reminders), ("cc", receipts), ("co", offers)] {
        if let Some(channel) = channel {
            item.insert(name.to_owned(), text(channel.as_str()));
        }
    }
    if let Some(at_s) = p.offers_consented_at_s {
        item.insert("oc".to_owned(), number(at_s));
    }
    if let Some(quiet) = p.quiet {
        item.insert("qf".to_owned(), number(quiet.from()));
        item.insert("qu".to_owned(), number(quiet.until()));
        item.insert("qz".to_owned(), text(quiet.zone().name()));
    }
    item
}

/// Reads the item.
pub(crate) fn read(item: &Item) -> Result<Preferences, StoreError> {
    let reader = Reader(item);
    reader.schema(SCHEMA_VERSION)?;
    let channel = |name| match reader.text_maybe(name) {
        Some(_) => reader.parsed(name, Channel::parse).map(Some),
        None => Ok(None),
    };
    Ok(Preferences {
        user: reader.parsed(keys::PK, |pk| UserId::new(pk.strip_prefix("U#")?).ok())?,
        email: reader.bytes_maybe("em").map(<[u8]>::to_vec),
        phone: reader.bytes_maybe("ph").map(<[u8]>::to_vec),
        locale: reader.parsed("lo", Locale::parse)?,
        channels: Channels {
            bookings: channel("cb")?,
            reminders: channel("cr")?,
            receipts: channel("cc")?,
            offers: channel("co")?,
        },
        offers_consented_at_s: reader.number_maybe("oc")?,
        quiet: quiet(&reader)?,
        version: reader.number(VERSION)?,
    })
}

fn quiet(reader: &Reader<'_>) -> Result<Option<QuietHours>, StoreError> {
    let Some(from) = reader.number_maybe("qf")? else { return Ok(None) };
    let zone = reader.parsed("qz", |name| LotZone::parse(name).ok())?;
    let quiet = QuietHours::new(from, reader.number("qu")?, zone);
    quiet.map(Some).map_err(|error| reader.corrupt(error.to_string()))
}
