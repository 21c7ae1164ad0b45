//! Overrides: an operator's caps, floors, freezes and kills for a time and a place (CONTRACT §9).

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::document;
use super::field::{Faults, Field};
use super::read::read_polygon;
use super::write::write_polygon;
use super::{Fault, Multiplier, Policy, ranges};
use crate::geo::polygon::Polygon;
use crate::id::ProductId;
use crate::time::Timestamp;

/// What an override does to the multipliers of its product and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideKind {
    /// They are not above this one.
    Cap(Multiplier),
    /// They are not below this one, unless a cap is.
    Floor(Multiplier),
    /// They are those published at the start of the override.
    Freeze,
    /// They are 1.0.
    Kill,
}

impl OverrideKind {
    /// Its name in the contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cap(_) => "cap",
            Self::Floor(_) => "floor",
            Self::Freeze => "freeze",
            Self::Kill => "kill",
        }
    }

    /// The multiplier of a cap or floor.
    #[must_use]
    pub fn multiplier(self) -> Option<Multiplier> {
        match self {
            Self::Cap(multiplier) | Self::Floor(multiplier) => Some(multiplier),
            Self::Freeze | Self::Kill => None,
        }
    }
}

/// An override of a city's multipliers.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Unique in its city.
    pub id: Arc<str>,
    /// What it does.
    pub kind: OverrideKind,
    /// The product; `None` for all.
    pub product: Option<ProductId>,
    /// Where it applies, by the centres of cells; `None` for the whole city.
    pub polygon: Option<Polygon>,
    /// From when on it is in force, in milliseconds since the epoch.
    pub starts_at: i64,
    /// From when on it is not, in milliseconds since the epoch.
    pub ends_at: i64,
    /// Why, for people.
    pub reason: String,
    /// The subject of the token that created it, `local` without tokens.
    pub author: String,
    /// When it was created, in milliseconds since the epoch.
    pub created_at: i64,
    /// When it was ended before its time, in milliseconds since the epoch.
    pub ended_at: Option<i64>,
}

/// Where an override is in its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverrideState {
    /// It will be in force.
    Scheduled,
    /// It is in force.
    Active,
    /// It is not in force any more.
    Ended,
}

impl OverrideState {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Active => "active",
            Self::Ended => "ended",
        }
    }
}

/// What a client gives of a new override.
#[derive(Clone, Debug, PartialEq)]
pub struct OverrideRequest {
    kind: OverrideKind,
    product: Option<ProductId>,
    polygon: Option<Polygon>,
    starts_at: Option<i64>,
    ends_at: i64,
    reason: String,
}

/// Who creates an override, when, and under which id.
#[derive(Clone, Copy, Debug)]
pub struct Creation<'a> {
    /// The override's id.
    pub id: &'a str,
    /// The subject of the client's token.
    pub author: &'a str,
    /// The time, in milliseconds since the epoch.
    pub now_ms: i64,
}

const FIELDS: [&str; 7] = ["kind", "product", "polygon", "multiplier", "starts_at", "ends_at", "reason"];

impl OverrideRequest {
    /// Reads the request of a new override in the city of `policy` at `now_ms`, in milliseconds since the epoch.
    ///
    /// # Errors
    /// Every wrong field.
    pub fn read(text: &str, policy: &Policy, now_ms: i64) -> Result<Self, Vec<Fault>> {
        let document = Policy::read_document(text)?;
        let faults = Faults::default();
        let request = Self::of(&Field::new(&document, String::new(), &faults), policy, now_ms);
        let faults = faults.into_inner();
        request.filter(|_| faults.is_empty()).ok_or(faults)
    }

    fn of(field: &Field, policy: &Policy, now_ms: i64) -> Option<Self> {
        let request = field.object_of(&FIELDS, "an override");
        let kind = read_kind(&request);
        let product = request.get("product").parsed("a product of the city", |id| {
            policy.products.iter().map(|product| &product.id).find(|product| product.as_str() == id)
        });
        let polygon = request.get("polygon");
        let polygon = polygon.is_present().then(|| read_polygon(&polygon, 1));
        let starts_at = read_time(&request.get("starts_at"));
        let ends_at = read_time(&request.required("ends_at"));
        let reason = request.required("reason").text(ranges::REASON_CHARS);
        let (kind, ends_at) = (kind?, ends_at?);
        let (longest_ms, longest) = match kind {
            OverrideKind::Kill => (ranges::KILL_MS, "24 hours"),
            _ => (ranges::OVERRIDE_MS, "30 days"),
        };
        let ends = request.get("ends_at");
        if ends_at <= starts_at.unwrap_or(now_ms).max(now_ms) {
            ends.fault("must be later than now and than starts_at");
        } else if ends_at - now_ms > longest_ms {
            ends.fault(format_args!("must be at most {longest} away"));
        }
        Some(Self {
            kind,
            product: product.cloned(),
            polygon: polygon.flatten(),
            starts_at,
            ends_at,
            reason: reason?.to_owned(),
        })
    }

    /// The override that this request creates. One without a start is in force from now on.
    #[must_use]
    pub fn create(self, Creation { id, author, now_ms }: Creation<'_>) -> Override {
        let Self { kind, product, polygon, starts_at, ends_at, reason } = self;
        Override {
            id: id.into(),
            kind,
            product,
            polygon,
            starts_at: starts_at.unwrap_or(now_ms),
            ends_at,
            reason,
            author: author.to_owned(),
            created_at: now_ms,
            ended_at: None,
        }
    }
}

fn read_kind(request: &super::field::Object) -> Option<OverrideKind> {
    let multiplier = request.get("multiplier");
    let read = multiplier.multiplier();
    let kind = request.required("kind").parsed("one of cap, floor, freeze, kill", |name| {
        ["cap", "floor", "freeze", "kill"].iter().position(|known| *known == name)
    })?;
    if kind < 2 {
        if !multiplier.is_present() {
            multiplier.fault("is required for a cap or floor");
        }
        return read.map(|read| if kind == 0 { OverrideKind::Cap(read) } else { OverrideKind::Floor(read) });
    }
    if multiplier.is_present() {
        multiplier.fault("belongs to a cap or floor alone");
    }
    Some(if kind == 2 { OverrideKind::Freeze } else { OverrideKind::Kill })
}

fn read_time(field: &Field) -> Option<i64> {
    field
        .parsed("a time of RFC 3339 with a zone", |text| Timestamp::parse(text.as_bytes()).map(Timestamp::ms))
}

impl Override {
    /// Whether it is in force at `now_ms`, in milliseconds since the epoch.
    #[must_use]
    pub fn state(&self, now_ms: i64) -> OverrideState {
        if now_ms >= self.end() {
            OverrideState::Ended
        } else if now_ms >= self.starts_at {
            OverrideState::Active
        } else {
            OverrideState::Scheduled
        }
    }

    /// From when on it is not in force, in milliseconds since the epoch.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.ended_at.map_or(self.ends_at, |ended_at| ended_at.min(self.ends_at))
    }

    /// The override in the form of CONTRACT §9, with its state at `now_ms`, in milliseconds since the epoch.
    #[must_use]
    pub fn to_view(&self, now_ms: i64) -> Value {
        let mut view = self.to_json();
        view["state"] = self.state(now_ms).as_str().into();
        view
    }

    /// The override as it is stored.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
        put("id", (*self.id).into());
        put("kind", self.kind.name().into());
        if let Some(product) = &self.product {
            put("product", product.as_str().into());
        }
        if let Some(polygon) = &self.polygon {
            put("polygon", write_polygon(polygon));
        }
        if let Some(multiplier) = self.kind.multiplier() {
            put("multiplier", f64::from(multiplier).into());
        }
        put("starts_at", time(self.starts_at));
        put("ends_at", time(self.ends_at));
        put("reason", self.reason.as_str().into());
        put("author", self.author.as_str().into());
        put("created_at", time(self.created_at));
        if let Some(ended_at) = self.ended_at {
            put("ended_at", time(ended_at));
        }
        Value::Object(out)
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// Every wrong field.
    pub fn from_stored(text: &str) -> Result<Self, Vec<Fault>> {
        let (document, _) = document::read(text)
            .map_err(|error| vec![Fault { pointer: String::new(), message: error.to_string() }])?;
        let faults = Faults::default();
        let stored = Self::of(&Field::new(&document, String::new(), &faults));
        let faults = faults.into_inner();
        stored.filter(|_| faults.is_empty()).ok_or(faults)
    }

    fn of(field: &Field) -> Option<Self> {
        let stored = field.open_object();
        let polygon = stored.get("polygon");
        let polygon = polygon.is_present().then(|| read_polygon(&polygon, 1));
        let text = |key| stored.required(key).parsed("a text", Some);
        Some(Self {
            id: text("id")?.into(),
            kind: read_kind(&stored)?,
            product: stored.get("product").parsed("a product id", ProductId::new),
            polygon: polygon.flatten(),
            starts_at: read_time(&stored.required("starts_at"))?,
            ends_at: read_time(&stored.required("ends_at"))?,
            reason: text("reason")?.to_owned(),
            author: text("author")?.to_owned(),
            created_at: read_time(&stored.required("created_at"))?,
            ended_at: read_time(&stored.get("ended_at")),
        })
    }
}

fn time(ms: i64) -> Value {
    json!(Timestamp::from_ms(ms))
}

#[cfg(test)]
mod tests;
