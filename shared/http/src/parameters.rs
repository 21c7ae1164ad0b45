//! Numbers in a query: malformed ones are answered with 400, those out of range with 422.

use std::ops::RangeInclusive;

use crate::Problem;

/// A required coordinate, in degrees.
///
/// # Errors
/// 422 `missing_parameter`, 400 `malformed_parameter` or 422 `out_of_range`.
pub fn degrees(name: &'static str, text: Option<&str>, range: RangeInclusive<f64>) -> Result<f64, Problem> {
    let missing = || Problem::new(422, "missing_parameter", "is required").for_parameter(name);
    let text = text.ok_or_else(missing)?;
    // Rust also parses words such as "inf".
    let is_numeric =
        text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    let number = text.parse().ok().filter(|_: &f64| is_numeric);
    let number = number
        .ok_or_else(|| Problem::new(400, "malformed_parameter", "must be a number").for_parameter(name))?;
    if !range.contains(&number) {
        let detail = format!("must be {} to {}", range.start(), range.end());
        return Err(Problem::new(422, "out_of_range", detail).for_parameter(name));
    }
    Ok(number)
}

/// An optional count.
///
/// # Errors
/// 400 `malformed_parameter` or 422 `out_of_range`.
pub fn count(
    name: &'static str,
    text: Option<&str>,
    range: RangeInclusive<usize>,
) -> Result<Option<usize>, Problem> {
    let Some(text) = text else { return Ok(None) };
    if text.is_empty() || !text.strip_prefix('-').unwrap_or(text).bytes().all(|b| b.is_ascii_digit()) {
        return Err(Problem::new(400, "malformed_parameter", "must be a whole number").for_parameter(name));
    }
    let number = text.parse().ok().filter(|number| range.contains(number));
    let detail = || format!("must be {} to {}", range.start(), range.end());
    Ok(Some(number.ok_or_else(|| Problem::new(422, "out_of_range", detail()).for_parameter(name))?))
}
