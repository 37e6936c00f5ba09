//! The Calendar table: one item per tile and page, one attribute per spot, every change a compare-and-set on that attribute.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update};
use futures::future::try_join_all;
use parkade_domain::calendar::{CalendarView, SLOTS_MAX, TileEdit, TileKey, TileValues};
use parkade_domain::geometry::{Geometry, Page, Tile};
use parkade_domain::ids::LotId;

use crate::attributes::{Item, Reader, bytes, keyed, number, text};
use crate::error::{StoreError, classify};
use crate::keys::{self, PK, SK, TTL};

/// The attribute of each spot of a tile.
const SLOT_ATTRIBUTES: [&str; SLOTS_MAX] = ["a", "b", "c", "d", "e", "f", "g", "h"];
/// Seconds after a page's end at which its items may be deleted (7 days): long after every sweep and dispute about it has read it.
const PAGE_KEPT_S: i64 = 7 * 86_400;
/// DynamoDB's limit on the keys of one BatchGetItem.
const BATCH_GET_KEYS_MAX: usize = 100;
/// How often keys that a BatchGetItem left out are asked for again.
const BATCH_GET_TRIES_MAX: usize = 5;

/// Reads the named items, strongly consistent.
pub(crate) async fn read_tiles(
    client: &Client,
    table: &str,
    lot: &LotId,
    geometry: Geometry,
    tiles: &BTreeSet<(u16, TileKey)>,
) -> Result<CalendarView, StoreError> {
    let keys: Vec<Item> = tiles
        .iter()
        .map(|(group, key)| keyed(keys::calendar_partition(lot, *group), keys::calendar_sort(*key)))
        .collect();
    let mut view = CalendarView::new(geometry);
    for item in batch_get(client, table, keys, true).await? {
        let (key, values) = read_item(&item)?;
        view.insert(key, values);
    }
    Ok(view)
}

/// Reads items by key. A single key is one GetItem.
pub(crate) async fn batch_get(
    client: &Client,
    table: &str,
    keys: Vec<Item>,
    consistent: bool,
) -> Result<Vec<Item>, StoreError> {
    if let [key] = keys.as_slice() {
        let request = client.get_item().table_name(table).set_key(Some(key.clone())).consistent_read(consistent);
        let answer = request.send().await.map_err(|error| classify("GetItem", &error))?;
        return Ok(answer.item.into_iter().collect());
    }
    let parts = keys.chunks(BATCH_GET_KEYS_MAX).map(|part| batch_get_part(client, table, part.to_vec(), consistent));
    Ok(try_join_all(parts).await?.into_iter().flatten().collect())
}

async fn batch_get_part(
    client: &Client,
    table: &str,
    mut keys: Vec<Item>,
    consistent: bool,
) -> Result<Vec<Item>, StoreError> {
    const OPERATION: &str = "BatchGetItem";
    let mut found = Vec::with_capacity(keys.len());
    for _ in 0..BATCH_GET_TRIES_MAX {
        if keys.is_empty() {
            return Ok(found);
        }
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(consistent).build();
        let wanted = wanted.map_err(|error| StoreError::Refused { operation: OPERATION, cause: error.to_string() })?;
        let answer = client.batch_get_item().request_items(table, wanted).send().await;
        let answer = answer.map_err(|error| classify(OPERATION, &error))?;
        found.extend(answer.responses.unwrap_or_default().remove(table).unwrap_or_default());
        keys = answer.unprocessed_keys.unwrap_or_default().remove(table).map(|left| left.keys).unwrap_or_default();
    }
    if keys.is_empty() {
        return Ok(found);
    }
    Err(StoreError::Unavailable { operation: OPERATION, cause: format!("{} keys stayed unprocessed", keys.len()) })
}

/// Reads all tiles of a lot during `pages`: one Query per group, in parallel, eventually consistent. What it shows may be stale; every
/// write that follows carries what was shown as its condition.
pub(crate) async fn read_pages(
    client: &Client,
    table: &str,
    lot: &LotId,
    geometry: Geometry,
    groups: impl Iterator<Item = u16>,
    pages: &[Page],
) -> Result<CalendarView, StoreError> {
    let mut view = CalendarView::new(geometry);
    let (Some(first), Some(last)) = (pages.first(), pages.last()) else { return Ok(view) };
    let from = keys::calendar_sort(TileKey { page: *first, tile: Tile(0) });
    let until = format!("{:05}#~", last.0);
    let reads = groups.map(|group| query_group(client, table, keys::calendar_partition(lot, group), &from, &until));
    for item in try_join_all(reads).await?.iter().flatten() {
        let (key, values) = read_item(item)?;
        view.insert(key, values);
    }
    Ok(view)
}

async fn query_group(
    client: &Client,
    table: &str,
    partition: String,
    from: &str,
    until: &str,
) -> Result<Vec<Item>, StoreError> {
    let pages = client
        .query()
        .table_name(table)
        .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :until")
        .expression_attribute_values(":pk", text(partition))
        .expression_attribute_values(":from", text(from))
        .expression_attribute_values(":until", text(until));
    let mut found = Vec::new();
    let mut start: Option<Item> = None;
    loop {
        let answer = pages.clone().set_exclusive_start_key(start).send().await;
        let answer = answer.map_err(|error| classify("Query", &error))?;
        found.extend(answer.items.unwrap_or_default());
        start = answer.last_evaluated_key;
        if start.is_none() {
            return Ok(found);
        }
    }
}

/// Reads one calendar item.
pub(crate) fn read_item(item: &Item) -> Result<(TileKey, TileValues), StoreError> {
    let reader = Reader(item);
    let key = reader.parsed(SK, |sk| {
        let (page, tile) = sk.split_once('#')?;
        Some(TileKey { page: Page(page.parse().ok()?), tile: Tile(tile.parse().ok()?) })
    })?;
    // An attribute of another type is damage, not a free spot.
    if SLOT_ATTRIBUTES.iter().any(|name| item.get(*name).is_some_and(|value| !value.is_b())) {
        return Err(reader.corrupt("a spot's claims are not binary"));
    }
    let values = SLOT_ATTRIBUTES.map(|name| reader.bytes_maybe(name).map(<[u8]>::to_vec));
    Ok((key, values))
}

/// The compare-and-set of one item: every changed attribute must still be what the plan was made from.
pub(crate) fn update(
    table: &str,
    lot: &LotId,
    geometry: Geometry,
    edit: &TileEdit,
) -> Result<TransactWriteItem, StoreError> {
    let group = Geometry::group(geometry.spot(edit.key.tile, 0));
    let mut update = Update::builder()
        .table_name(table)
        .key(PK, text(keys::calendar_partition(lot, group)))
        .key(SK, text(keys::calendar_sort(edit.key)))
        .expression_attribute_names("#x", TTL)
        .expression_attribute_values(
            ":x",
            number(geometry.page_start(edit.key.page).epoch_s() + geometry.page_minutes() * 60 + PAGE_KEPT_S),
        )
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let (mut sets, mut removes, mut conditions) = (vec!["#x = :x".to_owned()], Vec::new(), Vec::new());
    for slot in &edit.slots {
        let Some(name) = SLOT_ATTRIBUTES.get(slot.slot) else { continue };
        update = update.expression_attribute_names(format!("#{name}"), *name);
        match &slot.old {
            Some(old) => {
                update = update.expression_attribute_values(format!(":o{name}"), bytes(old.as_slice()));
                conditions.push(format!("#{name} = :o{name}"));
            }
            None => conditions.push(format!("attribute_not_exists(#{name})")),
        }
        match &slot.new {
            Some(new) => {
                update = update.expression_attribute_values(format!(":n{name}"), bytes(new.as_slice()));
                sets.push(format!("#{name} = :n{name}"));
            }
            None => removes.push(format!("#{name}")),
        }
    }
    let mut expression = format!("SET {}", sets.join(", "));
    if !removes.is_empty() {
        expression.push_str(&format!(" REMOVE {}", removes.join(", ")));
    }
    let update = update.update_expression(expression).condition_expression(conditions.join(" AND ")).build();
    let update = update.map_err(|error| StoreError::Refused { operation: "Update", cause: error.to_string() })?;
    Ok(TransactWriteItem::builder().update(update).build())
}
