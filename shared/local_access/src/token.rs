//! `equilibrium token`: a bearer token signed with the key of a server's folder (CONTRACT §4).

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use equilibrium_app::access::issuer::Grant;
use equilibrium_app::access::token::MAX_SUBJECT_BYTES;
use equilibrium_app::clock::system_now_ms;
use equilibrium_embedded::open_error::OpenError;
use equilibrium_embedded::token_key;
use equilibrium_http::routes::Scope;
use thiserror::Error;

/// The longest time that a token is valid, in milliseconds: a year.
const MAX_TTL_MS: i64 = 365 * 86_400_000;

/// The arguments of the command.
#[derive(Debug, Args)]
pub struct TokenCommand {
    /// The folder of the server that is to take the token: `equilibrium serve --auth on --data DIR` makes the key there.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// What the client may do; give several after one another.
    #[arg(long, value_name = "SCOPE", num_args = 1.., required = true, value_parser = PossibleValuesParser::new(Scope::ALL.map(Scope::name)))]
    scope: Vec<String>,
    /// The name of the client, which becomes the author of what it changes.
    #[arg(long, default_value = "local", value_parser = parse_subject)]
    subject: String,
    /// How long the token is valid: a number and s, m, h or d.
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = parse_ttl)]
    ttl: i64,
}

/// Why no token is issued.
#[derive(Debug, Error)]
pub enum TokenCommandError {
    /// The folder has no key yet.
    #[error("{} has no key yet: `equilibrium serve --auth on --data` makes one there", .0.display())]
    NoKey(PathBuf),
    /// The key cannot be read.
    #[error(transparent)]
    Key(#[from] OpenError),
}

impl TokenCommand {
    /// The token, on a line.
    ///
    /// # Errors
    /// [`TokenCommandError`].
    pub fn run(self) -> Result<String, TokenCommandError> {
        let issuer = token_key::read(&self.data).map_err(|error| match error {
            OpenError::NoDatabase { .. } => TokenCommandError::NoKey(self.data.clone()),
            error => error.into(),
        })?;
        let (subject, scope) = (&*self.subject, &*self.scope.join(" "));
        let grant = Grant { subject, scope, from_ms: system_now_ms(), ttl_ms: self.ttl };
        Ok(format!("{}\n", issuer.issue(grant)))
    }
}

fn parse_subject(text: &str) -> Result<String, String> {
    let is_name = (1..=MAX_SUBJECT_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
    is_name
        .then(|| text.to_owned())
        .ok_or_else(|| format!("not 1 to {MAX_SUBJECT_BYTES} bytes without control characters"))
}

/// Milliseconds of a number and a unit.
fn parse_ttl(text: &str) -> Result<i64, &'static str> {
    let unit = |unit: char| match unit {
        's' => Some(1_000),
        'm' => Some(60_000),
        'h' => Some(3_600_000),
        'd' => Some(86_400_000),
        _ => None,
    };
    let split = text.char_indices().next_back().and_then(|(at, last)| Some((&text[..at], unit(last)?)));
    let number = |digits: &str| {
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let ms = split.and_then(|(digits, unit)| number(digits)?.checked_mul(unit));
    ms.filter(|ms| (1..=MAX_TTL_MS).contains(ms)).ok_or("not a time up to 365d, such as 90s, 15m, 1h or 7d")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        for (text, ms) in [
            ("90s", Some(90_000)),
            ("15m", Some(900_000)),
            ("1h", Some(3_600_000)),
            ("365d", Some(MAX_TTL_MS)),
            ("366d", None),
            ("0s", None),
            ("-1h", None),
            ("+1h", None),
            ("h", None),
            ("1", None),
            ("1 h", None),
            ("1é", None),
            ("", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(parse_ttl(text).ok(), ms, "{text}");
        }
    }
}
