//! Opaque page tokens: the key of a page's last item, encoded so that clients do not depend on its form.

use crate::problem::Problem;

/// The token of the page that begins after the item with this key.
#[must_use]
pub fn encode(last: &str) -> String {
    base64_simd::URL_SAFE_NO_PAD.encode_to_string(last)
}

/// The key in a token, which `parse` checks.
///
/// # Errors
/// 400 `malformed_parameter` for the query parameter `name` if this is not a token of [`encode`].
pub fn decode<T>(
    name: &'static str,
    token: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, Problem> {
    let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token).ok();
    let key = bytes.and_then(|bytes| parse(std::str::from_utf8(&bytes).ok()?));
    key.ok_or_else(|| {
        Problem::new(400, "malformed_parameter", "is not a token of an earlier page").for_parameter(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_decodes_to_its_key() {
        let token = encode("são-paulo");
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        assert_eq!(decode("next", &token, |key| Some(key.to_owned())).unwrap(), "são-paulo");
    }

    #[test]
    fn anything_else_is_a_malformed_parameter() {
        for (token, parse) in [("!", true), ("a3lpdg=", true), ("_w", true), ("a3lpdg", false)] {
            let problem = decode("next", token, |_| parse.then_some(())).unwrap_err();
            let found = (problem.status, problem.code, problem.parameter);
            assert_eq!(found, (400, "malformed_parameter", Some("next")), "{token}");
        }
    }
}
