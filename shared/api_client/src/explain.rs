//! `equilibrium explain`: why a price is what it is, or was, from the API of a running process or a deployment.

use std::fmt::Write;

use clap::Args;
use serde_json::Value;

use crate::http::{self, ApiError};

/// The arguments of the command.
#[derive(Debug, Args)]
pub struct Explain {
    /// The city.
    #[arg(long, value_name = "CITY")]
    city: String,
    /// The H3 cell, in hexadecimal.
    #[arg(long, value_name = "H3")]
    cell: String,
    /// The product. Default: the city's first.
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,
    /// A time of the last 24 hours, as 2026-11-23T18:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The API.
    #[arg(long, default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,
    /// Print the explanation as the API sends it.
    #[arg(long)]
    json: bool,
}

impl Explain {
    /// The page of text, or the explanation as it came.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn run(&self) -> Result<String, ApiError> {
        let body = http::get(&self.url, &self.path())?;
        if self.json {
            return Ok(body + "\n");
        }
        let explanation = serde_json::from_str(&body).map_err(|_| ApiError::NotThisApi)?;
        Ok(page(&explanation))
    }

    fn path(&self) -> String {
        let escape = http::escape;
        let mut path = format!("/v1/cities/{}/surge/{}/explain", escape(&self.city), escape(&self.cell));
        let parameters = [("product", &self.product), ("at", &self.at)];
        let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        for (index, (name, value)) in given.enumerate() {
            let separator = if index == 0 { "?" } else { "&" };
            path.extend([separator.to_owned(), format!("{name}={}", escape(value))]);
        }
        path
    }
}

/// The explanation as a page of text.
fn page(explanation: &Value) -> String {
    let text = |name: &str| plain(&explanation[name]);
    let hundredths = |name: &str| format!("{:.2}×", explanation[name].as_f64().unwrap_or(0.0) / 100.0);
    let number = |name: &str| format!("{:.4}", explanation[name].as_f64().unwrap_or(0.0));
    let guard = &explanation["guard"];
    let on = if guard["on"] == true { "on" } else { "off" };
    let (reporting, lost) = (plain(&guard["reporting"]), plain(&guard["lost"]));
    let rows = [
        ("city", text("city")),
        ("cell", text("cell")),
        ("product", text("product")),
        ("tick", format!("{} (version {})", text("at"), text("version"))),
        ("policy", format!("version {}", text("policy_version"))),
        ("demand around it", format!("{} riders", number("D"))),
        ("supply around it", format!("{} drivers", number("S"))),
        ("pressure", number("pressure")),
        (
            "raw multiplier",
            format!("{} by the {} curve", number("raw"), plain(&explanation["curve"]["curve"])),
        ),
        ("smoothed", format!("{} → {} (α {})", number("m_before"), number("m"), number("alpha"))),
        ("published", format!("{} → {}", hundredths("published_before"), hundredths("published"))),
        ("feed guard", format!("{on}, {reporting} drivers in touch, {lost} lost")),
        ("multiplier", format!("{:.2}×", explanation["multiplier"].as_f64().unwrap_or(0.0))),
    ];
    let mut page = format!("{}\n\n", text("text"));
    for (name, value) in rows {
        writeln!(page, "{name:<18}{value}").expect("a string accepts every write");
    }
    table(&mut page, "limits", &explanation["bounds"], ["kind", "value", "source", "binds"]);
    table(&mut page, "counts", &explanation["cells"], ["cell", "ring", "demand", "supply"]);
    page
}

/// Appends the members of a list as a table.
fn table(page: &mut String, name: &str, list: &Value, columns: [&str; 4]) {
    let rows = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = rows.iter().map(|row| columns.map(|column| plain(&row[column])).to_vec());
    crate::table::table(page, name, &columns, &rows.collect::<Vec<_>>());
}

/// A member as people read it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(is_true) => if *is_true { "yes" } else { "no" }.to_owned(),
        other => other.to_string(),
    }
}
