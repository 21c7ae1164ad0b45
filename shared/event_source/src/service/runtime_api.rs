//! A function's process, hosted as Lambda hosts it: through the Lambda Runtime API (AWS Lambda developer
//! guide, "Using the Lambda runtime API for custom runtimes"), one invocation at a time.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::poller::{InvokeError, Target};
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use equilibrium_app::clock::system_now_ms;

const API: &str = "/2018-06-01/runtime/";

/// Which process, and how it is run.
#[derive(Clone, Debug)]
pub struct Function {
    /// The function's name.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Variables, beside those that Lambda sets and nothing else.
    pub environment: Vec<(String, String)>,
    /// How long an invocation may take; a process that takes longer is replaced.
    pub timeout: Duration,
}

/// A hosted function. Its process is started by the first invocation, and anew by the next after it ended.
#[derive(Debug)]
pub struct LambdaProcess {
    function: Function,
    /// Held for as long as an invocation lasts: there is one at a time.
    instance: tokio::sync::Mutex<Option<ExecutionEnvironment>>,
    made: AtomicU64,
}

/// One process, and a runtime API of its own: nothing meant for another ever reaches it.
#[derive(Debug)]
struct ExecutionEnvironment {
    process: Child,
    desk: Arc<RuntimeApi>,
    invocations: mpsc::Sender<Invocation>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Invocation {
    id: String,
    deadline_ms: i64,
    payload: Bytes,
}

type Answer = Result<Bytes, InvokeError>;

/// What the process and who invokes it share.
#[derive(Debug)]
struct RuntimeApi {
    arn: String,
    next: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    /// Who waits for the answer, by the invocation.
    waiting: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
}

impl LambdaProcess {
    /// A function whose process is yet to start.
    #[must_use]
    pub fn new(function: Function) -> Self {
        Self { function, instance: tokio::sync::Mutex::default(), made: AtomicU64::new(0) }
    }

    async fn invoked(&self, payload: &[u8]) -> Answer {
        let mut held = self.instance.lock().await;
        let mut instance = match held.take_if(ExecutionEnvironment::is_alive) {
            Some(instance) => instance,
            None => ExecutionEnvironment::start(&self.function).await.map_err(|_| InvokeError::Refused)?,
        };
        let timeout_ms = i64::try_from(self.function.timeout.as_millis()).unwrap_or(i64::MAX);
        let invocation = Invocation {
            id: format!("{:08x}", self.made.fetch_add(1, Ordering::Relaxed)),
            deadline_ms: system_now_ms().saturating_add(timeout_ms),
            payload: Bytes::copy_from_slice(payload),
        };
        let answer = tokio::time::timeout(self.function.timeout, instance.invoke_once(invocation)).await;
        // A process that ended, or takes too long, is not asked again.
        if let Ok(Some(answer)) = answer {
            *held = Some(instance);
            return answer;
        }
        Err(InvokeError::Failed)
    }
}

impl Target for LambdaProcess {
    async fn invoke(&self, payload: &[u8]) -> Result<Vec<u8>, InvokeError> {
        self.invoked(payload).await.map(Vec::from)
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
        let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
        let desk =
            Arc::new(RuntimeApi { arn, next: tokio::sync::Mutex::new(next), waiting: Mutex::default() });
        let server = tokio::spawn(listen(listener, Arc::clone(&desk)));
        Ok(Self { process, desk, invocations, server })
    }

    fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// What the process answers; nothing where it ends instead.
    async fn invoke_once(&mut self, invocation: Invocation) -> Option<Answer> {
        let (sender, answer) = oneshot::channel();
        self.desk.waiting.lock().insert(invocation.id.clone(), sender);
        self.invocations.send(invocation).await.ok()?;
        tokio::select! {
            answer = answer => answer.ok(),
            _ = self.process.wait() => None,
        }
    }
}

impl Drop for ExecutionEnvironment {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn listen(listener: TcpListener, desk: Arc<RuntimeApi>) {
    loop {
        // The listener is the process's own: what fails is one connection.
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(serve_connection(stream, Arc::clone(&desk)));
    }
}

async fn serve_connection(stream: TcpStream, desk: Arc<RuntimeApi>) {
    let service = service_fn(|request| async { Ok::<_, Infallible>(desk.answer(request).await) });
    // A process that ends breaks its connection.
    drop(stream.set_nodelay(true));
    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
}

impl RuntimeApi {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let path: Vec<&str> = head.uri.path().strip_prefix(API).unwrap_or_default().split('/').collect();
        match (&head.method, path.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => {
                let body = body.collect().await;
                self.settle(id, body.map(Collected::to_bytes).map_err(|_| InvokeError::Failed))
            }
            (&Method::POST, ["invocation", id, "error"]) => self.settle(id, Err(InvokeError::Failed)),
            (&Method::POST, ["init", "error"]) => status(StatusCode::ACCEPTED),
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    /// Waits for the next invocation.
    async fn next(&self) -> Response<Full<Bytes>> {
        let next = self.next.lock().await.recv().await;
        let Some(Invocation { id, deadline_ms, payload }) = next else { return status(StatusCode::GONE) };
        let mut response = Response::new(Full::new(payload));
        let facts = [
            ("lambda-runtime-aws-request-id", id),
            ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
            ("lambda-runtime-invoked-function-arn", self.arn.clone()),
        ];
        for (name, value) in facts {
            let value = HeaderValue::from_str(&value).expect("a name and numbers are plain");
            response.headers_mut().insert(name, value);
        }
        response
    }

    fn settle(&self, id: &str, answer: Answer) -> Response<Full<Bytes>> {
        let Some(waiting) = self.waiting.lock().remove(id) else { return status(StatusCode::GONE) };
        // Who has given up does not want to know.
        let _ = waiting.send(answer);
        status(StatusCode::ACCEPTED)
    }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    *response.status_mut() = status;
    response
}
