//! Conversions between integers and floats whose values are far below 2⁵³, so that none loses precision.

/// The integer nearest to `value`.
#[expect(clippy::cast_possible_truncation, reason = "metres, milliseconds and microdegrees of one city")]
pub(crate) fn whole(value: f64) -> i64 {
    value.round() as i64
}

/// `value` as a float.
#[expect(clippy::cast_precision_loss, reason = "metres, milliseconds and microdegrees of one city")]
pub(crate) fn real(value: i64) -> f64 {
    value as f64
}
