//! Rows of ticks as text (CONTRACT §4), sorted and compared by city.

/// The rows sorted by city; the rows of each city keep their order.
#[must_use]
pub fn by_city(mut rows: Vec<String>) -> Vec<String> {
    rows.sort_by(|a, b| city(a).cmp(city(b)));
    rows
}

/// The city of a row.
#[must_use]
pub fn city(row: &str) -> &str {
    row.split('"').nth(3).unwrap_or_default()
}

/// The tick of a row.
#[must_use]
pub fn tick(row: &str) -> &str {
    row.split('"').nth(7).unwrap_or_default()
}
