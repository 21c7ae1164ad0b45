//! The client of a request, as far as functions know it.

use std::sync::Arc;

use equilibrium_app::access::client::Client;
use equilibrium_app::policy::ports::LOCAL_AUTHOR;
use equilibrium_http::routes::Scope;

/// The client of a request: one that a token names, or one without a name.
///
/// A function that prices receives none: no price can depend on a person.
#[derive(Clone, Debug)]
pub struct Caller(Option<Arc<Client>>);

impl Caller {
    /// A caller without a token.
    pub const ANONYMOUS: Self = Self(None);

    pub(crate) const fn of(client: Option<Arc<Client>>) -> Self {
        Self(client)
    }

    /// The subject of its token.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.as_deref().map(Client::subject)
    }

    /// The author of what it saves: the subject, or `local` without a token (CONTRACT §9).
    #[must_use]
    pub fn author(&self) -> &str {
        self.subject().unwrap_or(LOCAL_AUTHOR)
    }

    /// Whether its token has this scope.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.0.as_ref().is_some_and(|client| client.has(scope.name()))
    }
}
