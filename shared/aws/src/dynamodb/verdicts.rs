//! Verdicts on components: one item each, replaced on condition.

use aws_sdk_dynamodb::error::SdkError;
use equilibrium_app::health::ports::{RoundTrip, SaveError, VerdictStore};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::health::component::Component;
use equilibrium_domain::health::verdict::Verdict;
use tokio::time::timeout_at;
use tracing::error_span;

use super::item::{Item, read_text, signed, text};
use super::table::Table;
use super::{Connection, Tables};
use crate::retry::{log_unavailable, with_deadline};

const COMPONENT: &str = "component";
const CHECKED_AT: &str = "checked_at_ms";
/// JSON.
const DOCUMENT: &str = "document";

/// Verdicts in a table.
#[derive(Clone, Debug)]
pub struct Verdicts {
    table: Table,
}

impl Verdicts {
    /// The verdicts in these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self { table: Table::new(connection, &tables.health) }
    }
}

impl VerdictStore for Verdicts {
    async fn verdicts(&self) -> Result<Vec<Verdict>, Unavailable> {
        let keys = Component::ALL.map(key).to_vec();
        let read = self.table.batch_get(keys, true);
        let items =
            with_deadline(self.table.retry_policy().deadline(), error_span!("verdicts"), read).await?;
        Ok(items.iter().filter_map(read_item).collect())
    }

    async fn save_verdict(&self, verdict: &Verdict, after: Option<i64>) -> Result<(), SaveError> {
        let mut item = key(verdict.component);
        let document = serde_json::to_string(verdict).map_err(|_| Unavailable)?;
        item.insert(CHECKED_AT.into(), signed(verdict.checked_at_ms.unwrap_or(0)));
        item.insert(DOCUMENT.into(), text(document));
        let request = self
            .table
            .put_item(item)
            .condition_expression("attribute_not_exists(#component) OR #checked_at = :after")
            .expression_attribute_names("#component", COMPONENT)
            .expression_attribute_names("#checked_at", CHECKED_AT)
            .expression_attribute_values(":after", signed(after.unwrap_or(-1)));
        let deadline = self.table.retry_policy().write_deadline();
        match timeout_at(deadline, request.send()).await.map_err(|_| Unavailable)? {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Err(SaveError::Conflict)
            }
            Err(error) => Err(log_unavailable("PutItem", &error).into()),
        }
    }
}

/// A consistent read of one item.
impl RoundTrip for Verdicts {
    async fn round_trip(&self) -> Result<(), Unavailable> {
        let read = async {
            let read = self.table.get_item(key(Component::DynamoDb)).send().await;
            read.map(drop).map_err(|error| log_unavailable("GetItem", &error))
        };
        with_deadline(self.table.retry_policy().deadline(), error_span!("verdicts"), read).await
    }
}

fn key(component: Component) -> Item {
    Item::from([(COMPONENT.into(), text(component.as_str()))])
}

/// The verdict of an item, unless another release wrote it in another form.
fn read_item(item: &Item) -> Option<Verdict> {
    let verdict: Verdict = serde_json::from_str(read_text(item, DOCUMENT)?).ok()?;
    (read_text(item, COMPONENT) == Some(verdict.component.as_str())).then_some(verdict)
}
