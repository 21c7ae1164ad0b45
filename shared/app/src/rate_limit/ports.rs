//! The store of what clients have used of their rates.

use std::future::Future;

use equilibrium_domain::rate::{Rate, Wait};
use xxhash_rust::xxh3::Xxh3Default;

use crate::unavailable::Unavailable;

/// A client and what it calls: a hash, so that no store keeps the name of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RateKey(pub u128);

impl RateKey {
    /// The key of the calls called `class` of the client called `client`.
    #[must_use]
    pub fn new(class: &str, client: &str) -> Self {
        let mut hash = Xxh3Default::new();
        hash.update(class.as_bytes());
        hash.update(&[0]);
        hash.update(client.as_bytes());
        Self(hash.digest128())
    }
}

/// What was found of a call.
pub type Admission = Result<(), Wait>;

/// The store of what clients have used of their rates. It forgets a client that has not called for a burst of its rate.
pub trait RateStore: Send + Sync {
    /// Takes one call of a rate at `now_us`, in microseconds since the epoch, in one atomic step.
    ///
    /// # Errors
    /// [`Unavailable`]: it is unknown whether the call was taken.
    fn take(
        &self,
        key: RateKey,
        rate: Rate,
        now_us: i64,
    ) -> impl Future<Output = Result<Admission, Unavailable>> + Send;
}

/// A deployment without a store for all its instances.
impl<S: RateStore> RateStore for Option<S> {
    async fn take(&self, key: RateKey, rate: Rate, now_us: i64) -> Result<Admission, Unavailable> {
        match self {
            Some(store) => store.take(key, rate, now_us).await,
            None => Ok(Ok(())),
        }
    }
}
