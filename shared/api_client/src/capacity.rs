//! `equilibrium capacity`: the bottlenecks at a multiple of the load, of a file of figures, of a running system, or of the
//! system's own model (CONTRACT §12).

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use equilibrium_domain::capacity::Document;
use equilibrium_domain::capacity::growth::Scale;
use equilibrium_domain::capacity::system::{Capacity, Observed, Settings};
use equilibrium_domain::policy::Fault;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::http::{self, ApiError};
use crate::table::table;

/// The longest file of figures, in bytes: a thousand components with a thousand figures each are no description of a system.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The arguments of the command.
#[derive(Debug, Args)]
pub struct CapacityCommand {
    /// File of figures, JSON. Default: the system's own model at an assumed load.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    metrics: Option<PathBuf>,
    /// The API of a running process or a deployment, whose load is measured.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The multiple of today's load, from 1 to 1000000.
    #[arg(long, value_name = "N", value_parser = parse_scale)]
    scale: Scale,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Why the command failed.
#[derive(Debug, Error)]
pub enum CapacityError {
    /// The file cannot be read.
    #[error("{}: {cause}", path.display())]
    Unread {
        /// The file.
        path: PathBuf,
        /// The reason.
        cause: io::Error,
    },
    /// The file is too long.
    #[error("{}: has more than {MAX_FILE_BYTES} bytes", .0.display())]
    TooLong(PathBuf),
    /// The file is not a document of figures.
    #[error("{}: {}", path.display(), list(faults))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Every fault.
        faults: Vec<Fault>,
    },
    /// The API did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl CapacityError {
    /// The exit status (CONTRACT §4).
    #[must_use]
    pub fn status(&self) -> u8 {
        if matches!(self, Self::Api(_)) { 1 } else { 2 }
    }
}

impl CapacityCommand {
    /// The page of text, or the projection as JSON.
    ///
    /// # Errors
    /// [`CapacityError`].
    pub fn run(&self) -> Result<String, CapacityError> {
        let scale = self.scale;
        if let Some(url) = &self.url {
            let body = http::get(url, &format!("/v1/capacity?scale={scale}"))?;
            if self.json {
                return Ok(body + "\n");
            }
            let report: Value = serde_json::from_str(&body).map_err(|_| ApiError::NotThisApi)?;
            if !report["bottlenecks"].is_array() {
                return Err(ApiError::NotThisApi.into());
            }
            return Ok(page(&report));
        }
        if let Some(path) = &self.metrics {
            return Ok(self.shown(&read(path)?.project(scale)));
        }
        let capacity = Capacity::new(Settings::DEFAULT, Observed::default());
        let document = capacity.document(scale);
        Ok(self.shown(&capacity.report(&document, scale)))
    }

    fn shown(&self, report: &impl Serialize) -> String {
        let report = serde_json::to_value(report).expect("a report has texts as keys");
        if self.json { format!("{report}\n") } else { page(&report) }
    }
}

fn read(path: &Path) -> Result<Document, CapacityError> {
    let unread = |cause| CapacityError::Unread { path: path.to_owned(), cause };
    let file = File::open(path).map_err(unread)?;
    let mut text = String::new();
    let length = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unread)?;
    if u64::try_from(length).is_ok_and(|length| length > MAX_FILE_BYTES) {
        return Err(CapacityError::TooLong(path.to_owned()));
    }
    Document::read(&text).map_err(|faults| CapacityError::Invalid { path: path.to_owned(), faults })
}

fn parse_scale(text: &str) -> Result<Scale, String> {
    Scale::parse(text).map_err(|error| error.to_string())
}

/// One fault a line.
fn list(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n  ")
}

/// The report as a page of text.
fn page(report: &Value) -> String {
    let mut page = String::new();
    let scale = &report["scale"];
    let count = report["bottlenecks"].as_array().map_or(0, Vec::len);
    let verdict = match count {
        0 => "every figure stays within its threshold".to_owned(),
        1 => "1 bottleneck".to_owned(),
        _ => format!("{count} bottlenecks"),
    };
    line(&mut page, format_args!("At {scale} times the load: {verdict}"));
    if report["extrapolated"] == true {
        line(&mut page, format_args!("This is more than ten times what was measured: an extrapolation."));
    }
    if let Some(assumed) = report["load"]["assumed"].as_array().filter(|assumed| !assumed.is_empty()) {
        let names: Vec<&str> = assumed.iter().filter_map(Value::as_str).collect();
        line(&mut page, format_args!("Assumed, not measured: {}", names.join(", ")));
    }
    let bottlenecks = rows(&report["bottlenecks"]);
    let columns = ["component", "metric", "now", "projected", "threshold", "severity", "basis"];
    let numbered = bottlenecks.map(|row| columns.map(|name| plain(&row[name])).to_vec());
    table(&mut page, "bottlenecks", &columns, &numbered.collect::<Vec<_>>());
    for row in rows(&report["bottlenecks"]) {
        line(
            &mut page,
            format_args!("\n{} {}: {}", text(&row["component"]), text(&row["metric"]), text(&row["impact"])),
        );
        for remedy in rows(&row["remedies"]) {
            line(&mut page, format_args!("  - {}", text(remedy)));
        }
    }
    figures(&mut page, report);
    costs(&mut page, report);
    page
}

/// Every figure, and the scaling laws that were fitted.
fn figures(page: &mut String, report: &Value) {
    let mut figures = Vec::new();
    let mut laws = Vec::new();
    for component in rows(&report["components"]) {
        for metric in rows(&component["metrics"]) {
            let names = ["name", "now", "projected", "threshold", "law", "basis"];
            let cells = names.map(|name| plain(&metric[name]));
            figures.push([plain(&component["component"])].into_iter().chain(cells).collect());
            let scaling = &metric["scaling"];
            if scaling.is_object() {
                let with_error = |name: &str| {
                    format!("{} ± {}", plain(&scaling[name]), plain(&scaling[format!("{name}_error")]))
                };
                let needed = match &scaling["needed_n"] {
                    Value::Null => "none: beyond the peak".to_owned(),
                    size if scaling["extrapolated"] == true => format!("{} (extrapolated)", plain(size)),
                    size => plain(size),
                };
                let [peak, residual] = ["peak_n", "residual"].map(|name| plain(&scaling[name]));
                let name = format!("{} {}", text(&component["component"]), text(&metric["name"]));
                laws.push(vec![name, with_error("alpha"), with_error("beta"), peak, residual, needed]);
            }
        }
    }
    let columns = ["component", "metric", "now", "projected", "threshold", "law", "basis"];
    table(page, "all figures", &columns, &figures);
    let columns = ["scaling law of", "contention", "coherence", "peak at", "residual", "needed"];
    table(page, "universal scalability law", &columns, &laws);
}

fn costs(page: &mut String, report: &Value) {
    if !report["cost_now"].is_object() {
        return;
    }
    let amount = |of: &str, name: &str| {
        let amount = &report[of][name];
        if amount.is_null() {
            return "-".to_owned();
        }
        format!("{} {}", text(&amount["amount"]), text(&amount["currency"]))
    };
    let names = [
        ("month", "a month"),
        ("per_million_events", "a million events"),
        ("per_million_prices", "a million prices"),
        ("per_million_quotes", "a million quotes"),
    ];
    let lines = names.map(|(name, shown)| {
        vec![shown.to_owned(), amount("cost_now", name), amount("cost_projected", name)]
    });
    table(page, "cost", &["of", "now", "projected"], &lines);
    let [region, as_of] = ["prices_region", "prices_as_of"].map(|name| text(&report[name]));
    line(page, format_args!("  list prices of {region}, put together {as_of}"));
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(page, "{text}").expect("a string accepts every write");
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

/// A member as people read it: numbers with at most four digits that count.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), rounded),
        other => other.to_string(),
    }
}

fn rounded(number: f64) -> String {
    let digits = match number.abs() {
        size if size >= 1_000.0 || size == 0.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 1.0 => 3,
        size if size >= 0.001 => 6,
        _ => return format!("{number:.3e}"),
    };
    let text = format!("{number:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
