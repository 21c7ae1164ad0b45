//! Stubs of DynamoDB, Kinesis, SQS and Secrets Manager that accept everything and store nothing: what remains is the function's own time.

use std::convert::Infallible;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Serves until the process ends and returns the endpoint. `policies` are pairs of city and document.
pub async fn serve(policies: Vec<(String, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let items: Vec<Value> = policies
        .iter()
        .map(|(city, document)| json!({"city": {"S": city}, "version": {"N": "1"}, "document": {"S": document}}))
        .collect();
    let scan = json!({"Items": items, "Count": items.len(), "ScannedCount": items.len()}).to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let scan = scan.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| respond(request, &scan));
                drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    });
    endpoint
}

async fn respond(request: Request<Incoming>, scan: &str) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let body = match target.rsplit('.').next().unwrap_or_default() {
        "Scan" => scan.to_owned(),
        "Query" => r#"{"Items":[],"Count":0,"ScannedCount":0}"#.to_owned(),
        "PutRecords" => {
            let records =
                serde_json::from_slice::<Value>(&body).unwrap()["Records"].as_array().unwrap().len();
            let taken = vec![json!({"SequenceNumber": "1", "ShardId": "shardId-000000000000"}); records];
            json!({"FailedRecordCount": 0, "Records": taken}).to_string()
        }
        "GetSecretValue" => r#"{"SecretString":"000102030405060708090a0b0c0d0e0f"}"#.to_owned(),
        _ => "{}".to_owned(),
    };
    let response = Response::builder().header("content-type", "application/x-amz-json-1.0").body(body.into());
    Ok(response.unwrap())
}
