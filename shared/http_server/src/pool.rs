//! A bound on the bytes that all clients together make the server hold. If it is reached, a client that keeps the server
//! waiting is let go, so that clients that stall cannot delay those that do not: the one with the greatest product of
//! bytes and waiting time.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{MutexGuard, Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

/// How long a client may keep the server waiting, in all, before it can be let go for others.
pub const PATIENCE: Duration = Duration::from_millis(250);

/// Least time between two clients that are let go: the bytes of the first are free by then.
const LET_GO_INTERVAL: Duration = Duration::from_millis(5);

/// Time between two attempts to find room.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// The client could not be served within its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// Other clients needed the memory.
    LetGo,
    /// It kept the server waiting for too long.
    TimedOut,
}

/// Bytes for clients.
#[derive(Debug)]
pub struct Pool {
    capacity: usize,
    free: Semaphore,
    next_id: AtomicU64,
    clients: Mutex<Clients>,
    /// Held by the one client that may hold more when nothing is free and every client makes progress, so that clients
    /// that wait for each other's bytes come to an end.
    overflow: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Clients {
    by_id: HashMap<u64, Arc<Client>>,
    /// Before this, no client is let go.
    next_let_go: Instant,
}

/// A client that holds bytes.
#[derive(Debug)]
struct Client {
    held: AtomicUsize,
    /// How long it has kept the server waiting, without the wait that goes on.
    waited_us: AtomicU64,
    /// When the wait that goes on began, in microseconds since `created`; 0 if none does.
    since_us: AtomicU64,
    created: Instant,
    is_let_go: AtomicBool,
    let_go: Notify,
}

impl Client {
    fn now_us(&self) -> u64 {
        u64::try_from(self.created.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    fn waited_us(&self) -> u64 {
        let since = self.since_us.load(Relaxed);
        let current = if since == 0 { 0 } else { self.now_us().saturating_sub(since) };
        self.waited_us.load(Relaxed) + current
    }
}

/// What one client holds, until it is dropped.
#[derive(Debug)]
pub struct Hold<'a> {
    pool: &'a Pool,
    id: u64,
    client: Arc<Client>,
    overflow: Option<MutexGuard<'a, ()>>,
}

impl Pool {
    /// A pool of `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            free: Semaphore::new(capacity),
            next_id: AtomicU64::default(),
            clients: Mutex::new(Clients { by_id: HashMap::new(), next_let_go: Instant::now() }),
            overflow: tokio::sync::Mutex::default(),
        }
    }

    /// A client that holds nothing yet.
    pub fn hold(&self) -> Hold<'_> {
        let id = self.next_id.fetch_add(1, Relaxed);
        let client = Arc::new(Client {
            held: AtomicUsize::new(0),
            waited_us: AtomicU64::new(0),
            since_us: AtomicU64::new(0),
            created: Instant::now(),
            is_let_go: AtomicBool::new(false),
            let_go: Notify::new(),
        });
        self.clients.lock().by_id.insert(id, Arc::clone(&client));
        Hold { pool: self, id, client, overflow: None }
    }

    /// Lets go the client whose waiting costs most, if one has waited for longer than [`PATIENCE`].
    fn let_slowest_go(&self) {
        let mut clients = self.clients.lock();
        let now = Instant::now();
        if now < clients.next_let_go {
            return;
        }
        clients.next_let_go = now + LET_GO_INTERVAL;
        let slow = clients.by_id.values().filter(|one| !one.is_let_go.load(Relaxed));
        let slow = slow.map(|client| (client.waited_us(), client.held.load(Relaxed), client));
        let slow = slow.filter(|(waited, _, _)| u128::from(*waited) >= PATIENCE.as_micros());
        let costly = slow.filter(|(_, held, _)| *held > 0);
        let costliest = costly.max_by_key(|(waited, held, _)| u128::from(*waited) * (*held as u128));
        if let Some((_, _, client)) = costliest {
            client.is_let_go.store(true, Relaxed);
            client.let_go.notify_one();
        }
    }
}

impl Hold<'_> {
    /// Holds `bytes` more, at most the capacity of the pool.
    ///
    /// # Errors
    /// [`Gone::LetGo`].
    pub async fn grow(&mut self, bytes: usize) -> Result<(), Gone> {
        let bytes = bytes.min(self.pool.capacity);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        while self.overflow.is_none() {
            if let Some(found) = self.acquire(permits).await? {
                found.forget();
                self.client.held.fetch_add(bytes, Relaxed);
                break;
            }
            self.overflow = self.pool.overflow.try_lock().ok();
        }
        Ok(())
    }

    /// Takes what is free, or what becomes free within a moment because the slowest client is let go.
    async fn acquire(&self, permits: u32) -> Result<Option<SemaphorePermit<'_>>, Gone> {
        let free = &self.pool.free;
        if let Ok(found) = free.try_acquire_many(permits) {
            return Ok(Some(found));
        }
        self.pool.let_slowest_go();
        tokio::select! {
            () = self.client.let_go.notified() => Err(Gone::LetGo),
            found = timeout(RETRY_INTERVAL, free.acquire_many(permits)) => Ok(found.ok().and_then(Result::ok)),
        }
    }

    /// Waits for the client.
    ///
    /// # Errors
    /// [`Gone::TimedOut`] after `limit`, [`Gone::LetGo`].
    pub async fn wait<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Result<T, Gone> {
        let client = &self.client;
        let began_us = client.now_us();
        client.since_us.store(began_us, Relaxed);
        let result = tokio::select! {
            done = timeout(limit, future) => done.map_err(|_| Gone::TimedOut),
            () = client.let_go.notified() => Err(Gone::LetGo),
        };
        client.since_us.store(0, Relaxed);
        client.waited_us.fetch_add(client.now_us() - began_us, Relaxed);
        result
    }

    /// How long the client has kept the server waiting so far.
    pub fn waited(&self) -> Duration {
        Duration::from_micros(self.client.waited_us())
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.pool.clients.lock().by_id.remove(&self.id);
        self.pool.free.add_permits(self.client.held.load(Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test(start_paused = true)]
    async fn the_slowest_client_is_let_go_for_one_that_needs_its_bytes() {
        let pool = Pool::new(100);
        let hold = async |bytes, delay| {
            tokio::time::sleep(Duration::from_millis(delay)).await;
            let mut hold = pool.hold();
            hold.grow(bytes).await.unwrap();
            hold.wait(LONG, pending::<()>()).await
        };
        let honest = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut hold = pool.hold();
            hold.grow(50).await.unwrap();
            hold.waited()
        };
        let slowest = async { hold(50, 0).await };
        let slow = timeout(Duration::from_secs(9), hold(50, 100));
        let (slowest, slow, waited) = tokio::join!(slowest, slow, honest);
        assert_eq!(slowest, Err(Gone::LetGo));
        assert!(slow.is_err(), "the other slow client was not in the way");
        assert_eq!(waited, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_holds_little_is_not_let_go_for_one_that_holds_much() {
        let pool = Pool::new(100);
        let stall = async |bytes| {
            let mut hold = pool.hold();
            hold.grow(bytes).await.unwrap();
            hold.wait(LONG, pending::<()>()).await
        };
        let honest = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut hold = pool.hold();
            hold.grow(50).await
        };
        let small = timeout(Duration::from_secs(9), stall(1));
        let (small, large, honest) = tokio::join!(small, stall(99), honest);
        assert!(small.is_err(), "its byte would not have been enough");
        assert_eq!((large, honest), (Err(Gone::LetGo), Ok(())));
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_wait_for_each_other_come_to_an_end_and_free_what_they_held() {
        let pool = Pool::new(100);
        let client = async || {
            let mut hold = pool.hold();
            for _ in 0..10 {
                hold.grow(9).await?;
                tokio::task::yield_now().await;
            }
            Ok::<_, Gone>(())
        };
        let ended = tokio::join!(client(), client(), client(), client());
        assert_eq!(ended, (Ok(()), Ok(()), Ok(()), Ok(())));
        assert_eq!(pool.free.available_permits(), 100);
        pool.hold().grow(1_000).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_its_time_if_nobody_needs_its_bytes() {
        let pool = Pool::new(100);
        let mut hold = pool.hold();
        hold.grow(100).await.unwrap();
        assert_eq!(hold.wait(LONG, pending::<()>()).await, Err(Gone::TimedOut));
        assert_eq!(hold.wait(LONG, async { 7 }).await, Ok(7));
    }
}
