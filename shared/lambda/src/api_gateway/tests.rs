//! API Gateway payloads decoded, and responses encoded.

use super::*;

fn payload(rest: &str) -> String {
    format!(
        r#"{{"version":"2.0","rawPath":"/v1/events","requestContext":{{"http":{{"method":"POST"}}}}{rest}}}"#
    )
}

#[test]
fn a_body_is_read_from_text_and_from_base64() {
    for (rest, body) in [
        (r#","body":"a\n\"b\"","isBase64Encoded":false"#, "a\n\"b\""),
        (r#","body":"YQpi","isBase64Encoded":true"#, "a\nb"),
        (r#","body":null"#, ""),
        ("", ""),
    ] {
        let text = payload(rest);
        let payload = ApiGatewayRequest::read(text.as_bytes()).unwrap();
        let request = payload.request();
        assert_eq!((request.method, request.path, request.query), ("POST", "/v1/events", ""));
        assert_eq!(request.body, body.as_bytes());
        assert_eq!(request.header("content-type"), None);
    }
    let text = payload(r#","headers":{"content-type":"a\tb","host":"x"},"rawQueryString":"a=%20""#);
    let read = ApiGatewayRequest::read(text.as_bytes()).unwrap();
    assert_eq!(read.request().header("Content-Type"), Some("a\tb"));
    assert_eq!(read.request().query, "a=%20");
}

#[test]
fn a_payload_of_cargo_lambda_watch_has_neither_stage_nor_query() {
    let payload = r#"{"version":"2.0","rawPath":"/v1/cities","rawQueryString":null,"body":null,
        "requestContext":{"stage":null,"http":{"method":"GET"}}}"#;
    let payload = ApiGatewayRequest::read(payload.as_bytes()).unwrap();
    let request = payload.request();
    assert_eq!((request.path, request.query), ("/v1/cities", ""));
}

#[test]
fn null_is_absent_in_every_optional_member() {
    let payload = r#"{"version":"2.0","rawPath":"/v1/cities","rawQueryString":null,"headers":null,"cookies":null,
        "body":null,"isBase64Encoded":null,"pathParameters":null,"stageVariables":null,
        "requestContext":{"stage":null,"authorizer":null,"http":{"method":"GET"}}}"#;
    let payload = ApiGatewayRequest::read(payload.as_bytes()).unwrap();
    let request = payload.request();
    assert_eq!((request.path, request.query, request.body), ("/v1/cities", "", &b""[..]));
    assert!(request.headers.is_empty());
    let text = self::payload(r#","headers":{"a":null,"host":"x"},"body":"YQ==","isBase64Encoded":null"#);
    let read = ApiGatewayRequest::read(text.as_bytes()).unwrap();
    let request = read.request();
    assert_eq!((request.header("a"), request.header("host"), request.body), (None, Some("x"), &b"YQ=="[..]));
}

#[test]
fn a_response_longer_than_lambda_passes_on_is_a_problem_that_says_how_to_ask_for_less() {
    let of = |bytes| encode_response(&Response { body: vec![b'x'; bytes].into(), ..Response::empty(200) });
    let envelope = of(0).len();
    assert_eq!(of(MAX_RESPONSE_BYTES - envelope).len(), MAX_RESPONSE_BYTES);
    // Each quote takes two bytes: what is counted is the encoded response.
    let quotes = Response { body: vec![b'"'; MAX_RESPONSE_BYTES / 2].into(), ..Response::empty(200) };
    for payload in [of(MAX_RESPONSE_BYTES - envelope + 1), encode_response(&quotes)] {
        let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        let problem: serde_json::Value = serde_json::from_str(payload["body"].as_str().unwrap()).unwrap();
        assert_eq!((&payload["statusCode"], &problem["code"]), (&406.into(), &"response_too_large".into()));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("Accept-Encoding: gzip") && detail.contains("product="), "{detail}");
    }
}

#[test]
fn a_stage_is_not_part_of_the_path() {
    for (stage, path, expected) in [
        ("$default", "/v1/price", "/v1/price"),
        ("prod", "/prod/v1/price", "/v1/price"),
        ("prod", "/product", "/product"),
        ("prod", "/prod/v1/cities/%6eyc/surge", "/v1/cities/%6eyc/surge"),
        ("prod", "/prod/nothing", "/prod/nothing"),
        ("v1", "/v2/price", "/v2/price"),
        ("v1", "/v1/v1/price", "/v1/price"),
        // Under a custom domain.
        ("v1", "/v1/price", "/v1/price"),
        ("v1", "/v1/cities/nyc", "/v1/cities/nyc"),
        ("prod", "/v1/price", "/v1/price"),
        ("", "/v1/price", "/v1/price"),
    ] {
        let text = format!(
            r#"{{"version":"2.0","rawPath":"{path}","requestContext":{{"stage":"{stage}","http":{{"method":"GET"}}}}}}"#
        );
        assert_eq!(ApiGatewayRequest::read(text.as_bytes()).unwrap().request().path, expected);
    }
}

#[test]
fn a_payload_of_another_shape_or_version_is_an_error() {
    let unencoded = payload(r#","body":"*","isBase64Encoded":true"#);
    assert!(matches!(ApiGatewayRequest::read(unencoded.as_bytes()), Err(ApiGatewayError::Body)));
    let first = payload("").replace("2.0", "1.0");
    assert!(matches!(ApiGatewayRequest::read(first.as_bytes()), Err(ApiGatewayError::Version)));
    for bad in ["", "{}", "[]", r#"{"version":"2.0","rawPath":1}"#] {
        assert!(matches!(ApiGatewayRequest::read(bad.as_bytes()), Err(ApiGatewayError::Shape(_))), "{bad}");
    }
}

#[test]
fn a_response_that_is_not_text_is_encoded_in_base64() {
    let text = encode_response(&Response::of(200, "application/json", &"é\""));
    assert_eq!(
        String::from_utf8(text).unwrap(),
        r#"{"statusCode":200,"headers":{"content-type":"application/json"},"cookies":[],"body":"\"é\\\"\"","isBase64Encoded":false}"#
    );
    for response in [
        Response { body: vec![0xff].into(), ..Response::empty(200) },
        Response { body: b"gz".to_vec().into(), ..Response::empty(200).with("content-encoding", "gzip") },
    ] {
        let payload = String::from_utf8(encode_response(&response)).unwrap();
        assert!(payload.ends_with(r#""isBase64Encoded":true}"#), "{payload}");
    }
}

#[test]
fn a_direct_request_is_read_back_and_no_gateway_sends_one() {
    let sent = DirectRequest {
        method: "POST",
        path: "/v1/events",
        query: "a=b",
        content_type: "application/x-ndjson",
        body: "{}\n",
    };
    let payload = encode_direct_request(&sent);
    let read = ApiGatewayRequest::read(&payload).unwrap();
    assert!(read.is_direct());
    let request = read.request();
    assert_eq!((request.method, request.path, request.query), ("POST", "/v1/events", "a=b"));
    assert_eq!((request.header("content-type"), request.body), (Some("application/x-ndjson"), &b"{}\n"[..]));
    for stage in ["$default", "direct", "live"] {
        let other = String::from_utf8(payload.clone()).unwrap().replace("$direct", stage);
        assert!(!ApiGatewayRequest::read(other.as_bytes()).unwrap().is_direct(), "{stage}");
    }
}

#[test]
fn a_response_is_read_back() {
    let text = Response { body: b"{}".to_vec().into(), ..Response::empty(202) };
    assert_eq!(decode_response(&encode_response(&text)), Some((202, b"{}".to_vec())));
    let binary = Response { body: vec![0xff, 0x00].into(), ..Response::empty(200) };
    assert_eq!(decode_response(&encode_response(&binary)), Some((200, vec![0xff, 0x00])));
    for garbage in ["", "null", "{\"errorMessage\":\"x\"}", "{\"statusCode\":\"200\"}"] {
        assert_eq!(decode_response(garbage.as_bytes()), None, "{garbage}");
    }
}
