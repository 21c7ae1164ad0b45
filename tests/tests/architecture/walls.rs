//! Which crate may use which: the table of ARCHITECTURE, "Crates and walls".

/// What a crate may use.
#[derive(Debug)]
pub struct Wall {
    /// The folder of the crate. A name that ends in `*` stands for all folders that no other row names.
    pub folder: &'static str,
    /// The crates of this workspace that it may use, without their `equilibrium-`.
    pub ours: &'static [&'static str],
    /// The crates of this workspace that it may use if they are optional.
    pub optional: &'static [&'static str],
    /// Crates of others that it never uses. A name that ends in `*` stands for all that begin so.
    pub never: &'static [&'static str],
}

/// Clients of services, and what runs them.
const SDKS: [&str; 5] = ["aws-config", "aws-sdk-*", "aws-smithy-*", "lambda_runtime", "redis"];
/// What waits, listens, or differs from one run to the next.
const OUTSIDE: [&str; 10] =
    [SDKS[0], SDKS[1], SDKS[2], SDKS[3], SDKS[4], "hyper*", "rand", "rand_*", "redb", "tokio*"];

pub const WALLS: [Wall; 20] = [
    Wall { folder: "shared/domain", ours: &[], optional: &[], never: &OUTSIDE },
    Wall { folder: "shared/http", ours: &[], optional: &[], never: &OUTSIDE },
    Wall { folder: "shared/http_server", ours: &["http"], optional: &[], never: &SDKS },
    Wall { folder: "shared/lambda", ours: &["domain", "http"], optional: &[], never: &OUTSIDE },
    Wall { folder: "shared/app", ours: &["domain"], optional: &[], never: &OUTSIDE },
    Wall {
        folder: "shared/admission",
        ours: &["app", "domain", "http", "lambda"],
        optional: &[],
        never: &OUTSIDE,
    },
    Wall { folder: "shared/api_client", ours: &[], optional: &[], never: &SDKS },
    Wall { folder: "shared/event_file", ours: &["domain", "http"], optional: &[], never: &OUTSIDE },
    Wall {
        folder: "shared/event_source",
        ours: &["app", "domain", "lambda"],
        optional: &["http"],
        never: &SDKS,
    },
    Wall {
        folder: "shared/embedded",
        ours: &["app", "domain", "event-source", "lambda"],
        optional: &[],
        never: &SDKS,
    },
    Wall {
        folder: "shared/aws",
        ours: &["app", "domain", "event-source", "lambda"],
        optional: &[],
        never: &["redb"],
    },
    Wall {
        folder: "shared/local_access",
        ours: &["admission", "app", "embedded", "http"],
        optional: &[],
        never: &SDKS,
    },
    Wall {
        folder: "shared/local_pipeline",
        ours: &["app", "count", "domain", "embedded", "event-source", "lambda", "recover", "surge"],
        optional: &[],
        never: &SDKS,
    },
    Wall { folder: "shared/openapi", ours: &["domain", "http"], optional: &[], never: &OUTSIDE },
    Wall { folder: "shared/simulator", ours: &["domain"], optional: &[], never: &OUTSIDE },
    // A function's `main.rs` wires clients of `aws` to it; see `sources` for the rest of the crate.
    Wall {
        folder: "functions/*",
        ours: &["admission", "app", "domain", "http", "lambda"],
        optional: &["aws"],
        never: &["aws-*", "lambda_runtime", "redb", "redis"],
    },
    // The function that answers the description of the API.
    Wall {
        folder: "functions/policy",
        ours: &["app", "domain", "http", "lambda", "openapi"],
        optional: &["aws"],
        never: &["aws-*", "lambda_runtime", "redb", "redis"],
    },
    Wall {
        folder: "functions/local",
        ours: &["*"],
        optional: &["aws"],
        never: &["aws-sdk-*", "lambda_runtime", "redb", "redis"],
    },
    Wall { folder: "tests", ours: &["*"], optional: &[], never: &[] },
    // Built again for fuzzing, so without what takes long to build.
    Wall { folder: "tests/fuzz", ours: &["*"], optional: &[], never: &SDKS },
];

/// The row of a crate's folder.
pub fn wall(folder: &str) -> Option<&'static Wall> {
    let named = WALLS.iter().find(|wall| wall.folder == folder);
    named.or_else(|| WALLS.iter().find(|wall| matches(wall.folder, folder)))
}

/// Whether `name` is what `pattern` stands for; hyphens and underscores are the same to Cargo.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.replace('-', "_"), name.replace('-', "_"));
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

impl Wall {
    /// Whether the crate may use this one of ours, whose name has no `equilibrium-`.
    pub fn allows(&self, ours: &str, is_optional: bool) -> bool {
        let is_one_of = |list: &[&str]| list.iter().any(|pattern| matches(pattern, ours));
        if is_one_of(self.optional) { is_optional } else { is_one_of(self.ours) }
    }

    /// Whether the crate may use this one of others.
    pub fn allows_foreign(&self, name: &str) -> bool {
        !self.never.iter().any(|pattern| matches(pattern, name))
    }
}
