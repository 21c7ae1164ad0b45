//! A function's process, run as Lambda runs it: through the Lambda Runtime API (AWS Lambda developer guide, "Using
//! the Lambda runtime API for custom runtimes"), one invocation at a time.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use equilibrium_app::clock::system_now_ms;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::http_server;
use crate::poller::{InvokeError, Target};

const API_PATH: &str = "/2018-06-01/runtime/";

/// The longest response of a function (AWS Lambda quotas, invocation payload).
const MAX_RESPONSE_BYTES: usize = 6 << 20;

/// A function's program and how to run it.
#[derive(Clone, Debug)]
pub struct Function {
    /// The function's name.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Environment variables, in addition to those that Lambda sets; no others are inherited.
    pub environment: Vec<(String, String)>,
    /// How long an invocation may take; a process that takes longer is replaced.
    pub timeout: Duration,
}

/// A function run as a process. The first invocation starts the process; after the process has ended, the next
/// invocation starts another one.
#[derive(Debug)]
pub struct LambdaProcess {
    function: Function,
    /// Locked during an invocation: there is one at a time.
    environment: tokio::sync::Mutex<Option<ExecutionEnvironment>>,
    invocations: AtomicU64,
}

/// One process with a Runtime API of its own, so that no invocation reaches another process.
#[derive(Debug)]
struct ExecutionEnvironment {
    process: Child,
    api: Arc<RuntimeApi>,
    invocations: mpsc::Sender<Invocation>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Invocation {
    id: String,
    deadline_ms: i64,
    payload: Bytes,
}

type InvocationResult = Result<Bytes, InvokeError>;

/// The state that the process's requests and the invocations share.
#[derive(Debug)]
struct RuntimeApi {
    function_arn: String,
    next: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    /// Invocations that wait for their response, by request id.
    waiting: Mutex<HashMap<String, oneshot::Sender<InvocationResult>>>,
}

impl LambdaProcess {
    /// A function whose process has not been started yet.
    #[must_use]
    pub fn new(function: Function) -> Self {
        Self { function, environment: tokio::sync::Mutex::default(), invocations: AtomicU64::new(0) }
    }

    async fn invoke_in_environment(&self, payload: &[u8]) -> InvocationResult {
        let mut slot = self.environment.lock().await;
        let mut environment = match slot.take_if(ExecutionEnvironment::is_alive) {
            Some(environment) => environment,
            None => ExecutionEnvironment::start(&self.function).await.map_err(|_| InvokeError::Refused)?,
        };
        let timeout_ms = i64::try_from(self.function.timeout.as_millis()).unwrap_or(i64::MAX);
        let invocation = Invocation {
            id: format!("{:08x}", self.invocations.fetch_add(1, Ordering::Relaxed)),
            deadline_ms: system_now_ms().saturating_add(timeout_ms),
            payload: Bytes::copy_from_slice(payload),
        };
        let result = tokio::time::timeout(self.function.timeout, environment.invoke_once(invocation)).await;
        // A process that has ended or timed out is not invoked again.
        if let Ok(Some(result)) = result {
            *slot = Some(environment);
            return result;
        }
        Err(InvokeError::Failed)
    }
}

impl Target for LambdaProcess {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        self.invoke_in_environment(payload).await.map(Vec::from)
    }
}

impl ExecutionEnvironment {
    async fn start(function: &Function) -> io::Result<Self> {
        let Function { name, program, environment, .. } = function;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let process = Command::new(program)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_REGION", "us-east-1")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (invocations, next) = mpsc::channel(1);
        let api = Arc::new(RuntimeApi {
            function_arn: format!("arn:aws:lambda:us-east-1:000000000000:function:{name}"),
            next: tokio::sync::Mutex::new(next),
            waiting: Mutex::default(),
        });
        let shared = Arc::clone(&api);
        let respond = move |request| {
            let api = Arc::clone(&shared);
            async move { api.respond(request).await }
        };
        let server = tokio::spawn(http_server::serve(listener, respond));
        Ok(Self { process, api, invocations, server })
    }

    fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Invokes the process; `None` if it ends without a response.
    async fn invoke_once(&mut self, invocation: Invocation) -> Option<InvocationResult> {
        let (sender, result) = oneshot::channel();
        self.api.waiting.lock().insert(invocation.id.clone(), sender);
        self.invocations.send(invocation).await.ok()?;
        tokio::select! {
            result = result => result.ok(),
            _ = self.process.wait() => None,
        }
    }
}

impl Drop for ExecutionEnvironment {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl RuntimeApi {
    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().strip_prefix(API_PATH).unwrap_or_default();
        let segments: Vec<&str> = path.split('/').collect();
        match (&head.method, segments.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next_invocation().await,
            (&Method::POST, ["invocation", id, "response"]) => {
                let body = http_server::read_body(body, MAX_RESPONSE_BYTES).await;
                self.settle(id, body.ok_or(InvokeError::Failed))
            }
            (&Method::POST, ["invocation", id, "error"]) => self.settle(id, Err(InvokeError::Failed)),
            (&Method::POST, ["init", "error"]) => empty_response(StatusCode::ACCEPTED),
            _ => empty_response(StatusCode::NOT_FOUND),
        }
    }

    /// Waits for the next invocation.
    async fn next_invocation(&self) -> Response<Full<Bytes>> {
        let next = self.next.lock().await.recv().await;
        let Some(Invocation { id, deadline_ms, payload }) = next else {
            return empty_response(StatusCode::GONE);
        };
        let mut response = Response::new(Full::new(payload));
        let headers = [
            ("lambda-runtime-aws-request-id", id),
            ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
            ("lambda-runtime-invoked-function-arn", self.function_arn.clone()),
        ];
        for (name, value) in headers {
            let value = HeaderValue::from_str(&value).expect("names and numbers are visible ASCII");
            response.headers_mut().insert(name, value);
        }
        response
    }

    fn settle(&self, id: &str, result: InvocationResult) -> Response<Full<Bytes>> {
        let Some(waiting) = self.waiting.lock().remove(id) else { return empty_response(StatusCode::GONE) };
        // The invocation may have timed out meanwhile.
        let _ = waiting.send(result);
        empty_response(StatusCode::ACCEPTED)
    }
}

/// A response with an empty JSON object.
fn empty_response(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = status;
    response
}
