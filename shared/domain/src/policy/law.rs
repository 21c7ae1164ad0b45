//! The laws that bind a city's multipliers, as its policy lists them (CONTRACT §9): read and written here, applied to
//! prices elsewhere.

use std::collections::HashSet;
use std::fmt;

use jiff::civil::{self, Date};
use jiff::tz::{Offset, TimeZone};
use serde_json::{Map, Value, json};

use super::field::{Field, Object};
use super::{Multiplier, Product, Zone, ranges};
use crate::id::{ProductId, is_entity_id};
use crate::time::Timestamp;

const FIELDS: [&str; 7] = ["id", "source", "from", "until", "zone", "product", "rule"];
const RULE_FIELDS: [&str; 6] = [
    "max_multiplier",
    "range",
    "max_over_baseline_percent",
    "baseline_from",
    "baseline_until",
    "max_of_prior_days",
];
/// The members of a rule that choose its form; a rule has one of them.
const FORMS: [&str; 4] = ["max_multiplier", "range", "max_over_baseline_percent", "max_of_prior_days"];

/// A law: which multipliers it binds, from when to when, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    /// Unique in its policy: 1–64 of `[A-Za-z0-9._:-]`.
    pub id: String,
    /// The law by its name, for people.
    pub source: String,
    /// The first instant at which it binds.
    pub from: LawTime,
    /// The first instant at which it binds no more; `None` if its end is not known.
    pub until: Option<LawTime>,
    /// The zone of the policy that it is limited to; `None` is the whole city.
    pub zone: Option<String>,
    /// The product of the policy that it is limited to; `None` is all of them.
    pub product: Option<ProductId>,
    /// What it demands.
    pub rule: LawRule,
}

/// What a law demands of a multiplier.
#[derive(Clone, Debug, PartialEq)]
pub enum LawRule {
    /// It is at most this one: `{"max_multiplier": 2.5}`.
    MaxMultiplier(Multiplier),
    /// It is within these bounds: `{"range": [0.5, 2.0]}`.
    Range {
        /// The lowest multiplier.
        min: Multiplier,
        /// The highest multiplier, not below `min`.
        max: Multiplier,
    },
    /// It exceeds the mean of a time by this share at most: `{"max_over_baseline_percent": 10, "baseline_from": …,
    /// "baseline_until": …}`.
    MaxOverBaseline {
        /// The share, in percent.
        percent: u16,
        /// The first instant of the time.
        from: LawTime,
        /// The first instant after the time.
        until: LawTime,
    },
    /// It is at most the highest of the prior days' maxima that remains without the highest few of them:
    /// `{"max_of_prior_days": {"days": 60, "leaving_out": 3}}`.
    MaxOfPriorDays {
        /// The local days before the day of the multiplier.
        days: u16,
        /// How many of the highest daily maxima do not count; fewer than `days`.
        leaving_out: u16,
    },
}

/// The beginning of a local day, or an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LawTime {
    form: Form,
    ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Day(Date),
    Time(Timestamp),
}

impl LawTime {
    /// A date such as `2026-01-31` in `zone`, or an RFC 3339 time, of the years in [`ranges::LAW_YEARS`].
    #[must_use]
    pub fn parse(text: &str, zone: &TimeZone) -> Option<Self> {
        let form = match text.parse::<Date>() {
            // The parser also takes other forms of ISO 8601.
            Ok(date) if date.to_string() == text => Form::Day(date),
            _ => Form::Time(Timestamp::parse(text.as_bytes())?),
        };
        let ms = match form {
            // Where a day begins with an hour that does not exist, this is its first instant.
            Form::Day(date) => {
                let midnight = date.to_datetime(civil::Time::midnight());
                zone.to_ambiguous_timestamp(midnight).compatible().ok()?.as_millisecond()
            }
            Form::Time(time) => time.ms(),
        };
        let year = Offset::UTC.to_datetime(jiff::Timestamp::from_millisecond(ms).ok()?).year();
        ranges::LAW_YEARS.contains(&year).then_some(Self { form, ms })
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn ms(self) -> i64 {
        self.ms
    }
}

impl fmt::Display for LawTime {
    /// The date or the time in UTC, as a policy has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            Form::Day(date) => date.fmt(f),
            Form::Time(time) => time.fmt(f),
        }
    }
}

/// The rest of the policy that its laws refer to. Without a valid time zone, days are those of UTC: the fault of the time
/// zone is enough.
pub(super) struct Referred<'a> {
    pub(super) timezone: &'a TimeZone,
    pub(super) products: &'a [Product],
    pub(super) zones: &'a [Zone],
}

/// Reads the laws of a policy.
pub(super) fn read(field: &Field, referred: &Referred) -> Vec<Law> {
    let expected = format_args!("an array of at most {} laws", ranges::MAX_LAWS);
    let items = field.items(expected, |count| count <= ranges::MAX_LAWS);
    let mut ids = HashSet::new();
    items.unwrap_or_default().iter().filter_map(|item| read_law(item, referred, &mut ids)).collect()
}

fn read_law<'a>(item: &Field<'a>, referred: &Referred, ids: &mut HashSet<&'a str>) -> Option<Law> {
    let law = item.object(&FIELDS);
    let id = law.required("id");
    let read =
        id.parsed("a law id: 1 to 64 of [A-Za-z0-9._:-]", |id| is_entity_id(id.as_bytes()).then_some(id));
    if read.is_some_and(|read| !ids.insert(read)) {
        id.fault("is given twice");
    }
    let source = law.required("source").text(ranges::SOURCE_CHARS);
    let times = read_times(&law, ["from", "until"], referred.timezone, false);
    let zone = law.get("zone").parsed("the id of a zone of this policy", |id| {
        referred.zones.iter().find(|zone| zone.id == id).map(|zone| zone.id.clone())
    });
    let product = law.get("product").parsed("the id of a product of this policy", |id| {
        referred.products.iter().find(|product| product.id.as_str() == id).map(|product| product.id.clone())
    });
    let rule = read_rule(&law.required("rule"), referred.timezone);
    let (from, until) = times?;
    Some(Law { id: read?.to_owned(), source: source?.to_owned(), from, until, zone, product, rule: rule? })
}

/// The beginning and the end of a time, of which the end comes later.
fn read_times(
    object: &Object,
    [from, until]: [&str; 2],
    zone: &TimeZone,
    is_end_required: bool,
) -> Option<(LawTime, Option<LawTime>)> {
    let parse = |field: &Field| {
        field.parsed("a date such as \"2026-01-31\", or an RFC 3339 time", |text| LawTime::parse(text, zone))
    };
    let begin = parse(&object.required(from));
    let end_field = if is_end_required { object.required(until) } else { object.get(until) };
    let end = parse(&end_field);
    if let (Some(begin), Some(end)) = (begin, end)
        && end.ms <= begin.ms
    {
        end_field.fault(format_args!("must be later than {from}"));
    }
    Some((begin?, end))
}

fn read_rule(field: &Field, zone: &TimeZone) -> Option<LawRule> {
    let rule = field.object(&RULE_FIELDS);
    let given: Vec<&str> = FORMS.into_iter().filter(|form| rule.get(form).is_given()).collect();
    let [form] = given[..] else {
        if field.is_object() {
            field.fault(format_args!("must have exactly one of {}", FORMS.join(", ")));
        }
        return None;
    };
    if form != "max_over_baseline_percent" {
        for key in ["baseline_from", "baseline_until"] {
            if rule.get(key).is_given() {
                rule.get(key).fault("belongs to max_over_baseline_percent alone");
            }
        }
    }
    let value = rule.get(form);
    match form {
        "max_multiplier" => value.multiplier().map(LawRule::MaxMultiplier),
        "range" => read_range(&value),
        "max_of_prior_days" => read_prior_days(&value),
        _ => {
            let percent = value.integer(&ranges::CHANGE_PERCENT);
            let (from, until) = read_times(&rule, ["baseline_from", "baseline_until"], zone, true)?;
            Some(LawRule::MaxOverBaseline { percent: u16::try_from(percent?).ok()?, from, until: until? })
        }
    }
}

fn read_range(field: &Field) -> Option<LawRule> {
    let bounds = field.items("the lowest and the highest multiplier", |count| count == 2)?;
    let (min, max) = (bounds[0].multiplier(), bounds[1].multiplier());
    let (min, max) = (min?, max?);
    if max < min {
        field.fault("must have the lowest multiplier first");
    }
    Some(LawRule::Range { min, max })
}

fn read_prior_days(field: &Field) -> Option<LawRule> {
    let rule = field.object(&["days", "leaving_out"]);
    let days = rule.required("days").integer(&ranges::PRIOR_DAYS);
    let left_out = rule.required("leaving_out").integer(&ranges::DAYS_LEFT_OUT);
    let (days, left_out) = (days?, left_out?);
    if left_out >= days {
        field.fault_at("/leaving_out", "must be less than days");
    }
    Some(LawRule::MaxOfPriorDays {
        days: u16::try_from(days).ok()?,
        leaving_out: u16::try_from(left_out).ok()?,
    })
}

/// The law in the form that [`read`] takes.
pub(super) fn write(law: &Law) -> Value {
    let mut written = Map::new();
    written.insert("id".into(), law.id.as_str().into());
    written.insert("source".into(), law.source.as_str().into());
    written.insert("from".into(), law.from.to_string().into());
    if let Some(until) = law.until {
        written.insert("until".into(), until.to_string().into());
    }
    if let Some(zone) = &law.zone {
        written.insert("zone".into(), zone.as_str().into());
    }
    if let Some(product) = &law.product {
        written.insert("product".into(), product.as_str().into());
    }
    written.insert("rule".into(), write_rule(&law.rule));
    Value::Object(written)
}

fn write_rule(rule: &LawRule) -> Value {
    match rule {
        LawRule::MaxMultiplier(max) => json!({"max_multiplier": f64::from(*max)}),
        LawRule::Range { min, max } => json!({"range": [f64::from(*min), f64::from(*max)]}),
        LawRule::MaxOverBaseline { percent, from, until } => json!({
            "max_over_baseline_percent": percent,
            "baseline_from": from.to_string(),
            "baseline_until": until.to_string(),
        }),
        LawRule::MaxOfPriorDays { days, leaving_out } => {
            json!({"max_of_prior_days": {"days": days, "leaving_out": leaving_out}})
        }
    }
}
