//! Whose tokens a deployment takes.

use crate::access::key_set::KeySet;
use crate::access::token::Expected;

/// The tokens that are valid, and the keys that verify them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSettings {
    /// Issuer and audience.
    pub expected: Expected,
    /// The issuer's keys.
    pub keys: KeysAt,
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysAt {
    /// At a URL, from which they are read again now and then.
    Url(String),
    /// In the configuration, which a rotation changes.
    Document(Vec<u8>),
}

impl KeysAt {
    /// The keys at a URL with `https`, or with `http` on this machine; or those of a document, which begins with a brace.
    /// `None` for what is neither, or has no key that verifies tokens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with('{') {
            return KeySet::parse(text.as_bytes()).map(|_| Self::Document(text.into()));
        }
        let is_local = |rest: &str| {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
            let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
            // What precedes an `@` is no host.
            matches!(host, "127.0.0.1" | "localhost" | "[::1]") && !authority.contains('@')
        };
        let is_url = text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty())
            || text.strip_prefix("http://").is_some_and(is_local);
        is_url.then(|| Self::Url(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::token::tests::issuer;

    #[test]
    fn keys_are_at_a_url_that_is_secure_or_of_this_machine_or_in_a_document() {
        for (text, is_known) in [
            ("https://idp.example.com/.well-known/jwks.json", true),
            ("http://127.0.0.1:9/jwks", true),
            ("http://localhost", true),
            ("http://[::1]:9/", true),
            ("http://idp.example.com/", false),
            ("http://127.0.0.1.example.com/", false),
            ("http://localhost@example.com/", false),
            ("http://127.0.0.1:9@example.com/", false),
            ("https://", false),
            ("ftp://idp.example.com/", false),
            ("", false),
            ("{}", false),
        ] {
            let url = KeysAt::parse(text);
            assert_eq!(url, is_known.then(|| KeysAt::Url(text.to_owned())), "{text}");
        }
        let document = String::from_utf8(issuer("01").key_set()).unwrap();
        assert_eq!(KeysAt::parse(&document), Some(KeysAt::Document(document.into_bytes())));
    }
}
