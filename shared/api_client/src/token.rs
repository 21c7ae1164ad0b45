//! The token that commands send with their requests.

/// The variable of the environment that holds the token of every request.
pub const TOKEN_VARIABLE: &str = "EQUILIBRIUM_TOKEN";

/// The value of the `authorization` header of a request: the token in `EQUILIBRIUM_TOKEN`, if there is one. A token with other
/// characters than those of RFC 6750 §2.1 is none.
#[must_use]
pub fn authorization() -> Option<String> {
    let token = std::env::var(TOKEN_VARIABLE).ok()?;
    bearer(token.trim())
}

fn bearer(token: &str) -> Option<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    (!token.is_empty() && token.bytes().all(is_token)).then(|| format!("Bearer {token}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_no_characters_of_another_header() {
        assert_eq!(bearer("eyJh.eyJp.c2ln-_").as_deref(), Some("Bearer eyJh.eyJp.c2ln-_"));
        for token in ["", "a b", "a\r\nhost: b", "é"] {
            assert_eq!(bearer(token), None, "{token:?}");
        }
    }
}
