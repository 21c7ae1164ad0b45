//! `PUT /v1/cities/{city}/policy`: checks a new version against the one in force, and saves it or shows what it would
//! change.
//!
//! The checks come in this order, so that a client that repeats a request after one answer gets no surprise by an earlier
//! check: the head of the request, the preconditions, the fields of the body, and last the size of the change.

use std::borrow::Cow;

use equilibrium_app::laws::ports::BoundStore;
use equilibrium_app::policy::ports::{
    MAX_DOCUMENT_BYTES, NewVersion, PolicyStore, ReplaceError, StoredPolicy,
};
use equilibrium_app::price::ports::MapStore;
use equilibrium_app::timer::Timer;
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::id::CityId;
use equilibrium_domain::policy::large_change::too_large;
use equilibrium_domain::policy::{Fault, Policy};
use equilibrium_http::body::{ContentCoding, decode, json_text, require_json};
use equilibrium_http::{Problem, Request, Response, etag_is_listed};
use serde_json::Value;

use crate::dry_run::Attempt;
use crate::{PolicyApi, field_error, written};

/// The member of a body that confirms a large change; it is not a field of a policy.
const CONFIRMATION: &str = "confirm_large_change";

/// What a request says beside its body.
pub(crate) struct Head {
    coding: ContentCoding,
    is_dry_run: bool,
}

/// A body that was read.
struct Proposal {
    policy: Policy,
    document: String,
    /// The version that the client confirms as a large change.
    confirmed: Option<u64>,
}

/// Checks everything but body and preconditions.
pub(crate) fn read_head(request: &Request<'_>) -> Result<Head, Problem> {
    request.require_coding()?;
    let [dry_run] = request.parameters(["dry_run"])?;
    let is_dry_run = match dry_run.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            let problem = Problem::new(400, "malformed_parameter", "must be true or false");
            return Err(problem.for_parameter("dry_run"));
        }
    };
    require_json(request)?;
    Ok(Head { coding: ContentCoding::of(request)?, is_dry_run })
}

impl<S, B, M, K, T> PolicyApi<'_, S, B, M, K, T>
where
    S: PolicyStore,
    B: BoundStore,
    M: MapStore + 'static,
    K: MapStore + 'static,
    T: Timer + 'static,
{
    pub(crate) async fn put(&self, request: &Request<'_>, city: &str) -> Result<Response, Problem> {
        let Head { coding, is_dry_run } = read_head(request)?;
        let Some(id) = CityId::new(city) else {
            let message = "must be a city id: 1 to 32 of [a-z0-9-]".to_owned();
            return Err(invalid([Fault { pointer: "/city".to_owned(), message }]));
        };
        let stored = self.stored(city).await?;
        check_preconditions(request, stored.as_ref(), is_dry_run)?;
        let proposal = read_body(&decode(request.body, coding)?, &id)?;

        let version = stored.as_ref().map_or(0, |stored| stored.version) + 1;
        let current = stored.as_ref().and_then(parse);
        let large = current.as_ref().map(|current| too_large(current, &proposal.policy)).unwrap_or_default();
        if is_dry_run {
            let attempt = Attempt { version, current, proposed: proposal.policy, too_large: large };
            return self.dry_run(request, attempt).await;
        }
        if !large.is_empty() && proposal.confirmed != Some(version) {
            return Err(change_too_large(version, large));
        }
        let new = NewVersion { document: &proposal.document, author: self.author, saved_at_ms: self.now_ms };
        let after = stored.map(|stored| stored.version);
        let version = self.store.save(&id, new, after).await.map_err(not_saved)?;
        let status = if after.is_some() { 200 } else { 201 };
        let response = written(status, proposal.document).with("etag", format!("\"{version}\""));
        Ok(response.with("cache-control", "no-store").compressed_for(request.header("accept-encoding")))
    }
}

/// The stored policy, if this version of the program takes it.
pub(crate) fn parse(stored: &StoredPolicy) -> Option<Policy> {
    Policy::from_json(&Policy::read_document(&stored.document).ok()?).ok()
}

/// Checks `If-Match` and `If-None-Match` (RFC 9110 §13.2.2). A dry run saves nothing and needs neither.
fn check_preconditions(
    request: &Request<'_>,
    stored: Option<&StoredPolicy>,
    is_dry_run: bool,
) -> Result<(), Problem> {
    let tag = stored.map(|stored| stored.version.to_string());
    let if_match = request.header("if-match");
    let creates = request.header("if-none-match").is_some_and(|tags| tags.trim() == "*");
    if if_match.is_none() && !creates && !is_dry_run {
        let detail =
            "If-Match must have the ETag of the version to replace, or If-None-Match a * to create the city";
        return Err(Problem::new(428, "precondition_required", detail));
    }
    let is_replaced = |tags: &str| tag.as_deref().is_some_and(|tag| etag_is_listed(tags, tag));
    if if_match.is_some_and(|tags| !is_replaced(tags)) {
        return Err(precondition_failed(
            match &tag {
                Some(tag) => {
                    format!("the policy's version is \"{tag}\", which If-Match does not list").into()
                }
                None => "the city has no policy that If-Match could match".into(),
            },
            tag.as_deref(),
        ));
    }
    if creates && stored.is_some() {
        return Err(precondition_failed("the city exists".into(), tag.as_deref()));
    }
    Ok(())
}

fn precondition_failed(detail: Cow<'static, str>, tag: Option<&str>) -> Problem {
    let problem = Problem::new(412, "precondition_failed", detail);
    match tag {
        Some(tag) => problem.with("etag", format!("\"{tag}\"")),
        None => problem,
    }
}

/// The policy of a body for `city`, or all of its faults.
fn read_body(body: &[u8], city: &CityId) -> Result<Proposal, Problem> {
    let mut document = Policy::read_document(json_text(body)?).map_err(invalid)?;

    let mut faults = Vec::new();
    let confirmation = document.as_object_mut().and_then(|members| members.remove(CONFIRMATION));
    let confirmation = confirmation.filter(|confirmation| !confirmation.is_null());
    let confirmed = confirmation.as_ref().and_then(Value::as_u64);
    if confirmation.is_some() && confirmed.is_none() {
        let message = "must be the number of the new version".to_owned();
        faults.push(Fault { pointer: format!("/{CONFIRMATION}"), message });
    }
    let given = document.get("city").and_then(Value::as_str);
    if given.is_some_and(|given| CityId::new(given).is_some() && given != city.as_str()) {
        let message = format!("must be the city of the path, {city}");
        faults.push(Fault { pointer: "/city".to_owned(), message });
    }
    let policy = match Policy::from_json(&document) {
        Ok(policy) if faults.is_empty() => policy,
        read => {
            faults.splice(0..0, read.err().unwrap_or_default());
            return Err(invalid(faults));
        }
    };
    let document = policy.to_json().to_string();
    if document.len() > MAX_DOCUMENT_BYTES {
        let message =
            format!("has {} bytes with all defaults, more than {MAX_DOCUMENT_BYTES}", document.len());
        return Err(invalid([Fault { pointer: String::new(), message }]));
    }
    Ok(Proposal { policy, document, confirmed })
}

fn invalid(faults: impl IntoIterator<Item = Fault>) -> Problem {
    let detail = "the policy has invalid fields; nothing was saved";
    Problem::new(422, "invalid_policy", detail).with_errors(faults.into_iter().map(field_error))
}

fn change_too_large(version: u64, faults: Vec<Fault>) -> Problem {
    let detail = format!(
        "fields change by more than max_change allows; nothing was saved. {CONFIRMATION}: {version} in the body confirms it"
    );
    Problem::new(409, "change_too_large", detail).with_errors(faults.into_iter().map(field_error))
}

fn not_saved(error: ReplaceError) -> Problem {
    match error {
        ReplaceError::VersionMismatch => {
            precondition_failed("the policy has been replaced meanwhile".into(), None)
        }
        ReplaceError::Unavailable(Unavailable) => {
            let detail = "it is unknown whether the policy was saved: read it to find out";
            Problem::new(503, "unavailable", detail).with("retry-after", "1")
        }
    }
}
