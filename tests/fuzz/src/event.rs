//! Lines of events, and their canonical form.

use equilibrium_domain::event::canonical::{CanonicalEvent, MAX_GROWTH_BYTES};
use equilibrium_domain::event::{self, Event, Fields, MarketEvent, What};
use equilibrium_domain::id::ProductId;
use equilibrium_domain::pseudonym::PseudonymKey;
use serde_json::Value;

/// The products of the city.
const PRODUCTS: [&str; 3] = ["standard", "xl", "p"];

/// A line that is read has the fields that a general reader finds, and a canonical form that reads back to it.
pub fn target(line: &[u8]) {
    let mut fields = Fields::default();
    let read = fields.read(line);
    assert_eq!(read, event::read(line), "the result depends on whether the fields are kept");
    let Ok(Event::Market(market)) = read else { return };
    agrees_with_a_general_reader(line, &market);

    let Some(set) = known_products(&market.what) else { return };
    let products = PRODUCTS.map(|id| ProductId::new(id).expect("a valid id"));
    let key = PseudonymKey::new(*b"the key of tests");
    let canonical = CanonicalEvent::new(&fields, &market, &key);
    let mut written = Vec::new();
    canonical.write(set, &products, &mut written);
    assert!(written.len() <= line.len() + MAX_GROWTH_BYTES, "the canonical form is too long");
    let Ok(Event::Market(again)) = event::read(&written) else {
        panic!("the canonical form is not an event")
    };
    assert_eq!(again.what.entity(), canonical.entity());
    let what = pseudonymous(market.what, again.what.clone());
    let expected = MarketEvent { what, ..market };
    // A list of products is in the city's order, each once.
    assert_eq!(known_products(&again.what), Some(set));
    assert_eq!(without_products(again), without_products(expected));
}

/// The fields of `line` as `serde_json` reads them. Of a key that is given twice, it also keeps the last.
fn agrees_with_a_general_reader(line: &[u8], market: &MarketEvent<'_>) {
    // It refuses texts that nest deeply, numbers beyond a double, and halves of surrogate pairs.
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return };
    let text = |key: &str| value[key].as_str().map(str::as_bytes);
    assert_eq!(text("city"), Some(&*market.city));
    let (entity, place) = match &market.what {
        What::Driver { driver, place, .. } => (driver, Some(*place)),
        What::Request { rider, place, .. } => (rider, Some(*place)),
        What::Progress { rider } => (rider, None),
    };
    let id = match market.what {
        What::Driver { .. } => text("driver_id"),
        _ => text("rider_id").or(text("request_id")),
    };
    assert_eq!(id, Some(&**entity));
    let degrees = place.map(|place| (Some(place.lat), Some(place.lng)));
    assert_eq!(degrees, place.map(|_| (value["lat"].as_f64(), value["lng"].as_f64())));
}

/// The products that an event names, a bit each; `None` if the city does not have one.
fn known_products(what: &What<'_>) -> Option<u64> {
    let bit = |name: &[u8]| {
        let index = PRODUCTS.iter().position(|product| product.as_bytes() == name);
        index.map(|index| 1_u64 << index)
    };
    match what {
        What::Driver { products: Some(list), .. } => {
            let mut set = 0;
            let read = list.try_for_each(|name| {
                set |= bit(&name).ok_or(())?;
                Ok::<(), ()>(())
            });
            read.ok().map(|()| set)
        }
        What::Request { product: Some(product), .. } => bit(product),
        _ => Some(0),
    }
}

/// `what` with the entity of `canonical`.
fn pseudonymous<'a>(mut what: What<'a>, canonical: What<'a>) -> What<'a> {
    match (&mut what, canonical) {
        (What::Driver { driver: id, .. }, What::Driver { driver: pseudonym, .. })
        | (
            What::Request { rider: id, .. } | What::Progress { rider: id },
            What::Request { rider: pseudonym, .. } | What::Progress { rider: pseudonym },
        ) => *id = pseudonym,
        _ => panic!("the canonical form is another event"),
    }
    what
}

fn without_products(mut event: MarketEvent<'_>) -> MarketEvent<'_> {
    if let What::Driver { products, .. } = &mut event.what {
        *products = None;
    }
    event
}
