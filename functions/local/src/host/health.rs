//! What health probes reach in this process: the functions without the server, and the stream of changes.

use std::sync::Arc;

use equilibrium_app::health::ports::{Api, ApiAnswer, ApiRequest, RoundTrip};
use equilibrium_app::quote::issue::Trust;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_embedded::store::Store;
use equilibrium_http::Request;
use equilibrium_local_health::{self as local_health, LocalRun};

use crate::host::router::LocalApi;

/// The functions of the process, as probes call them.
#[derive(Clone, Debug)]
struct Functions(Arc<LocalApi>);

/// The looks at the functions and the store of this process.
#[must_use]
pub fn looks(api: &Arc<LocalApi>, store: &Store) -> LocalRun {
    let functions = Functions(Arc::clone(api));
    local_health::looks(
        store,
        functions.clone(),
        (Arc::clone(api.policies()), api.board().clone()),
        functions,
    )
}

/// Probes need no token, and their events are not among those that the process has accepted.
impl Api for Functions {
    async fn send(&self, request: ApiRequest) -> Result<ApiAnswer, Unavailable> {
        let ApiRequest { function, method, path, query, content_type, body } = &request;
        let headers = [("content-type".into(), (*content_type).into())];
        let request = Request { method, path, query, headers: &headers, body: body.as_bytes() };
        let response = match *function {
            "ingest" => self.0.ingest(&request).await.0,
            "quote" => self.0.quote(&request, Trust::Untrusted).await,
            _ => self.0.price(&request).await,
        };
        Ok(ApiAnswer { status: response.status, body: response.body.bytes().into_owned() })
    }
}

/// The stream begins and brings something: the pulse comes each second.
impl RoundTrip for Functions {
    async fn round_trip(&self) -> Result<(), Unavailable> {
        let request = Request { method: "GET", path: "/v1/stream", query: "", headers: &[], body: b"" };
        let subscribed = self.0.subscribe(&request).await;
        let (_, mut events) = subscribed.map_err(|_| Unavailable)?;
        events.next().await;
        events.next().await;
        Ok(())
    }
}
