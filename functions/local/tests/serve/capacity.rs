//! The capacity of the load that a running process has.

use std::process::Command;

use serde_json::Value;

use crate::harness::fixture::Server;
use crate::harness::http_client::get;
use crate::harness::process::until;

#[test]
fn the_load_of_a_process_is_measured() {
    let server = Server::unfed();
    server.fill(30);
    // A mean needs five seconds.
    let report = until("a measured load", || {
        server.request(&get("/v1/price?lat=40.75&lng=-73.98"));
        let report = server.json("/v1/capacity?scale=3");
        (report["load"]["assumed"].as_array().unwrap().len() == 1).then_some(report)
    });
    assert_eq!(report["load"]["assumed"][0], "entities");
    assert_eq!((&report["load"]["cities"], &report["scale"]), (&Value::from(1.0), &Value::from(3)));
    assert!(report["load"]["events_per_s"].as_f64().unwrap() > 0.0, "{report}");
    assert!(report["load"]["price_requests_per_s"].as_f64().unwrap() > 0.0, "{report}");

    let url = format!("http://{}", server.address);
    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    let output = command.args(["capacity", "--scale", "3", "--url", &url]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.starts_with("At 3 times the load: "), "{page}");
    assert!(page.contains("Assumed, not measured: entities\n"), "{page}");
    assert_eq!(server.request(&get("/v1/capacity?scale=0")).problem(), (422, "out_of_range".to_owned()));
    server.stop("TERM");
}
