//! The arguments of a server about its clients, and the admission that follows from them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use equilibrium_app::access::issuer::Grant;
use equilibrium_app::rate_limit::settings::{RateSettings, RateSettingsError};
use equilibrium_embedded::open_error::OpenError;
use equilibrium_embedded::token_key;
use equilibrium_http::routes::Scope;
use thiserror::Error;

use crate::LocalAdmission;

/// For how long the token of a process without a folder is valid, in milliseconds: longer than its key.
const OWN_TOKEN_TTL_MS: i64 = 30 * 86_400_000;

/// How a server treats its clients.
#[derive(Clone, Debug, Args)]
pub struct AccessArguments {
    /// Authentication of requests: `off` answers every request, `on` requires bearer tokens, which `equilibrium token` issues.
    #[arg(long, default_value = "off")]
    auth: Auth,
    /// Limits of calls per client: `on`, `off`, or a JSON file. Default: as --auth.
    #[arg(long, value_name = "on|off|FILE")]
    rate_limits: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Auth {
    On,
    Off,
}

/// What a server admits.
#[derive(Debug)]
pub struct Access {
    /// Which requests are answered.
    pub admission: LocalAdmission,
    /// What a server prints that requires tokens and keeps no key for `equilibrium token`: a token with every scope.
    pub own_token: String,
}

/// Why the access to a server cannot be set up.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The key cannot be read or made.
    #[error(transparent)]
    Key(#[from] OpenError),
    /// The file of rates cannot be read.
    #[error("--rate-limits {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        cause: io::Error,
    },
    /// The file has no rates.
    #[error("--rate-limits {}: {cause}", path.display())]
    Rates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: RateSettingsError,
    },
}

impl AccessArguments {
    /// The admission of a server that keeps its key in `folder`, and has a new one at each start without a folder; `now_ms` is
    /// the time of the system, in milliseconds since the epoch.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn open(&self, folder: Option<&Path>, now_ms: i64) -> Result<Access, AccessError> {
        let issuer = (self.auth == Auth::On).then(|| token_key::open(folder)).transpose()?;
        let own = issuer.as_ref().filter(|_| folder.is_none());
        let own_token = own.map(|issuer| {
            let scope = Scope::ALL.map(Scope::name).join(" ");
            let grant = Grant { subject: "local", scope: &scope, from_ms: now_ms, ttl_ms: OWN_TOKEN_TTL_MS };
            let token = issuer.issue(grant);
            format!("\nRequests need a token. This one is valid until the server stops:\n\n  export TOKEN={token}\n")
        });
        let admission = LocalAdmission::new(issuer.as_ref(), self.rates()?);
        Ok(Access { admission, own_token: own_token.unwrap_or_default() })
    }

    fn rates(&self) -> Result<Option<RateSettings>, AccessError> {
        let Some(path) = &self.rate_limits else {
            return Ok((self.auth == Auth::On).then(RateSettings::default));
        };
        match path.to_str() {
            Some("on") => return Ok(Some(RateSettings::default())),
            Some("off") => return Ok(None),
            _ => {}
        }
        let file = |cause| AccessError::File { path: path.clone(), cause };
        let rates = RateSettings::parse(&fs::read_to_string(path).map_err(file)?);
        rates.map(Some).map_err(|cause| AccessError::Rates { path: path.clone(), cause })
    }
}
