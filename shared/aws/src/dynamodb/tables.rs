//! The tables: their names and schemas. In production the infrastructure creates them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};

use super::Connection;
use super::item::EXPIRES;
use crate::provision::{ProvisionError, wait_until};

/// The names of the tables of one deployment.
///
/// | table | key | attributes |
/// |---|---|---|
/// | checkpoints | `log` S, `n` N | `entry` B or `parts` N, `snapshot` BOOL, `as_of` N, `writer` S, `expires` N |
/// | days | `city` S, `day` S | `figures` B, `began_ms` N, `version` N, `expires` N |
/// | history | `city` S, `tick` N | `item` B, `expires` N |
/// | maps | `city` S, `part` S | `version` N, `bytes` B, `expires` N |
/// | policies | `city` S | `version` N, `document` S, `author` S, `saved_at_ms` N, `writer` S |
/// | policies | `nyc#7` | the same of a version that was replaced, and `replaced_at_ms` N, `expires` N |
/// | policies | `#versions` | `@nyc` N, the version of each city |
/// | overrides | `city` S, `id` S | `document` S, `end_ms` N, `expires` N |
/// | overrides | a city, `#counts` | `created` N, `revision` N |
/// | overrides | `#revisions`, `#revisions` | `@nyc` N, the revision of each city's overrides |
/// | quotes | `quote` S | `token` S, `confirmed_at_ms` N, `idempotency_key` S, `logged` N, `writer` S, `expires` N |
/// | recoveries | `recovery`, a time and name | `document` S, `expires` N |
/// | recoveries | `name`, a name | `at` S, the key of the recovery, `expires` N |
/// | recoveries | `lease`, a component | `fence` N, `until_ms` N, `unfinished` S |
/// | watermarks | `board` S, `part` S | `version` N, and `cities` B or `taken_ms` N and `due_ms` N |
///
/// `expires` is the table's time-to-live attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Checkpoint logs of lanes and cities.
    pub checkpoints: String,
    /// The figures of cities' days.
    pub days: String,
    /// Histories of cities.
    pub history: String,
    /// Maps of cities.
    pub maps: String,
    /// Policies of cities.
    pub policies: String,
    /// Overrides of cities.
    pub overrides: String,
    /// Confirmed quotes.
    pub quotes: String,
    /// Recoveries.
    pub recoveries: String,
    /// The watermark board.
    pub watermarks: String,
}

/// Key and expiry of a table.
struct Schema {
    keys: &'static [(&'static str, ScalarAttributeType)],
    expiring: bool,
}

const CHECKPOINTS: Schema =
    Schema { keys: &[("log", ScalarAttributeType::S), ("n", ScalarAttributeType::N)], expiring: true };
const DAYS: Schema =
    Schema { keys: &[("city", ScalarAttributeType::S), ("day", ScalarAttributeType::S)], expiring: true };
const HISTORY: Schema =
    Schema { keys: &[("city", ScalarAttributeType::S), ("tick", ScalarAttributeType::N)], expiring: true };
const MAPS: Schema =
    Schema { keys: &[("city", ScalarAttributeType::S), ("part", ScalarAttributeType::S)], expiring: true };
const POLICIES: Schema = Schema { keys: &[("city", ScalarAttributeType::S)], expiring: true };
const OVERRIDES: Schema =
    Schema { keys: &[("city", ScalarAttributeType::S), ("id", ScalarAttributeType::S)], expiring: true };
const QUOTES: Schema = Schema { keys: &[("quote", ScalarAttributeType::S)], expiring: true };
const RECOVERIES: Schema =
    Schema { keys: &[("part", ScalarAttributeType::S), ("id", ScalarAttributeType::S)], expiring: true };
const WATERMARKS: Schema =
    Schema { keys: &[("board", ScalarAttributeType::S), ("part", ScalarAttributeType::S)], expiring: false };

impl Tables {
    /// The tables of the deployment called `prefix`: `{prefix}-checkpoints` and so on.
    #[must_use]
    pub fn named(prefix: &str) -> Self {
        let name = |table: &str| format!("{prefix}-{table}");
        Self {
            checkpoints: name("checkpoints"),
            days: name("days"),
            history: name("history"),
            maps: name("maps"),
            policies: name("policies"),
            overrides: name("overrides"),
            quotes: name("quotes"),
            recoveries: name("recoveries"),
            watermarks: name("watermarks"),
        }
    }

    /// Creates the tables that do not exist, with expiry and on-demand billing, and waits until all are active.
    ///
    /// # Errors
    /// [`ProvisionError`] for the first table that is not active within a minute.
    pub async fn create(&self, connection: &Connection) -> Result<(), ProvisionError> {
        for (table, schema) in [
            (&self.checkpoints, CHECKPOINTS),
            (&self.days, DAYS),
            (&self.history, HISTORY),
            (&self.maps, MAPS),
            (&self.policies, POLICIES),
            (&self.overrides, OVERRIDES),
            (&self.quotes, QUOTES),
            (&self.recoveries, RECOVERIES),
            (&self.watermarks, WATERMARKS),
        ] {
            create(&connection.client, table, &schema).await?;
        }
        Ok(())
    }
}

async fn create(client: &Client, table: &str, schema: &Schema) -> Result<(), ProvisionError> {
    let mut request = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for ((name, kind), role) in schema.keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let defined = AttributeDefinition::builder().attribute_name(*name).attribute_type(kind.clone());
        let key = KeySchemaElement::builder().attribute_name(*name).key_type(role);
        let invalid = |error| ProvisionError::new(table, error);
        request = request
            .attribute_definitions(defined.build().map_err(invalid)?)
            .key_schema(key.build().map_err(invalid)?);
    }
    if let Err(error) = request.send().await
        && !error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception)
    {
        return Err(ProvisionError::new(table, DisplayErrorContext(&error)));
    }
    wait_until(table, async || {
        let described = client.describe_table().table_name(table).send().await;
        let described = described.map_err(|error| ProvisionError::new(table, DisplayErrorContext(&error)))?;
        Ok(described.table().and_then(|table| table.table_status()) == Some(&TableStatus::Active))
    })
    .await?;
    if schema.expiring { enable_expiry(client, table).await } else { Ok(()) }
}

/// Makes [`EXPIRES`] the table's time-to-live attribute.
async fn enable_expiry(client: &Client, table: &str) -> Result<(), ProvisionError> {
    let described = client.describe_time_to_live().table_name(table).send().await;
    let described = described.map_err(|error| ProvisionError::new(table, DisplayErrorContext(&error)))?;
    let expiry =
        described.time_to_live_description().and_then(|description| description.time_to_live_status());
    if matches!(expiry, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let expiry = TimeToLiveSpecification::builder().attribute_name(EXPIRES).enabled(true).build();
    let expiry = expiry.map_err(|error| ProvisionError::new(table, error))?;
    let update = client.update_time_to_live().table_name(table).time_to_live_specification(expiry);
    update.send().await.map_err(|error| ProvisionError::new(table, DisplayErrorContext(&error)))?;
    Ok(())
}
