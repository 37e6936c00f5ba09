use parkade_domain::vehicle::{Features, PREFERENCE_MAX, SpotKind, SpotSize, Vehicle, VehicleClass, fits, preference};

fn every_kind() -> impl Iterator<Item = SpotKind> {
    (0..=u8::MAX).filter_map(SpotKind::from_byte)
}

fn every_vehicle() -> impl Iterator<Item = Vehicle> {
    VehicleClass::ALL.into_iter().flat_map(|class| {
        [(false, false), (false, true), (true, false), (true, true)].map(|(ev, accessible_permit)| Vehicle {
            class,
            ev,
            accessible_permit,
        })
    })
}

fn kind(size: SpotSize) -> SpotKind {
    SpotKind { size, features: Features::default() }
}

fn car() -> Vehicle {
    Vehicle { class: VehicleClass::Standard, ev: false, accessible_permit: false }
}

#[test]
fn names_and_aliases_are_read_and_written() {
    for class in VehicleClass::ALL {
        assert_eq!(VehicleClass::parse(class.as_str()), Some(class));
        assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{class}\""));
        assert_eq!(serde_json::from_str::<VehicleClass>(&format!("\"{class}\"")).unwrap(), class);
    }
    for (alias, class) in [("regular", VehicleClass::Standard), ("suv", VehicleClass::Large)] {
        assert_eq!(VehicleClass::parse(alias), Some(class));
        assert_eq!(serde_json::from_str::<VehicleClass>(&format!("\"{alias}\"")).unwrap(), class);
    }
    assert_eq!(VehicleClass::parse("Standard"), None);
    assert_eq!(VehicleClass::parse(""), None);
}

#[test]
fn a_kind_is_one_byte_and_back() {
    assert_eq!(every_kind().count(), 64);
    for (expected, kind) in (0..).zip(every_kind()) {
        assert_eq!(kind.to_byte(), expected);
    }
    assert_eq!(SpotKind::from_byte(0b0100_0000), None);
    assert_eq!(SpotKind::from_byte(0b1000_0000), None);
}

#[test]
fn a_vehicle_fits_its_size_and_larger_and_accessible_spots_only_with_a_permit() {
    for vehicle in every_vehicle() {
        for spot in every_kind() {
            let expected = spot.size >= vehicle.class && (vehicle.accessible_permit || !spot.features.accessible);
            assert_eq!(fits(spot, &vehicle), expected, "{vehicle:?} on {spot:?}");
            assert!(preference(spot, &vehicle) <= PREFERENCE_MAX);
        }
    }
}

#[test]
fn the_smallest_adequate_spot_comes_first() {
    let ranks = [SpotSize::Standard, SpotSize::Large].map(|size| preference(kind(size), &car()));
    assert!(ranks[0] < ranks[1]);
    assert_eq!(ranks[0], 0);
}

#[test]
fn a_charger_is_another_cars_last_resort_and_an_evs_first_choice() {
    let ev = Vehicle { ev: true, ..car() };
    for spot in every_kind().filter(|spot| spot.features.ev_charger && fits(*spot, &car())) {
        for other in every_kind().filter(|other| !other.features.ev_charger && fits(*other, &car())) {
            assert!(preference(other, &car()) < preference(spot, &car()), "{other:?} before {spot:?}");
            assert!(preference(spot, &ev) < preference(other, &ev), "{spot:?} before {other:?} for an EV");
        }
    }
}

#[test]
fn a_permit_holders_accessible_spot_comes_first() {
    for vehicle in every_vehicle().filter(|vehicle| vehicle.accessible_permit) {
        for spot in every_kind().filter(|spot| spot.features.accessible && fits(*spot, &vehicle)) {
            for other in every_kind().filter(|other| !other.features.accessible && fits(*other, &vehicle)) {
                assert!(preference(spot, &vehicle) < preference(other, &vehicle), "{spot:?} before {other:?}");
            }
        }
    }
}

#[test]
fn a_premium_spot_is_taken_after_its_plain_equal_but_before_a_larger_one() {
    let premium = SpotKind { features: Features { premium: true, ..Features::default() }, ..kind(SpotSize::Standard) };
    let rank = preference(premium, &car());
    assert!(preference(kind(SpotSize::Standard), &car()) < rank);
    assert!(rank < preference(kind(SpotSize::Large), &car()));
}
