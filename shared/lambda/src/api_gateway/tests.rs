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
fn a_stage_is_not_part_of_the_path() {
    for (stage, path, expected) in [
        ("$default", "/v1/price", "/v1/price"),
        ("prod", "/prod/v1/price", "/v1/price"),
        ("prod", "/product", "/product"),
        ("v1", "/v2/price", "/v2/price"),
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
        Response { body: vec![0xff], ..Response::empty(200) },
        Response { body: b"gz".to_vec(), ..Response::empty(200).with("content-encoding", "gzip") },
    ] {
        let payload = String::from_utf8(encode_response(&response)).unwrap();
        assert!(payload.ends_with(r#""isBase64Encoded":true}"#), "{payload}");
    }
}
