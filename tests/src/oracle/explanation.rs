//! The multiplier of an explanation (CONTRACT §10), computed again from its JSON alone.

use serde_json::Value;

/// A number of an explanation that is not what the others make of it: its name, what is written, and what it should be.
pub type Wrong = (&'static str, f64, f64);

/// Computes every number that follows from others, by CONTRACT §3 and §9, and compares.
///
/// # Errors
/// The first that is wrong.
///
/// # Panics
/// If a member is missing.
pub fn recompute(explanation: &Value) -> Result<(), Wrong> {
    let get = |name: &str| explanation[name].as_f64().unwrap_or_else(|| panic!("{name} in {explanation}"));
    let same = |name: &'static str, expected: f64| {
        let written = get(name);
        if written.to_bits() == expected.to_bits() { Ok(()) } else { Err((name, written, expected)) }
    };
    let weights: Vec<f64> = numbers(&explanation["weights"]);
    let side = |side: &str| {
        let mut sums = vec![0.0; weights.len()];
        for cell in explanation["cells"].as_array().expect("cells") {
            let ring = usize::try_from(cell["ring"].as_u64().expect("a ring")).expect("small");
            sums[ring] += cell[side].as_f64().expect("a count");
        }
        let mut total = 0.0;
        for (weight, sum) in weights.iter().zip(sums) {
            total += weight * sum;
        }
        total
    };
    same("D", side("demand"))?;
    same("S", side("supply"))?;
    let (prior, balanced) = (get("prior"), get("balanced_ratio"));
    same("pressure", (get("D") + prior * balanced) / (get("S") + prior))?;
    let bounds = explanation["bounds"].as_array().expect("bounds");
    let limits = |kind: &str, source: &str| -> Vec<f64> {
        let of = bounds.iter().filter(|bound| bound["kind"] == kind);
        let of = of.filter(|bound| bound["source"].as_str().expect("a source").starts_with(source));
        of.map(|bound| bound["value"].as_f64().expect("a value")).collect()
    };
    let cap = limits("cap", "policy")[0].max(1.0);
    same("raw", curve(explanation, get("pressure") / balanced).max(1.0).min(4.0 * cap))?;
    let (before, raw) = (get("m_before"), get("raw"));
    let mut m = (before + get("alpha") * (raw - before)).min(1.2 * cap);
    let step = (100.0 * get("step")).round();
    let mut published = get("published_before");
    if (100.0 * m - published).abs() >= 0.75 * step {
        published = step * (100.0 * m / step + 0.5).floor();
    }
    if explanation["guard"]["on"].as_bool().expect("a guard") {
        m = m.min(before);
        published = published.min(get("published_before"));
    }
    same("m", m)?;
    same("published", published)?;
    let mut price = published / 100.0;
    if let Some(frozen) = limits("freeze", "").first() {
        price = *frozen;
    }
    for source in ["policy", "zone", "override"] {
        price = limits("floor", source).into_iter().fold(price, f64::max);
    }
    for source in ["policy", "zone", "override"] {
        price = limits("cap", source).into_iter().fold(price, f64::min);
    }
    if !limits("kill", "").is_empty() {
        price = 1.0;
    }
    price = limits("floor", "law").into_iter().fold(price, f64::max);
    price = limits("cap", "law").into_iter().fold(price, f64::min);
    same("multiplier", price)
}

/// The curve in force at `x` times the balanced ratio.
fn curve(explanation: &Value, x: f64) -> f64 {
    let curve = &explanation["curve"];
    let get = |name: &str| curve[name].as_f64().expect("a parameter of the curve");
    match curve["curve"].as_str().expect("the curve's name") {
        "equilibrium" if x <= 1.0 => 1.0,
        "equilibrium" => libm::pow(x, 1.0 / (get("demand_elasticity") + get("supply_elasticity"))),
        "linear" => 1.0 + get("slope") * (x - 1.0),
        "exponential" => libm::exp(get("k") * (x - 1.0)),
        _ => {
            let points: Vec<Vec<f64>> =
                curve["table"].as_array().expect("a table").iter().map(numbers).collect();
            let r = explanation["pressure"].as_f64().expect("a pressure");
            match points.iter().position(|point| point[0] > r) {
                Some(0) => points[0][1],
                None => points[points.len() - 1][1],
                Some(after) => {
                    let ([x0, y0], [x1, y1]) = (pair(&points[after - 1]), pair(&points[after]));
                    y0 + (y1 - y0) * (r - x0) / (x1 - x0)
                }
            }
        }
    }
}

fn pair(point: &[f64]) -> [f64; 2] {
    [point[0], point[1]]
}

fn numbers(list: &Value) -> Vec<f64> {
    let list = list.as_array().expect("a list of numbers");
    list.iter().map(|number| number.as_f64().expect("a number")).collect()
}
