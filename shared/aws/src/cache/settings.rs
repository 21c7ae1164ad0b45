//! How a cache is reached.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use thiserror::Error;

use crate::cache::connection::{CONNECT_TIMEOUT, Route};

/// How a cluster's client asks again: twice, for a slot moves once and a node fails over once.
const CLUSTER_RETRIES: u32 = 2;

/// The longest pause before a cluster's client asks again, in milliseconds: half of what a reader waits.
const CLUSTER_PAUSE_MS: u64 = 5;

/// How a cache is reached.
#[derive(Clone)]
pub struct CacheSettings {
    /// URLs, all alike but for the host: `rediss://host:port` with TLS, `redis://host:port` without. Of a
    /// cluster its configuration endpoint, or some of its nodes; otherwise one, the primary.
    pub endpoints: Vec<String>,
    /// Whether the keys are spread over shards.
    pub layout: Layout,
    /// Who asks, if the cache wants to know; it stands in for what the URLs name.
    pub credentials: Option<Credentials>,
    /// Whom to trust, as certificates in PEM; the system's where there are none.
    pub roots: Option<Vec<u8>>,
    /// A call ends within this.
    pub deadline: Duration,
}

impl fmt::Debug for CacheSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL may hold a password in front of its host.
        let host = |url: &String| url.rsplit('@').next().unwrap_or_default().to_owned();
        f.debug_struct("CacheSettings")
            .field("endpoints", &self.endpoints.iter().map(host).collect::<Vec<_>>())
            .field("layout", &self.layout)
            .field("credentials", &self.credentials)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Whether the cache's keys are spread over shards ("cluster mode" of `ElastiCache`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// One primary holds all keys.
    #[default]
    Single,
    /// A cluster's shards hold the keys by slot.
    Cluster,
}

/// A user of the cache.
#[derive(Clone)]
pub struct Credentials {
    /// The user's name; the default user where there is none.
    pub user: Option<String>,
    /// The user's password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The settings name no cache that could be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UnusableSettings {
    /// There is no endpoint, or more than one of a cache that is no cluster.
    #[error("the cache has {found} endpoints; one is needed, of a cluster one or more")]
    Endpoints {
        /// How many there are.
        found: usize,
    },
    /// An endpoint is no URL of a cache, or unlike the first in more than its host. It is not repeated here,
    /// for it may hold a password.
    #[error("endpoint {index} of the cache is no redis:// or rediss:// URL, or unlike the first")]
    Endpoint {
        /// Counted from 0.
        index: usize,
    },
    /// The roots are no certificates in PEM.
    #[error("the roots to trust are no certificates in PEM")]
    Roots,
}

impl CacheSettings {
    /// The route that these settings name.
    pub(crate) fn client(&self) -> Result<Route, UnusableSettings> {
        let found = self.endpoints.len();
        if found == 0 || found > 1 && self.layout == Layout::Single {
            return Err(UnusableSettings::Endpoints { found });
        }
        let mut endpoints: Vec<ConnectionInfo> = Vec::with_capacity(found);
        for (index, url) in self.endpoints.iter().enumerate() {
            let endpoint = self.endpoint(url).ok_or(UnusableSettings::Endpoint { index })?;
            if endpoints.first().is_some_and(|first| !is_like(first, &endpoint)) {
                return Err(UnusableSettings::Endpoint { index });
            }
            endpoints.push(endpoint);
        }
        if self.roots.as_deref().is_some_and(|pem| !holds_certificates(pem)) {
            return Err(UnusableSettings::Roots);
        }
        // Whichever comes first installs it; the SDK's is the same.
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
        // A call is a few packets each way: waiting for more to send would cost it 40 ms.
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
            .max_retry_wait(CLUSTER_PAUSE_MS)
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(self.deadline)
            .tcp_settings(tcp);
        if let Some(certificates) = self.certificates() {
            builder = builder.certs(certificates);
        }
        Ok(Route::Cluster(builder.build().map_err(|_| UnusableSettings::Roots)?))
    }
}

/// Whether there is a certificate in `pem`, and nothing broken: the client takes a text without any, and
/// then trusts the system's.
fn holds_certificates(pem: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
    certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok())
}

/// Whether the two are reached alike: with TLS or without, and as the same user.
fn is_like(one: &ConnectionInfo, other: &ConnectionInfo) -> bool {
    let user = |info: &ConnectionInfo| {
        let redis = info.redis_settings();
        (redis.username().map(str::to_owned), redis.password().map(str::to_owned), redis.db())
    };
    let has_tls = |info: &ConnectionInfo| matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    has_tls(one) == has_tls(other) && user(one) == user(other)
}
