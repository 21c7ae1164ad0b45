//! Policies: one item per city, replaced conditionally, an item for each version that was replaced, and an index of the
//! newest versions, all written together.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::builders::{PutBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, Update};
use equilibrium_app::policy::ports::{
    NewVersion, PolicyStore, ReplaceError, SavedVersion, StoredPolicy, VERSIONS_KEPT_MS,
};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use tokio::time::{sleep, timeout_at};
use tracing::{Span, error_span};

use super::item::{
    EXPIRES, Item, WRITER, WriterTokens, number, read_number, read_signed, read_text, signed, text,
};
use super::table::Table;
use super::{Connection, Tables};
use crate::retry::{jittered_backoff, log_unavailable, with_deadline};

const CITY: &str = "city";
const VERSION: &str = "version";
const DOCUMENT: &str = "document";
const AUTHOR: &str = "author";
const SAVED_AT: &str = "saved_at_ms";
/// When the next version was saved; only versions that were replaced have it.
const REPLACED_AT: &str = "replaced_at_ms";

/// The key of the index, which cannot be a city's.
const INDEX: &str = "#versions";
/// What the names of the index's attributes begin with; the city follows. An item of 400 KB has room for 8,000 cities.
const INDEXED: &str = "@";

/// The longest pause before a policy is saved again that was saved beside another.
const MAX_CONFLICT_BACKOFF: Duration = Duration::from_millis(200);

/// Policies in a table.
#[derive(Debug)]
pub struct Policies {
    table: Table,
    writers: WriterTokens,
}

impl Policies {
    /// The policies in these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self { table: Table::new(connection, &tables.policies), writers: WriterTokens::default() }
    }

    /// Writes `item` of `city` over version `after`, that version as a past one, and the new version into the index. Returns
    /// the item that is stored afterwards, if that is known.
    async fn replace(
        &self,
        city: &CityId,
        (item, saved_at_ms): (Item, i64),
        (after, version): (Option<u64>, u64),
    ) -> Option<Item> {
        let past = match after {
            None => None,
            Some(after) => {
                let stored = self.read_one(city).await.ok()?.unwrap_or_default();
                if read_number(&stored, VERSION) != Some(after) {
                    return Some(stored);
                }
                Some(Put::builder().set_item(Some(past_item(stored, city, after, saved_at_ms))))
            }
        };
        let put = Put::builder()
            .set_item(Some(item.clone()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match after {
            None => put
                .condition_expression("attribute_not_exists(#city)")
                .expression_attribute_names("#city", CITY),
            Some(version) => put
                .condition_expression("#version = :after")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":after", number(version)),
        };
        let update = Update::builder()
            .set_key(Some(key(INDEX)))
            .update_expression("SET #indexed = :version")
            .expression_attribute_names("#indexed", indexed(city))
            .expression_attribute_values(":version", number(version));
        let puts: Vec<PutBuilder> = std::iter::once(put).chain(past).collect();
        self.write((puts, update), item).await
    }

    /// Writes in one transaction, again while another policy is being saved: both write the index. Returns the item that
    /// is stored afterwards: `item`, or the one that was not to be replaced.
    async fn write(&self, (puts, update): (Vec<PutBuilder>, UpdateBuilder), item: Item) -> Option<Item> {
        for attempt in 0.. {
            let request = self.table.transact_write(puts.clone(), [update.clone()]);
            let request = request.map_err(|error| log_unavailable("TransactWriteItems", &error)).ok()?;
            match request.send().await {
                Ok(_) => return Some(item),
                Err(SdkError::ServiceError(error)) => match error.into_err() {
                    TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                        let reasons = cancelled.cancellation_reasons.unwrap_or_default();
                        let is = |code: &str| reasons.iter().any(|reason| reason.code() == Some(code));
                        if is("ConditionalCheckFailed") {
                            // Without an item, there was none to replace.
                            return Some(
                                reasons.into_iter().find_map(|reason| reason.item).unwrap_or_default(),
                            );
                        }
                        // Another policy is being saved: both write the index.
                        if !is("TransactionConflict") {
                            return None;
                        }
                    }
                    error => {
                        log_unavailable("TransactWriteItems", &error);
                        return None;
                    }
                },
                Err(error) => {
                    log_unavailable("TransactWriteItems", &error);
                    return None;
                }
            }
            sleep(jittered_backoff(attempt, MAX_CONFLICT_BACKOFF)).await;
        }
        None
    }

    async fn read_one(&self, city: &CityId) -> Result<Option<Item>, Unavailable> {
        let request = self.table.get_item(key(city.as_str()));
        let read = request.send().await.map_err(|error| log_unavailable("GetItem", &error))?;
        Ok(read.item)
    }
}

impl PolicyStore for Policies {
    async fn versions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        let read = async {
            let read = self.table.get_item(key(INDEX)).send().await;
            read.map_err(|error| log_unavailable("GetItem", &error))
        };
        let read = with_deadline(self.table.retry_policy().deadline(), Span::none(), read).await?;
        let index = read.item.unwrap_or_default();
        let version = |name: &String| {
            let city = CityId::new(name.strip_prefix(INDEXED)?)?;
            Some((city, read_number(&index, name)?))
        };
        Ok(index.keys().filter_map(version).collect())
    }

    /// Most documents are older than a moment: they are read eventually consistent, and again where that was too early.
    async fn read(&self, cities: &[(CityId, u64)]) -> Result<Vec<StoredPolicy>, Unavailable> {
        let deadline = self.table.retry_policy().deadline();
        let mut policies: Vec<StoredPolicy> = Vec::with_capacity(cities.len());
        for consistent in [false, true] {
            let is_read = |city: &CityId| policies.iter().any(|policy| policy.city == *city);
            let missing = cities.iter().filter(|(city, _)| !is_read(city));
            let wanted: BTreeMap<&str, u64> = missing.map(|(city, at)| (city.as_str(), *at)).collect();
            let keys: Vec<Item> = wanted.keys().map(|city| key(city)).collect();
            if keys.is_empty() {
                break;
            }
            let read = with_deadline(deadline, Span::none(), self.table.batch_get(keys, consistent)).await?;
            for item in read {
                let policy = read_policy(&item).ok_or_else(|| {
                    tracing::error!(?item, "policy unreadable");
                    Unavailable
                })?;
                if wanted.get(policy.city.as_str()).is_some_and(|version| policy.version >= *version) {
                    policies.push(policy);
                }
            }
        }
        Ok(policies)
    }

    async fn save(
        &self,
        city: &CityId,
        new: NewVersion<'_>,
        after: Option<u64>,
    ) -> Result<u64, ReplaceError> {
        let policy = self.table.retry_policy();
        let (deadline, write_deadline) = (policy.deadline(), policy.write_deadline());
        let version = after.unwrap_or(0) + 1;
        let writer = self.writers.next_token();
        let item = Item::from([
            (CITY.into(), text(city.as_str())),
            (VERSION.into(), number(version)),
            (DOCUMENT.into(), text(new.document)),
            (AUTHOR.into(), text(new.author)),
            (SAVED_AT.into(), signed(new.saved_at_ms)),
            (WRITER.into(), text(writer.as_str())),
        ]);
        let is_ours = |item: &Item| read_text(item, WRITER) == Some(&writer);
        let replace = self.replace(city, (item, new.saved_at_ms), (after, version));
        match timeout_at(write_deadline, replace).await {
            // An earlier attempt of this call, whose answer was lost, may have written the stored item.
            Ok(Some(stored)) if is_ours(&stored) => Ok(version),
            Ok(Some(_)) => Err(ReplaceError::VersionMismatch),
            Ok(None) | Err(_) => {
                let span = error_span!("policy", %city);
                let stored = with_deadline(deadline, span, self.read_one(city)).await?;
                if stored.as_ref().is_some_and(is_ours) {
                    return Ok(version);
                }
                let stored = stored.and_then(|item| read_number(&item, VERSION));
                // If the version to replace is still stored, an attempt may still be in flight.
                Err(if stored == after { Unavailable.into() } else { ReplaceError::VersionMismatch })
            }
        }
    }

    async fn saved_versions(
        &self,
        city: &CityId,
        below: Option<u64>,
        limit: usize,
        now_ms: i64,
    ) -> Result<Vec<SavedVersion>, Unavailable> {
        let read = async {
            let Some(newest) = self.read_one(city).await? else { return Ok(Vec::new()) };
            let version = read_version(&newest)?.version;
            let below = below.unwrap_or(u64::MAX);
            let mut items = Vec::new();
            if version < below {
                items.push(newest);
            }
            // The numbers of versions have no gaps.
            let past = (1..version.min(below)).rev().take(limit);
            let keys: Vec<Item> = past.map(|version| past_key(city, version)).collect();
            if !keys.is_empty() {
                items.extend(self.table.batch_get(keys, true).await?);
            }
            let kept = items.iter().filter(|item| is_kept(item, now_ms));
            let mut versions: Vec<SavedVersion> = kept.map(read_version).collect::<Result<_, _>>()?;
            versions.sort_unstable_by_key(|saved| Reverse(saved.version));
            versions.truncate(limit);
            Ok(versions)
        };
        with_deadline(self.table.retry_policy().deadline(), Span::none(), read).await
    }

    async fn version(
        &self,
        city: &CityId,
        version: u64,
        now_ms: i64,
    ) -> Result<Option<StoredPolicy>, Unavailable> {
        let read = async {
            let newest = self.read_one(city).await?;
            let item = match newest.as_ref().and_then(|newest| read_number(newest, VERSION)) {
                Some(newest_version) if version == newest_version => newest,
                Some(newest_version) if version < newest_version => {
                    let request = self.table.get_item(past_key(city, version));
                    request.send().await.map_err(|error| log_unavailable("GetItem", &error))?.item
                }
                _ => None,
            };
            Ok(item.filter(|item| is_kept(item, now_ms)).and_then(|item| {
                let document = read_text(&item, DOCUMENT)?.into();
                Some(StoredPolicy { city: city.clone(), version, document })
            }))
        };
        with_deadline(self.table.retry_policy().deadline(), Span::none(), read).await
    }
}

/// The item of a version that is replaced at `replaced_at_ms`, from its item as the newest one.
fn past_item(mut item: Item, city: &CityId, version: u64, replaced_at_ms: i64) -> Item {
    let expires_s = u64::try_from((replaced_at_ms + VERSIONS_KEPT_MS) / 1_000).unwrap_or(0);
    item.remove(WRITER);
    item.extend(past_key(city, version));
    item.insert(REPLACED_AT.into(), signed(replaced_at_ms));
    item.insert(EXPIRES.into(), number(expires_s));
    item
}

/// DynamoDB deletes an expired item within days; until then it counts as absent.
fn is_kept(item: &Item, now_ms: i64) -> bool {
    read_signed(item, REPLACED_AT).is_none_or(|replaced_at_ms| now_ms - replaced_at_ms < VERSIONS_KEPT_MS)
}

fn read_version(item: &Item) -> Result<SavedVersion, Unavailable> {
    let saved = || {
        Some(SavedVersion {
            version: read_number(item, VERSION)?,
            saved_at_ms: read_signed(item, SAVED_AT)?,
            author: read_text(item, AUTHOR)?.into(),
        })
    };
    saved().ok_or_else(|| {
        tracing::error!(?item, "policy unreadable");
        Unavailable
    })
}

/// The key of a past version, which cannot be a city's.
fn past_key(city: &CityId, version: u64) -> Item {
    key(&format!("{city}#{version}"))
}

fn key(city: &str) -> Item {
    Item::from([(CITY.into(), text(city))])
}

/// The attribute of the index with the version of this city.
fn indexed(city: &CityId) -> String {
    format!("{INDEXED}{city}")
}

fn read_policy(item: &Item) -> Option<StoredPolicy> {
    Some(StoredPolicy {
        city: CityId::new(read_text(item, CITY)?)?,
        version: read_number(item, VERSION)?,
        document: read_text(item, DOCUMENT)?.into(),
    })
}
