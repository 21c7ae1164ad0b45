//! The settings of a connection to a cache.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

use crate::cache::connection::{CONNECT_TIMEOUT, Route};

/// Retries of a cluster's client: one for a slot that has moved, one for a node that has failed over.
const CLUSTER_RETRIES: u32 = 2;

/// Longest pause before a retry of a cluster's client, in milliseconds: half of a reader's timeout.
const MAX_CLUSTER_RETRY_WAIT_MS: u64 = 5;

/// Settings of a connection to a cache.
#[derive(Clone)]
pub struct CacheSettings {
    /// URLs that differ only in the host: `rediss://host:port` with TLS, `redis://host:port` without. For a
    /// cluster its configuration endpoint or some of its nodes; otherwise only the primary.
    pub endpoints: Vec<String>,
    /// Whether the keys are distributed over shards.
    pub layout: Layout,
    /// Credentials, if the cache requires them. They replace those of the URLs.
    pub credentials: Option<Credentials>,
    /// Trusted root certificates in PEM; by default those of the system.
    pub roots: Option<Vec<u8>>,
    /// Limit of a call.
    pub deadline: Duration,
}

impl fmt::Debug for CacheSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL may contain a password before its host.
        let host = |url: &String| url.rsplit('@').next().unwrap_or_default().to_owned();
        f.debug_struct("CacheSettings")
            .field("endpoints", &self.endpoints.iter().map(host).collect::<Vec<_>>())
            .field("layout", &self.layout)
            .field("credentials", &self.credentials)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Whether the cache's keys are distributed over shards ("cluster mode" of `ElastiCache`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// One primary has all keys.
    #[default]
    Single,
    /// The shards of a cluster have the keys, by slot.
    Cluster,
}

/// A user of the cache.
#[derive(Clone)]
pub struct Credentials {
    /// The user's name; `None` for the default user.
    pub user: Option<String>,
    /// The user's password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The settings are invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnusableSettings {
    /// There is no endpoint, or more than one without a cluster.
    #[error("the cache has {found} endpoints; exactly one is required, or at least one of a cluster")]
    Endpoints {
        /// Number of endpoints.
        found: usize,
    },
    /// An endpoint is not a URL of a cache, or differs from the first in more than its host. The error omits the
    /// URL, which may contain a password.
    #[error(
        "endpoint {index} of the cache is not a redis:// or rediss:// URL, or differs from the first in more than its host"
    )]
    Endpoint {
        /// Counted from 0.
        index: usize,
    },
    /// The roots are not certificates in PEM.
    #[error("the trusted roots are not certificates in PEM")]
    Roots,
}

impl CacheSettings {
    /// The server or cluster of these settings.
    pub(crate) fn route(&self) -> Result<Route, UnusableSettings> {
        let found = self.endpoints.len();
        if found == 0 || found > 1 && self.layout == Layout::Single {
            return Err(UnusableSettings::Endpoints { found });
        }
        let mut endpoints: Vec<ConnectionInfo> = Vec::with_capacity(found);
        for (index, url) in self.endpoints.iter().enumerate() {
            let endpoint = self.endpoint(url).ok_or(UnusableSettings::Endpoint { index })?;
            if endpoints.first().is_some_and(|first| !differ_only_in_host(first, &endpoint)) {
                return Err(UnusableSettings::Endpoint { index });
            }
            endpoints.push(endpoint);
        }
        if self.roots.as_deref().is_some_and(|pem| !has_only_certificates(pem)) {
            return Err(UnusableSettings::Roots);
        }
        // Fails if the SDK has installed its provider, which is the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        match self.layout {
            Layout::Single => self.single(endpoints),
            Layout::Cluster => self.cluster(endpoints),
        }
    }

    fn endpoint(&self, url: &str) -> Option<ConnectionInfo> {
        let info = url.into_connection_info().ok()?;
        if matches!(info.addr(), ConnectionAddr::Unix(_)) {
            return None;
        }
        let mut redis = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(Credentials { user, password }) = &self.credentials {
            redis = redis.set_password(password);
            if let Some(user) = user {
                redis = redis.set_username(user);
            }
        }
        // A call is a few packets each way, and Nagle's algorithm would delay it by 40 ms.
        let tcp = TcpSettings::default().set_nodelay(true);
        Some(info.set_redis_settings(redis).set_tcp_settings(tcp))
    }

    fn certificates(&self) -> Option<TlsCertificates> {
        self.roots.clone().map(|root| TlsCertificates { client_tls: None, root_cert: Some(root) })
    }

    fn single(&self, endpoints: Vec<ConnectionInfo>) -> Result<Route, UnusableSettings> {
        let Some(endpoint) = endpoints.into_iter().next() else {
            return Err(UnusableSettings::Endpoints { found: 0 });
        };
        let client = match self.certificates() {
            Some(certificates) => {
                Client::build_with_tls(endpoint, certificates).map_err(|_| UnusableSettings::Roots)?
            }
            None => Client::open(endpoint).map_err(|_| UnusableSettings::Endpoint { index: 0 })?,
        };
        Ok(Route::Single(client))
    }

    fn cluster(&self, endpoints: Vec<ConnectionInfo>) -> Result<Route, UnusableSettings> {
        let tcp = TcpSettings::default().set_nodelay(true);
        let mut builder = redis::cluster::ClusterClientBuilder::new(endpoints)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(1)
            .max_retry_wait(MAX_CLUSTER_RETRY_WAIT_MS)
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(self.deadline)
            .tcp_settings(tcp);
        if let Some(certificates) = self.certificates() {
            builder = builder.certs(certificates);
        }
        Ok(Route::Cluster(builder.build().map_err(|_| UnusableSettings::Roots)?))
    }
}

/// Whether `pem` contains only valid certificates and at least one. The client would accept a text without any
/// and trust the system's roots.
fn has_only_certificates(pem: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
    certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok())
}

/// Whether both use TLS or neither, with the same user and database.
fn differ_only_in_host(one: &ConnectionInfo, other: &ConnectionInfo) -> bool {
    let user = |info: &ConnectionInfo| {
        let redis = info.redis_settings();
        (redis.username().map(str::to_owned), redis.password().map(str::to_owned), redis.db())
    };
    let has_tls = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    has_tls(one) == has_tls(other) && user(one) == user(other)
}
