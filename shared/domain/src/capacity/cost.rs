//! What a deployment costs: its consumption, at list prices that carry their date.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::decimal::Decimal;

/// Seconds of a month of 730 hours, by which AWS prices months.
pub const MONTH_S: u64 = 730 * 3_600;

const LISTED: &str = include_str!("prices.json");

/// Prices of one region.
#[derive(Clone, Debug, Deserialize)]
pub struct PriceList {
    /// The region.
    pub region: String,
    /// The currency of every price (ISO 4217).
    pub currency: String,
    /// The day on which the list was put together.
    pub as_of: String,
    prices: Vec<Price>,
}

#[derive(Clone, Debug, Deserialize)]
struct Price {
    item: Item,
    /// A decimal number: prices are no floats.
    #[serde(rename = "price")]
    amount: String,
    unit: String,
    as_of: String,
    /// Where the price is listed; a price without a source is not read.
    #[expect(dead_code, reason = "it is for those who read the list")]
    source: String,
}

/// What has a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// A provisioned shard for an hour.
    KinesisShardHour,
    /// A record put, for each 25 KB of it.
    KinesisPutUnit,
    /// A write request unit.
    DynamodbWriteUnit,
    /// A read request unit.
    DynamodbReadUnit,
    /// A GB stored for a month.
    DynamodbGbMonth,
    /// A GB of a function's memory for a second.
    LambdaGbSecond,
    /// An invocation.
    LambdaRequest,
    /// A request of an HTTP API.
    HttpApiRequest,
    /// A node of the cache for an hour.
    CacheNodeHour,
    /// A GB of logs.
    LogGb,
    /// An alarm for a month.
    AlarmMonth,
    /// A metric for a month.
    MetricMonth,
    /// A secret for a month.
    SecretMonth,
}

/// What causes a consumption.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Market events, up to the published map.
    Events,
    /// Prices and maps that are read.
    Prices,
    /// Quotes that are issued and confirmed.
    Quotes,
    /// The deployment itself, whatever its load.
    Deployment,
}

/// Consumption of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Consumption {
    /// The component that consumes it.
    pub component: &'static str,
    /// The item.
    pub item: Item,
    /// What causes it.
    pub cause: Cause,
    /// How much of it in a month.
    pub per_month: f64,
}

/// An amount of the list's currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// The amount as a decimal number: of a month with the currency's digits, of a million with six.
    pub amount: String,
    /// The currency (ISO 4217).
    pub currency: &'static str,
}

/// A line of the bill.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostLine {
    /// The component.
    pub component: &'static str,
    /// The item.
    pub item: Item,
    /// What causes it.
    pub cause: Cause,
    /// How much of it in a month.
    pub quantity: Decimal,
    /// The item in words.
    pub unit: &'static str,
    /// The date of its price.
    pub price_as_of: &'static str,
    /// What it costs in a month.
    pub month: Amount,
}

/// The bill of a month.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// All of it.
    pub month: Amount,
    /// What a million events cost; `null` without events.
    pub per_million_events: Option<Amount>,
    /// What a million requests for prices cost; `null` without requests.
    pub per_million_prices: Option<Amount>,
    /// What a million quotes cost, confirmations included; `null` without quotes.
    pub per_million_quotes: Option<Amount>,
    /// The lines, in the order of the system's components.
    pub lines: Vec<CostLine>,
}

/// How many events, requests for prices and quotes there are in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Events.
    pub events: f64,
    /// Requests for prices and maps.
    pub prices: f64,
    /// Issued quotes.
    pub quotes: f64,
}

impl PriceList {
    /// The list of this version.
    #[must_use]
    pub fn listed() -> &'static Self {
        static LIST: LazyLock<PriceList> =
            LazyLock::new(|| serde_json::from_str(LISTED).expect("a test reads the list"));
        &LIST
    }

    fn of(&self, item: Item) -> &Price {
        self.prices.iter().find(|price| price.item == item).expect("a test finds the price of every item")
    }

    /// The bill for `consumption` at these rates.
    #[must_use]
    pub fn bill(&'static self, consumption: &[Consumption], rates: Rates) -> Cost {
        let mut totals = [(Cause::Events, Decimal::ZERO), (Cause::Prices, Decimal::ZERO)]
            .into_iter()
            .chain([(Cause::Quotes, Decimal::ZERO), (Cause::Deployment, Decimal::ZERO)])
            .collect::<Vec<_>>();
        let mut lines = Vec::with_capacity(consumption.len());
        for Consumption { component, item, cause, per_month } in consumption {
            let price = self.of(*item);
            let quantity = Decimal::of_float(*per_month).unwrap_or(Decimal::ZERO);
            let amount = quantity.times(price.value());
            let total = totals.iter_mut().find(|(of, _)| of == cause).expect("every cause has a total");
            total.1 = total.1.plus(amount);
            lines.push(CostLine {
                component,
                item: *item,
                cause: *cause,
                quantity,
                unit: &price.unit,
                price_as_of: &price.as_of,
                month: self.amount(amount, 2),
            });
        }
        let total = |cause| totals.iter().find(|(of, _)| *of == cause).map_or(Decimal::ZERO, |(_, sum)| *sum);
        let per_million = |cause, per_s: f64| {
            let millions = 1e6 / (per_s * Decimal::whole(MONTH_S).to_float());
            let millions = Decimal::of_float(millions).filter(|_| per_s > 0.0)?;
            Some(self.amount(total(cause).times(millions), 6))
        };
        let month = totals.iter().fold(Decimal::ZERO, |sum, (_, amount)| sum.plus(*amount));
        Cost {
            month: self.amount(month, 2),
            per_million_events: per_million(Cause::Events, rates.events),
            per_million_prices: per_million(Cause::Prices, rates.prices),
            per_million_quotes: per_million(Cause::Quotes, rates.quotes),
            lines,
        }
    }

    fn amount(&'static self, amount: Decimal, digits: usize) -> Amount {
        Amount { amount: amount.to_text(digits), currency: &self.currency }
    }
}

impl Price {
    fn value(&self) -> Decimal {
        Decimal::parse(&self.amount).expect("a test reads every price")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: [Item; 13] = [
        Item::KinesisShardHour,
        Item::KinesisPutUnit,
        Item::DynamodbWriteUnit,
        Item::DynamodbReadUnit,
        Item::DynamodbGbMonth,
        Item::LambdaGbSecond,
        Item::LambdaRequest,
        Item::HttpApiRequest,
        Item::CacheNodeHour,
        Item::LogGb,
        Item::AlarmMonth,
        Item::MetricMonth,
        Item::SecretMonth,
    ];

    #[test]
    fn every_item_has_one_price_with_its_date() {
        let list = PriceList::listed();
        assert_eq!(list.prices.len(), ITEMS.len());
        for item in ITEMS {
            let price = list.of(item);
            assert!(
                price.value() > Decimal::ZERO && !price.unit.is_empty() && price.as_of.len() >= 7,
                "{item:?}"
            );
        }
        assert_eq!((list.region.as_str(), list.as_of.len()), ("us-east-1", 10));
    }

    #[test]
    fn a_bill_adds_up_without_floats() {
        let line = |item, cause, per_month| Consumption { component: "c", item, cause, per_month };
        let consumption = [
            line(Item::KinesisShardHour, Cause::Events, 2.0 * 730.0),
            line(Item::DynamodbWriteUnit, Cause::Events, 1e6),
            line(Item::HttpApiRequest, Cause::Quotes, 3e6),
            line(Item::CacheNodeHour, Cause::Deployment, 730.0),
        ];
        let per_s = |millions: f64| millions * 1e6 / 2_628_000.0;
        let rates = Rates { events: per_s(10.0), prices: 0.0, quotes: per_s(1.5) };
        let cost = PriceList::listed().bill(&consumption, rates);
        // 21.90 + 0.625 + 3.00 + 11.68.
        assert_eq!(cost.month.amount, "37.21");
        assert_eq!(cost.per_million_events.unwrap().amount, "2.252500");
        assert_eq!(cost.per_million_quotes.unwrap().amount, "2.000000");
        assert_eq!(cost.per_million_prices, None);
        let months: Vec<_> = cost.lines.iter().map(|line| line.month.amount.as_str()).collect();
        assert_eq!(months, ["21.90", "0.63", "3.00", "11.68"]);
    }
}
