//! What a client gives to have a ride quoted, or a quote confirmed (CONTRACT §8).

use serde_json::Value;

use crate::event::Position;
use crate::id::ProductId;
use crate::policy::field::{Faults, Field};
use crate::policy::{Fault, Multiplier, Policy};
use crate::quote::ride::{MAX_DISTANCE_M, MAX_DURATION_S, RideRequest};

/// The request of a quote.
#[derive(Clone, Debug, PartialEq)]
pub struct QuoteRequest {
    /// The ride.
    pub ride: RideRequest,
    /// The product; `None` for the city's first.
    pub product: Option<ProductId>,
}

impl QuoteRequest {
    /// Reads a request. Unknown members are ignored.
    ///
    /// # Errors
    /// Every wrong field.
    pub fn read(text: &str) -> Result<Self, Vec<Fault>> {
        read(text, |request| {
            let request = request.open_object();
            let pickup = read_position(&request.required("pickup"));
            let dropoff = read_position(&request.required("dropoff"));
            let product = request.get("product");
            let id = product.parsed("a product id: 1 to 64 of [A-Za-z0-9._:-]", ProductId::new);
            let whole = |key, max| {
                let number = request.get(key).integer(&(0..=i64::from(max)));
                number.and_then(|number| u32::try_from(number).ok())
            };
            let (distance_m, duration_s) =
                (whole("distance_m", MAX_DISTANCE_M), whole("duration_s", MAX_DURATION_S));
            let ride = RideRequest { pickup: pickup?, dropoff: dropoff?, distance_m, duration_s };
            Some(Self { ride, product: id })
        })
    }
}

/// The multiplier that a confirmation acknowledges, if it does.
///
/// # Errors
/// Every wrong field.
pub fn read_acknowledgement(text: &str) -> Result<Option<Multiplier>, Vec<Fault>> {
    read(text, |body| Some(body.open_object().get("ack_multiplier").multiplier()))
}

fn read<T>(text: &str, read: impl FnOnce(&Field) -> Option<T>) -> Result<T, Vec<Fault>> {
    let document: Value = Policy::read_document(text)?;
    let faults = Faults::default();
    let value = read(&Field::new(&document, String::new(), &faults));
    let faults = faults.into_inner();
    value.filter(|_| faults.is_empty()).ok_or(faults)
}

fn read_position(field: &Field) -> Option<Position> {
    let position = field.open_object();
    let lat = position.required("lat").number(&(-90.0..=90.0));
    let lng = position.required("lng").number(&(-180.0..=180.0));
    Some(Position { lat: lat?, lng: lng? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(document: &Value) -> Vec<String> {
        let faults = QuoteRequest::read(&document.to_string()).unwrap_err();
        faults.into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn a_request_has_its_ends_and_may_have_more() {
        let document = json!({"pickup": {"lat": 1.5, "lng": -2}, "dropoff": {"lat": 0, "lng": 0, "note": "x"}, "later": {}});
        let read = QuoteRequest::read(&document.to_string()).unwrap();
        assert_eq!((read.ride.pickup, read.product), (Position { lat: 1.5, lng: -2.0 }, None));
        assert_eq!((read.ride.distance_m, read.ride.duration_s), (None, None));
        let mut document = document;
        document["product"] = "xl".into();
        document["distance_m"] = 5_000.into();
        document["duration_s"] = 900.0.into();
        let read = QuoteRequest::read(&document.to_string()).unwrap();
        assert_eq!((read.ride.distance_m, read.ride.duration_s), (Some(5_000), Some(900)));
        assert_eq!(read.product, ProductId::new("xl"));
    }

    #[test]
    fn every_wrong_field_is_named() {
        assert_eq!(pointers(&json!({})), ["/pickup", "/dropoff"]);
        assert_eq!(
            pointers(
                &json!({"pickup": {"lat": 91}, "dropoff": [], "product": "", "distance_m": 1.5, "duration_s": -1})
            ),
            ["/pickup/lat", "/pickup/lng", "/dropoff", "/product", "/distance_m", "/duration_s"]
        );
        assert_eq!(pointers(&json!([])), [""]);
        let twice = r#"{"pickup": {"lat": 1, "lat": 2, "lng": 3}, "dropoff": {"lat": 1, "lng": 1}}"#;
        assert_eq!(QuoteRequest::read(twice).unwrap_err()[0].pointer, "/pickup/lat");
    }

    #[test]
    fn an_acknowledgement_is_a_multiplier() {
        assert_eq!(read_acknowledgement("{}"), Ok(None));
        assert_eq!(read_acknowledgement(r#"{"ack_multiplier": 2.4}"#), Ok(Multiplier::new(240)));
        assert_eq!(read_acknowledgement(r#"{"ack_multiplier": null}"#), Ok(None));
        assert_eq!(
            read_acknowledgement(r#"{"ack_multiplier": "2.4"}"#).unwrap_err()[0].pointer,
            "/ack_multiplier"
        );
    }
}
