//! The real template: understood here, and agreeing with the functions' folders and the engine's tables.
#![cfg(test)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use parkade_events::{EventName, SOURCE};
use parkade_identity::{DevTokens, Identity, Keys};
use parkade_local::app::{App, Platform};
use parkade_local::registry::{self, Foundation};
use parkade_local::template::{self, Source, Wiring};
use parkade_testkit::{Faults, IndexSpec, Key, TABLES, TableSpec};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text() -> String {
    std::fs::read_to_string(root().join("template.yaml")).unwrap()
}

fn wiring() -> Wiring {
    template::parse(&text()).unwrap()
}

fn folders() -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join("functions")).unwrap().map(Result::unwrap);
    entries.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn every_folder_in_functions_is_in_the_template_and_the_other_way_round() {
    let named: BTreeSet<String> = wiring().functions.into_keys().collect();
    assert_eq!(named, folders());
}

#[test]
fn every_function_is_invoked_by_something_and_every_route_by_one_function() {
    let wiring = wiring();
    let mut routes = BTreeSet::new();
    for (name, function) in &wiring.functions {
        assert!(!function.sources.is_empty(), "nothing invokes {name}");
        for source in &function.sources {
            if let Source::Http { method, path } = source {
                assert!(routes.insert((method.clone(), path.clone())), "{method} {path} twice");
                assert!(path.starts_with("/v1/"), "{path}");
            }
        }
    }
    assert!(routes.len() >= 18, "{routes:?}");
}

#[test]
fn the_notifications_queue_gets_exactly_the_events_that_drivers_are_told_of() {
    let wiring = wiring();
    for name in EventName::ALL {
        let rules = wiring.rules.iter().filter(|rule| rule.pattern.matches(SOURCE, name.as_str()));
        let led = rules.filter(|rule| rule.queues.iter().any(|queue| queue == "Notifications")).count();
        assert_eq!(led, usize::from(notify::TOLD.contains(&name)), "{}", name.as_str());
    }
}

#[test]
fn the_engine_has_the_templates_tables() {
    let template = template::as_json(&text()).unwrap();
    let resources = template["Resources"].as_object().unwrap();
    let tables: Vec<(&String, &Value)> =
        resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::DynamoDB::Table").collect();
    assert_eq!(tables.len(), TABLES.len());
    for table in TABLES {
        let (_, resource) = tables.iter().find(|(name, _)| *name == table.name).unwrap();
        assert_same(&table, &resource["Properties"]);
    }
}

fn assert_same(table: &TableSpec, properties: &Value) {
    let name = table.name;
    let kind = |attribute: &str| {
        let all = properties["AttributeDefinitions"].as_array().unwrap();
        let found = all.iter().find(|definition| definition["AttributeName"] == attribute);
        found.unwrap_or_else(|| panic!("{name}: {attribute} is not defined"))["AttributeType"].clone()
    };
    let assert_key = |schema: &Value, position: usize, role: &str, key: Key| {
        assert_eq!(schema[position]["AttributeName"], key.0, "{name}");
        assert_eq!(schema[position]["KeyType"], role, "{name}");
        assert_eq!(kind(key.0), key.1, "{name}");
    };
    let assert_keys = |schema: &Value, hash: Key, range: Key| {
        assert_key(schema, 0, "HASH", hash);
        assert_key(schema, 1, "RANGE", range);
    };
    assert_keys(&properties["KeySchema"], ("pk", "S"), ("sk", "S"));
    let none = Vec::new();
    let indexes = properties["GlobalSecondaryIndexes"].as_array().unwrap_or(&none);
    assert_eq!(indexes.len(), table.indexes.len(), "{name}");
    for (IndexSpec { name: index, hash, range }, found) in table.indexes.iter().zip(indexes) {
        assert_eq!(found["IndexName"], *index);
        assert_eq!(found["Projection"]["ProjectionType"], "KEYS_ONLY", "{index}");
        assert_keys(&found["KeySchema"], *hash, *range);
    }
    assert_eq!(properties["StreamSpecification"]["StreamViewType"].as_str(), table.stream, "{name}");
    assert_eq!(properties["TimeToLiveSpecification"]["AttributeName"].as_str(), table.ttl, "{name}");
}

#[test]
fn every_function_of_the_template_is_in_the_registry_with_the_kind_that_its_sources_need() {
    let wiring = wiring();
    let engine = parkade_testkit::Engine::memory().unwrap();
    let platform = Platform::open(engine, &wiring, None, 0).unwrap();
    let foundation = Foundation {
        client: platform.engine.client(Faults::none()),
        identity: Identity::new(Keys::from_master(&[7; 32]), DevTokens::On),
        bus: platform.bus.clone(),
        payments_url: "http://127.0.0.1:1/_stripe".to_owned(),
        webhook_secret: "whsec_local".to_owned(),
        api_url: "http://127.0.0.1:1".to_owned(),
        outbox: Path::new(env!("CARGO_TARGET_TMPDIR")).join("outbox"),
    };
    let functions = registry::functions(foundation).unwrap();
    let named: BTreeSet<String> = functions.keys().map(|name| (*name).to_owned()).collect();
    assert_eq!(named, folders());
    App::assemble(platform, &wiring, &functions).unwrap();
}
