//! `/v1/cities/{city}/policy` and its versions.

use serde_json::json;

use super::cities::{city, limit, next};
use crate::operation::{Answer, Body, Operation, answer, header, json_answer, not_modified, path, query};
use crate::samples::sample;
use crate::schema::{boolean, described, from, reference};

pub(super) fn operations() -> Vec<Operation> {
    vec![read(), save(), versions(), version()]
}

/// A policy, for conditional requests.
fn document(description: &'static str) -> Answer {
    let policy = described("Policy", "A policy with every member.");
    answer(200, description).content("application/json", policy).header("ETag").header("Vary")
}

fn read() -> Operation {
    Operation {
        route: ("GET", "/v1/cities/{city}/policy"),
        id: "getPolicy",
        tag: "Policies",
        summary: "Read a policy",
        description: "The policy in force, with all defaults. Its entity tag is its version.",
        parameters: vec![city(), header("If-None-Match", "The entity tag of a version that the client has.")],
        body: None,
        answers: vec![document("The policy in force."), not_modified()],
        codes: &["unknown_city", "response_too_large"],
        samples: &[sample!("get-policy")],
    }
}

fn save() -> Operation {
    Operation {
        route: ("PUT", "/v1/cities/{city}/policy"),
        id: "putPolicy",
        tag: "Policies",
        summary: "Save a policy, or try it",
        description: "Saves a new version, in force everywhere within 5 s. A precondition is needed: `If-Match` with the entity tag \
            of the version to replace, or `If-None-Match: *`, which creates the city. With `dry_run` nothing is saved, and the \
            answer has what would change.",
        parameters: vec![
            city(),
            query("dry_run", "Whether nothing is saved.", boolean("")).with("default", false.into()),
            header("If-Match", "The entity tag of the version to replace."),
            header("If-None-Match", "`*`, which creates the city."),
        ],
        body: Some(Body {
            description: "The policy, at most 1 MiB, inflated.",
            is_required: true,
            content: vec![("application/json", reference("PolicyUpdate"))],
        }),
        answers: vec![
            json_answer(200, "The policy, saved; or, of a dry run, what would change.", "PolicyOrDryRun")
                .header_of("ETag", "SavedETag")
                .link("policy", "getPolicy", json!({"city": "$request.path.city"})),
            json_answer(201, "The policy, which is the city's first.", "Policy").header("ETag"),
        ],
        codes: &[
            "malformed_parameter",
            "change_too_large",
            "precondition_failed",
            "invalid_policy",
            "precondition_required",
            "response_too_large",
        ],
        samples: &[sample!("put-policy"), sample!("put-policy-dry-run")],
    }
}

fn versions() -> Operation {
    Operation {
        route: ("GET", "/v1/cities/{city}/policy/versions"),
        id: "listPolicyVersions",
        tag: "Policies",
        summary: "List the versions of a policy",
        description: "The versions of the last 90 days, the newest first.",
        parameters: vec![city(), limit(20, 100), next()],
        body: None,
        answers: vec![
            json_answer(200, "A page of versions.", "PolicyVersionPage")
                .link(
                    "nextPage",
                    "listPolicyVersions",
                    json!({"city": "$request.path.city", "next": "$response.body#/next"}),
                )
                .link(
                    "newest",
                    "getPolicyVersion",
                    json!({"city": "$request.path.city", "version": "$response.body#/versions/0/version"}),
                ),
        ],
        codes: &["malformed_parameter", "unknown_city", "out_of_range"],
        samples: &[sample!("get-policy-versions")],
    }
}

fn version() -> Operation {
    Operation {
        route: ("GET", "/v1/cities/{city}/policy/versions/{version}"),
        id: "getPolicyVersion",
        tag: "Policies",
        summary: "Read a version of a policy",
        description: "The document of a version, as it was saved. Saving it again restores it.",
        parameters: vec![
            city(),
            path("version", "The number of the version.", from(0, "")),
            header("If-None-Match", "The entity tag of a version that the client has."),
        ],
        body: None,
        answers: vec![document("The version."), not_modified()],
        codes: &["unknown_city", "unknown_version", "response_too_large"],
        samples: &[sample!("get-policy-version")],
    }
}
