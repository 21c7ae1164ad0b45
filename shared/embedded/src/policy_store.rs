//! The policy store of one process, and what its start takes from a city file.

use equilibrium_app::policy::ports::{NewVersion, PolicyStore, ReplaceError, SavedVersion, StoredPolicy};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::Policy;
use tokio::sync::oneshot;

use crate::database::Row;
use crate::policies::encode;
use crate::state::State;
use crate::store::Store;

/// The author of a version that comes from a city file, or from the program itself.
pub const CITY_FILE_AUTHOR: &str = "city file";

impl Store {
    /// Brings the policies of a start into force at `now_ms`, in milliseconds since the epoch, and returns all that are in
    /// force then: those of `file` in its order, and then the others by city.
    ///
    /// A policy of the file becomes a new version if the city has none, or if it differs from what the store last took
    /// from a file: someone has edited the file. Otherwise what was saved since stays in force. Without a file the store's
    /// own policies are in force, or `default` if it has none. A city that is not in the file keeps its policy.
    pub fn start_policies(
        &self,
        file: Option<&[Policy]>,
        default: impl FnOnce() -> Policy,
        now_ms: i64,
    ) -> Vec<Policy> {
        let mut state = self.0.state.lock();
        for policy in file.unwrap_or_default() {
            take_file(&mut state, policy, now_ms);
        }
        let mut policies = in_force(&state);
        if policies.is_empty() {
            take_file(&mut state, &default(), now_ms);
            policies = in_force(&state);
        }
        self.0.changed.notify_one();
        let of_file = |policy: &Policy| file?.iter().position(|given| given.city == policy.city);
        policies.sort_by_key(|policy| of_file(policy).unwrap_or(usize::MAX));
        policies
    }
}

/// Saves a policy of a file, unless the store has taken it before or has it in force.
fn take_file(state: &mut State, policy: &Policy, now_ms: i64) {
    let (city, document) = (&policy.city, policy.to_json().to_string());
    let newest = state.policies.versions.read(&[(city.clone(), 0)]).pop();
    let is_known = state.policies.files.get(city) == Some(&document);
    if is_known && newest.is_some() {
        return;
    }
    if newest.as_ref().is_none_or(|newest| newest.document != document) {
        let new = NewVersion { document: &document, author: CITY_FILE_AUTHOR, saved_at_ms: now_ms };
        let saved = save(state, city, new, newest.map(|newest| newest.version));
        saved.expect("the version is that of the newest one");
    }
    if let Some(pending) = &mut state.pending {
        pending.changes.rows.insert(Row::CityFile(city.clone()), Some(document.clone().into_bytes()));
    }
    state.policies.files.insert(city.clone(), document);
}

/// The newest policies, by city. A document that this version of the program does not take defines no city.
fn in_force(state: &State) -> Vec<Policy> {
    let stored = state.policies.versions.read(&state.policies.versions.newest());
    let policy = |stored: StoredPolicy| {
        let document = Policy::read_document(&stored.document).ok()?;
        Policy::from_json(&document).ok()
    };
    stored.into_iter().filter_map(policy).collect()
}

/// Saves a version, which is written behind.
fn save(
    state: &mut State,
    city: &CityId,
    new: NewVersion<'_>,
    after: Option<u64>,
) -> Result<u64, ReplaceError> {
    let (version, expired) = state.policies.versions.save(city, new, after)?;
    if let Some(pending) = &mut state.pending {
        let rows = &mut pending.changes.rows;
        rows.insert(Row::Policy(city.clone(), version), Some(encode(new)));
        rows.extend(expired.into_iter().map(|version| (Row::Policy(city.clone(), version), None)));
    }
    Ok(version)
}

impl PolicyStore for Store {
    async fn versions(&self) -> Result<Vec<(CityId, u64)>, Unavailable> {
        Ok(self.0.state.lock().policies.versions.newest())
    }

    async fn read(&self, cities: &[(CityId, u64)]) -> Result<Vec<StoredPolicy>, Unavailable> {
        Ok(self.0.state.lock().policies.versions.read(cities))
    }

    /// The version is on disk when this returns. While the disk takes no writes, nothing is saved.
    async fn save(
        &self,
        city: &CityId,
        new: NewVersion<'_>,
        after: Option<u64>,
    ) -> Result<u64, ReplaceError> {
        let (written, on_disk) = oneshot::channel();
        let version = {
            let mut state = self.0.state.lock();
            let pending = state.pending.as_ref();
            if pending.is_some_and(|pending| pending.write_error.is_some() || pending.closing) {
                return Err(Unavailable.into());
            }
            let version = save(&mut state, city, new, after)?;
            let Some(pending) = &mut state.pending else { return Ok(version) };
            pending.written.push(written);
            self.0.changed.notify_one();
            version
        };
        on_disk.await.map_err(|_| Unavailable)?;
        Ok(version)
    }

    async fn saved_versions(
        &self,
        city: &CityId,
        below: Option<u64>,
        limit: usize,
        now_ms: i64,
    ) -> Result<Vec<SavedVersion>, Unavailable> {
        Ok(self.0.state.lock().policies.versions.list(city, below, limit, now_ms))
    }

    async fn version(
        &self,
        city: &CityId,
        version: u64,
        now_ms: i64,
    ) -> Result<Option<StoredPolicy>, Unavailable> {
        Ok(self.0.state.lock().policies.versions.version(city, version, now_ms))
    }
}

#[cfg(test)]
mod tests {
    use equilibrium_app::clock::Clock;
    use equilibrium_app::contract;
    use equilibrium_domain::id::LaneCount;
    use tempfile::TempDir;

    use super::*;
    use crate::database::Database;

    fn open(folder: &TempDir) -> Store {
        let (database, contents) = Database::open(folder.path(), LaneCount::ONE).unwrap();
        Store::on_disk(LaneCount::ONE, Clock::live(std::num::NonZeroU32::MIN), database, contents)
    }

    fn in_memory() -> Store {
        Store::in_memory(LaneCount::ONE, Clock::live(std::num::NonZeroU32::MIN))
    }

    fn policy(city: &str, name: &str) -> Policy {
        let policy = Policy::open_city(&CityId::new(city).unwrap());
        Policy { name: name.to_owned(), ..policy }
    }

    fn start(store: &Store, file: Option<&[Policy]>) -> Vec<(String, String)> {
        let policies = store.start_policies(file, || policy("default", "default"), 7);
        policies.into_iter().map(|policy| (policy.city.to_string(), policy.name)).collect()
    }

    fn named(policies: &[(&str, &str)]) -> Vec<(String, String)> {
        policies.iter().map(|(city, name)| ((*city).to_owned(), (*name).to_owned())).collect()
    }

    async fn put(store: &Store, policy: &Policy, after: Option<u64>) -> Result<u64, ReplaceError> {
        let document = policy.to_json().to_string();
        store
            .save(&policy.city, NewVersion { document: &document, author: "ada", saved_at_ms: 8 }, after)
            .await
    }

    #[tokio::test]
    async fn the_store_keeps_the_contract_of_the_policy_store_in_memory_and_on_disk() {
        let folder = TempDir::new().unwrap();
        for store in [in_memory(), open(&folder)] {
            contract::policy_store(&store).await;
            contract::policy_versions(&store, 1_772_427_600_000).await;
            store.close();
        }
    }

    #[tokio::test]
    async fn every_version_and_its_author_survive_a_restart() {
        let folder = TempDir::new().unwrap();
        let store = open(&folder);
        let city = CityId::new("nyc").unwrap();
        start(&store, Some(&[policy("nyc", "file")]));
        assert_eq!(put(&store, &policy("nyc", "second"), Some(1)).await, Ok(2));
        let versions = async |store: &Store| store.saved_versions(&city, None, 9, 9).await.unwrap();
        let before = versions(&store).await;
        let authors: Vec<&str> = before.iter().map(|saved| saved.author.as_str()).collect();
        assert_eq!(authors, ["ada", CITY_FILE_AUTHOR]);
        store.close();
        drop(store);

        let store = open(&folder);
        assert_eq!(versions(&store).await, before);
        let first = store.version(&city, 1, 9).await.unwrap().unwrap();
        assert_eq!(first.document, policy("nyc", "file").to_json().to_string());
        store.close();
    }

    #[tokio::test]
    async fn what_was_saved_stays_in_force_until_the_file_is_edited() {
        let folder = TempDir::new().unwrap();
        let restart = |store: Store| {
            store.close();
            drop(store);
            open(&folder)
        };
        let file = [policy("nyc", "file"), policy("lima", "file")];
        let store = open(&folder);
        assert_eq!(start(&store, Some(&file)), named(&[("nyc", "file"), ("lima", "file")]));
        put(&store, &policy("nyc", "saved"), Some(1)).await.unwrap();
        put(&store, &policy("oslo", "saved"), None).await.unwrap();

        let store = restart(store);
        let all = [("nyc", "saved"), ("lima", "file"), ("oslo", "saved")];
        assert_eq!(start(&store, Some(&file)), named(&all), "the file is as it was");
        let store = restart(store);
        let edited = [policy("nyc", "edited"), policy("lima", "file")];
        let all = [("nyc", "edited"), ("lima", "file"), ("oslo", "saved")];
        assert_eq!(start(&store, Some(&edited)), named(&all));
        let versions: Vec<u64> = store.versions().await.unwrap().into_iter().map(|(_, at)| at).collect();
        assert_eq!(versions, [1, 3, 1], "lima, nyc, oslo");
        let store = restart(store);
        assert_eq!(start(&store, None), named(&[("lima", "file"), ("nyc", "edited"), ("oslo", "saved")]));
        // The file as it was first is another edit.
        assert_eq!(start(&store, Some(&file[..1]))[0], ("nyc".to_owned(), "file".to_owned()));
        store.close();
    }

    #[tokio::test]
    async fn a_store_without_policies_begins_with_those_of_the_program() {
        let store = in_memory();
        assert_eq!(start(&store, None), named(&[("default", "default")]));
        assert_eq!(start(&store, None), named(&[("default", "default")]));
        assert_eq!(store.versions().await.unwrap(), [(CityId::new("default").unwrap(), 1)]);
    }

    #[tokio::test]
    async fn a_policy_equal_to_the_one_in_force_is_no_new_version() {
        let store = in_memory();
        start(&store, Some(&[policy("nyc", "file")]));
        put(&store, &policy("nyc", "saved"), Some(1)).await.unwrap();
        start(&store, Some(&[policy("nyc", "saved")]));
        assert_eq!(store.versions().await.unwrap(), [(CityId::new("nyc").unwrap(), 2)]);
    }

    #[tokio::test]
    async fn a_version_that_is_not_on_disk_is_not_acknowledged() {
        let folder = TempDir::new().unwrap();
        let store = open(&folder);
        store.close();
        assert_eq!(put(&store, &policy("nyc", "late"), None).await, Err(Unavailable.into()));
        assert_eq!(store.versions().await, Ok(vec![]));
    }
}
