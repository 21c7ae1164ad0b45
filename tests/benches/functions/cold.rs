//! The time from the start of the process to its first response, with all clients created; with the system's root
//! certificates, and with Amazon's alone.

use std::fs;
use std::time::{Duration, Instant};

use equilibrium_event_source::poller::Target;
use equilibrium_event_source::service::runtime_api::LambdaProcess;
use serde_json::json;
use tempfile::TempDir;

use crate::{function, functions, ms, percentile, stub};

const STARTS: usize = 31;

/// Amazon's own roots and the one that signs them, as in Debian's `ca-certificates`.
const ROOTS: [&str; 5] = [
    "Amazon_Root_CA_1",
    "Amazon_Root_CA_2",
    "Amazon_Root_CA_3",
    "Amazon_Root_CA_4",
    "Starfield_Services_Root_Certificate_Authority_-_G2",
];

pub async fn measure() {
    let endpoint = stub::serve(Vec::new()).await;
    let folder = TempDir::new().unwrap();
    let trimmed = folder.path().join("roots.pem");
    let root =
        |name: &&str| fs::read_to_string(format!("/usr/share/ca-certificates/mozilla/{name}.crt")).unwrap();
    fs::write(&trimmed, ROOTS.iter().map(root).collect::<String>()).unwrap();
    for name in &functions() {
        let mut environment = vec![
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("EQUILIBRIUM_DEPLOYMENT", "stub"),
            // No function calls the cache before a map exists.
            ("EQUILIBRIUM_CACHE_URLS", "redis://127.0.0.1:1"),
            ("EQUILIBRIUM_DEAD_LETTERS_URL", &endpoint),
            ("EQUILIBRIUM_AUTH", "off"),
            ("EQUILIBRIUM_RATE_LIMITS", "off"),
        ];
        let whole = starts(name, &environment).await;
        environment.push(("SSL_CERT_FILE", trimmed.to_str().unwrap()));
        let few = starts(name, &environment).await;
        println!(
            "cold start of {name:7}                               {:.1} ms, with trimmed roots {:.1} ms",
            ms(whole),
            ms(few)
        );
    }
}

/// The median start.
async fn starts(name: &str, environment: &[(&str, &str)]) -> Duration {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let function = function(name, environment);
        let started = Instant::now();
        first_response(name, &function).await;
        times.push(started.elapsed());
    }
    percentile(&mut times, 500)
}

async fn first_response(name: &str, function: &LambdaProcess) {
    let request = json!({"version": "2.0", "rawPath": "/v1/cities", "rawQueryString": "", "headers": {},
        "requestContext": {"http": {"method": "GET"}, "stage": "$default"}, "isBase64Encoded": false});
    let payload = match name {
        "count" | "surge" => json!({"Records": []}),
        _ => request,
    };
    function.invoke(payload.to_string().as_bytes()).await.unwrap();
}
