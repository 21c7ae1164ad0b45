//! Invocations through Lambda's Invoke API: which failures count as an attempt.

use std::time::Duration;

use equilibrium_aws::invoke::LambdaInvoker;
use equilibrium_event_source::poller::{InvokeError, Target};
use equilibrium_tests::harness::emulator::sdk_config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Serves one request of the Invoke API; with `None` it closes the connection without a response.
async fn serve_once(response: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"{\"Records\":[]}") {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        assert!(request.starts_with(b"POST /2015-03-31/functions/equilibrium-count/invocations"));
        if let Some(response) = response {
            stream.write_all(response.as_bytes()).await.unwrap();
        }
    });
    endpoint
}

async fn invoke(endpoint: &str) -> Result<String, InvokeError> {
    let function = LambdaInvoker::new(&sdk_config(endpoint), None, "equilibrium-count".into(), TIMEOUT);
    let response = function.invoke(b"{\"Records\":[]}").await?;
    Ok(String::from_utf8(response).unwrap())
}

#[tokio::test]
async fn the_response_of_the_function_is_returned() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"batchItemFailures\":[]}";
    assert_eq!(invoke(&serve_once(Some(response)).await).await.as_deref(), Ok("{\"batchItemFailures\":[]}"));
}

#[tokio::test]
async fn an_invoker_may_have_an_endpoint_of_its_own() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let endpoint = serve_once(Some(response)).await;
    // Nothing listens on port 1.
    let sdk = sdk_config("http://127.0.0.1:1");
    let function = LambdaInvoker::new(&sdk, Some(&endpoint), "equilibrium-count".into(), TIMEOUT);
    assert_eq!(function.invoke(b"{\"Records\":[]}").await.as_deref(), Ok(&b"{}"[..]));
}

#[tokio::test]
async fn a_function_that_may_have_run_counts_as_an_attempt() {
    let failed = "HTTP/1.1 200 OK\r\nX-Amz-Function-Error: Unhandled\r\nContent-Length: 2\r\n\r\n{}";
    // It is unknown whether the function ran.
    let broken = "HTTP/1.1 500 E\r\nx-amzn-errortype: ServiceException\r\nContent-Length: 2\r\n\r\n{}";
    for response in [Some(failed), Some(broken), None] {
        assert_eq!(invoke(&serve_once(response).await).await, Err(InvokeError::Failed), "{response:?}");
    }
}

#[tokio::test]
async fn a_function_that_did_not_run_does_not_count_as_an_attempt() {
    for kind in ["TooManyRequestsException", "ResourceNotFoundException", "ResourceConflictException"] {
        let refused = format!("HTTP/1.1 429 E\r\nx-amzn-errortype: {kind}\r\nContent-Length: 2\r\n\r\n{{}}");
        assert_eq!(
            invoke(&serve_once(Some(refused.leak())).await).await,
            Err(InvokeError::Refused),
            "{kind}"
        );
    }
    // Nothing listens on port 1.
    assert_eq!(invoke("http://127.0.0.1:1").await, Err(InvokeError::Refused));
}

#[tokio::test]
async fn an_invocation_ends_at_its_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let outcome = tokio::time::timeout(2 * TIMEOUT, invoke(&endpoint)).await;
    assert_eq!(outcome, Ok(Err(InvokeError::Failed)));
}
