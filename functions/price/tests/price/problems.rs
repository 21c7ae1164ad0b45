//! The problem that each wrong request is answered with.

use serde_json::json;

use crate::fixture::*;

async fn refused(method: &str, url: &str) -> (u16, String, String) {
    let fixture = Fixture::priced().await;
    let response = fixture.ask(method, url, &[], TICK).await;
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{url}");
    let problem = body(&response);
    assert_eq!(problem["status"], response.status);
    assert_eq!(problem["type"], "about:blank");
    assert!(problem["title"].is_string() && problem["detail"].is_string());
    let text = |field: &str| problem[field].as_str().unwrap_or_default().to_owned();
    (response.status, text("code"), text("parameter"))
}

#[tokio::test]
async fn every_wrong_request_has_its_code_and_parameter() {
    for (url, status, code, parameter) in [
        ("/v1/price?lat=0&lng=0", 404, "outside_service_area", ""),
        ("/v1/price?lat=40.7&lng=-74&city=suva", 404, "outside_service_area", ""),
        ("/v1/price?lat=40.7&lng=-74&city=atlantis", 404, "unknown_city", ""),
        ("/v1/price?lat=40.7&lng=-74&city=", 404, "unknown_city", ""),
        ("/v1/price?lat=40.7&lng=-74&product=boat", 422, "unknown_product", "product"),
        ("/v1/price?lat=40.7&lng=-74&product=", 422, "unknown_product", "product"),
        ("/v1/price?lng=-74", 422, "missing_parameter", "lat"),
        ("/v1/price?lat=40.7", 422, "missing_parameter", "lng"),
        ("/v1/price?lat=90.1&lng=-74", 422, "out_of_range", "lat"),
        ("/v1/price?lat=1e999&lng=-74", 422, "out_of_range", "lat"),
        ("/v1/price?lat=40.7&lng=-180.1", 422, "out_of_range", "lng"),
        ("/v1/price?lat=north&lng=-74", 400, "malformed_parameter", "lat"),
        ("/v1/price?lat=NaN&lng=-74", 400, "malformed_parameter", "lat"),
        ("/v1/price?lat=inf&lng=-74", 400, "malformed_parameter", "lat"),
        ("/v1/price?lat=&lng=-74", 400, "malformed_parameter", "lat"),
        ("/v1/price?lat=40.7&lng=-74&lng=-74", 400, "repeated_parameter", "lng"),
        ("/v1/price?lat=%zz&lng=-74", 400, "malformed_query", ""),
        ("/v1/cities/atlantis", 404, "unknown_city", ""),
        ("/v1/cities/NYC", 404, "unknown_city", ""),
        ("/v1/cities/", 404, "unknown_city", ""),
        ("/v1/cities/%ff", 400, "malformed_path", ""),
        ("/v1/cities/atlantis/surge", 404, "unknown_city", ""),
        ("/v1/cities/nyc/surge?product=boat", 422, "unknown_product", "product"),
        ("/v1/cities/nyc/surge?product=XL&product=XL", 400, "repeated_parameter", "product"),
        ("/v1/cities?limit=0", 422, "out_of_range", "limit"),
        ("/v1/cities?limit=1001", 422, "out_of_range", "limit"),
        ("/v1/cities?limit=-1", 422, "out_of_range", "limit"),
        ("/v1/cities?limit=99999999999999999999999", 422, "out_of_range", "limit"),
        ("/v1/cities?limit=ten", 400, "malformed_parameter", "limit"),
        ("/v1/cities?limit=", 400, "malformed_parameter", "limit"),
        ("/v1/cities?next=!", 400, "malformed_parameter", "next"),
        ("/v1/cities?next=", 400, "malformed_parameter", "next"),
        ("/v1/price/", 404, "not_found", ""),
        ("/v1/prices", 404, "not_found", ""),
        ("/v2/price", 404, "not_found", ""),
        ("/v1/cities/nyc/surge/882a107289fffff/x", 404, "not_found", ""),
        ("/", 404, "not_found", ""),
    ] {
        let expected = (status, code.to_owned(), parameter.to_owned());
        assert_eq!(refused("GET", url).await, expected, "{url}");
    }
}

#[tokio::test]
async fn another_method_is_answered_with_the_allowed_ones() {
    let fixture = Fixture::priced().await;
    for path in ["/v1/price", "/v1/cities", "/v1/cities/nyc", "/v1/cities/nyc/surge"] {
        for method in ["POST", "DELETE", "get", ""] {
            let response = fixture.ask(method, path, &[], TICK).await;
            assert_eq!(
                (response.status, response.header("allow")),
                (405, Some("GET, HEAD")),
                "{method} {path}"
            );
            assert_eq!(body(&response)["code"], "method_not_allowed");
        }
    }
    assert_eq!(refused("POST", "/v1/nothing").await.0, 404);
}

#[tokio::test]
async fn unknown_query_parameters_are_ignored() {
    let fixture = Fixture::priced().await;
    let plain = fixture.get("/v1/price?lat=40.7128&lng=-74.006", TICK).await;
    let more = fixture.get("/v1/%70rice?utm=1&utm=%zz&l%61t=40.71%328&lng=-7.4006e1&", TICK).await;
    assert_eq!(ok_body(&more), ok_body(&plain));
}

#[tokio::test]
async fn a_head_request_is_answered_with_the_headers_of_get_alone() {
    let fixture = Fixture::priced().await;
    let head = fixture.ask("HEAD", "/v1/cities/nyc/surge", &[], TICK).await;
    let get = fixture.get("/v1/cities/nyc/surge", TICK).await;
    assert_eq!((head.status, &head.headers), (200, &get.headers));
    assert!(head.body.is_empty());
    assert_ne!(body(&get), json!(null));
}
