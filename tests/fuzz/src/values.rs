//! Single values as text: times, amounts of money, sequence numbers, ids, cells, keys.

use equilibrium_domain::event::sequence::Sequence;
use equilibrium_domain::fare::money::Currency;
use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::geo::outline::outline;
use equilibrium_domain::id::{CityId, ProductId};
use equilibrium_domain::pseudonym::PseudonymKey;
use equilibrium_domain::time::Timestamp;
use equilibrium_lambda::kinesis::record::ShardId;

use crate::select;

/// What is parsed is written as a text that parses to it.
pub fn target(input: &[u8]) {
    let (selected, input) = select(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    match selected % 6 {
        0 => {
            let Some(time) = Timestamp::parse(input) else { return };
            assert_eq!(Timestamp::parse(&time.to_bytes()), Some(time));
            assert_eq!(time.to_string().as_bytes(), time.to_bytes());
        }
        1 => {
            let Some((code, amount)) = text.split_at_checked(3) else { return };
            let Some(currency) = Currency::new(code) else { return };
            assert_eq!(currency.code(), code);
            let Ok(amount) = currency.parse(amount) else { return };
            assert_eq!(currency.parse(&currency.format(amount)).ok(), Some(amount));
        }
        2 => sequences(text),
        3 => {
            assert!(CityId::new(text).is_none_or(|id| id.as_str() == text));
            assert!(ProductId::new(text).is_none_or(|id| id.as_str() == text));
            assert!(ShardId::new(text).is_none_or(|id| id.as_str() == text));
        }
        4 => {
            let Some(cell) = Cell::parse(text) else { return };
            assert_eq!(Cell::parse(&cell.to_string()), Some(cell));
            for ring in outline(cell) {
                assert!(ring.len() >= 4 && ring.first() == ring.last());
                assert!(ring.iter().all(|[lng, lat]| lng.abs() <= 180.0 && lat.abs() <= 90.0));
            }
        }
        _ => {
            let Some(key) = PseudonymKey::from_hex(text) else { return };
            assert_eq!(**key.to_hex(), text.to_ascii_lowercase());
        }
    }
}

/// Sequence numbers are ordered as numbers.
fn sequences(text: &str) {
    let (one, other) = text.split_once(',').unwrap_or((text, "0"));
    let (Some(a), Some(b)) = (Sequence::new(one), Sequence::new(other)) else { return };
    assert_eq!(Sequence::new(a.as_str()), Some(a.clone()));
    if let (Ok(one), Ok(other)) = (one.parse::<u128>(), other.parse::<u128>()) {
        assert_eq!(a.cmp(&b), one.cmp(&other));
    }
    assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
}
