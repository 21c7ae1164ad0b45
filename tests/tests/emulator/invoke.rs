//! Functions through Lambda's Invoke API: what counts as an attempt and what does not.

use std::time::Duration;

use equilibrium_aws::invoke::LambdaInvoker;
use equilibrium_event_source::poller::{InvokeError, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::emulator::config;

const TIMEOUT: Duration = Duration::from_secs(2);

/// An Invoke API that gives one answer; `None` hangs up without one.
async fn api(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"{\"Records\":[]}") {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        assert!(request.starts_with(b"POST /2015-03-31/functions/equilibrium-count/invocations"));
        if let Some(answer) = answer {
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    endpoint
}

async fn invoked(endpoint: &str) -> Result<String, InvokeError> {
    let function = LambdaInvoker::new(&config(endpoint), None, "equilibrium-count".into(), TIMEOUT);
    let answer = function.invoke(b"{\"Records\":[]}").await?;
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn an_answer_is_the_functions_own() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"batchItemFailures\":[]}";
    assert_eq!(invoked(&api(Some(answer)).await).await.as_deref(), Ok("{\"batchItemFailures\":[]}"));
}

#[tokio::test]
async fn a_function_may_be_elsewhere_than_all_else() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let elsewhere = api(Some(answer)).await;
    // Nobody listens at port 1.
    let sdk = config("http://127.0.0.1:1");
    let function = LambdaInvoker::new(&sdk, Some(&elsewhere), "equilibrium-count".into(), TIMEOUT);
    assert_eq!(function.invoke(b"{\"Records\":[]}").await.as_deref(), Ok(&b"{}"[..]));
}

#[tokio::test]
async fn a_function_that_ran_and_failed_has_used_up_an_attempt() {
    let failed = "HTTP/1.1 200 OK\r\nX-Amz-Function-Error: Unhandled\r\nContent-Length: 2\r\n\r\n{}";
    // Nobody can say whether it ran: it counts as if it had.
    let broken = "HTTP/1.1 500 E\r\nx-amzn-errortype: ServiceException\r\nContent-Length: 2\r\n\r\n{}";
    for answer in [Some(failed), Some(broken), None] {
        assert_eq!(invoked(&api(answer).await).await, Err(InvokeError::Failed), "{answer:?}");
    }
}

#[tokio::test]
async fn a_function_that_never_ran_has_not() {
    for kind in ["TooManyRequestsException", "ResourceNotFoundException", "ResourceConflictException"] {
        let refused = format!("HTTP/1.1 429 E\r\nx-amzn-errortype: {kind}\r\nContent-Length: 2\r\n\r\n{{}}");
        assert_eq!(invoked(&api(Some(refused.leak())).await).await, Err(InvokeError::Refused), "{kind}");
    }
    // Nobody listens at port 1.
    assert_eq!(invoked("http://127.0.0.1:1").await, Err(InvokeError::Refused));
}

#[tokio::test]
async fn a_function_that_outruns_its_time_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let answer = tokio::time::timeout(2 * TIMEOUT, invoked(&endpoint)).await;
    assert_eq!(answer, Ok(Err(InvokeError::Failed)));
}
