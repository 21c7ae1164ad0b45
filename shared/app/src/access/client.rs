//! A client whose token is valid.

/// The client that a token was issued to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    subject: Box<str>,
    scopes: Box<[Box<str>]>,
}

impl Client {
    /// The client called `subject`, with these scopes.
    #[must_use]
    pub fn new<'a>(subject: &str, scopes: impl IntoIterator<Item = &'a str>) -> Self {
        Self { subject: subject.into(), scopes: scopes.into_iter().map(Box::from).collect() }
    }

    /// The name that the issuer gives it: the author of its changes, and the key of its rate limits.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Whether its token has this scope.
    #[must_use]
    pub fn has(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| **held == *scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_the_scopes_of_its_token_and_no_part_of_them() {
        let client = Client::new("ada", ["prices:read", "quotes:write"]);
        assert_eq!(client.subject(), "ada");
        for (scope, has) in [
            ("prices:read", true),
            ("quotes:write", true),
            ("prices", false),
            ("read", false),
            ("prices:read quotes:write", false),
            ("", false),
            ("Prices:read", false),
        ] {
            assert_eq!(client.has(scope), has, "{scope:?}");
        }
    }
}
