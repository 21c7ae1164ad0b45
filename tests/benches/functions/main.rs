//! The figures of docs/performance.md for the functions as they are deployed: processes of their own, invoked through
//! the Lambda Runtime API. `make deployed` builds them and runs this.
#![allow(clippy::cast_precision_loss, clippy::unwrap_used, missing_docs, dead_code)]

mod cold;
mod count;
mod price;
mod size;
mod stub;

use std::path::{Path, PathBuf};
use std::time::Duration;

use equilibrium_event_source::service::runtime_api::{Function, LambdaProcess};
use serde_json::Value;

fn main() {
    // `cargo test` passes options of its own.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    size::measure();
    runtime.block_on(async {
        cold::measure().await;
        price::measure().await;
        count::measure().await;
    });
}

/// The names of the functions in `infra/deployment.json`.
fn functions() -> Vec<String> {
    let deployment: Value = serde_json::from_str(include_str!("../../../infra/deployment.json")).unwrap();
    deployment["functions"].as_object().unwrap().keys().cloned().collect()
}

/// The function's program, built by `cargo lambda build`.
fn program(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let program = target.join("lambda").join(name).join("bootstrap");
    assert!(program.exists(), "{} is missing: `make deployed` builds it", program.display());
    program
}

fn function(name: &str, environment: &[(&str, &str)]) -> LambdaProcess {
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let timeout = Duration::from_mins(1);
    LambdaProcess::new(Function { name: name.into(), program: program(name), environment, timeout })
}

/// The time below which `per_thousand` of a thousand measurements are.
fn percentile(times: &mut [Duration], per_thousand: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * per_thousand / 1_000).min(times.len() - 1)]
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
