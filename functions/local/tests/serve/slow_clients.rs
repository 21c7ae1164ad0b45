//! Clients that make the server hold memory: it is bounded over all of them, and others do not wait for them.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::fixture::{Server, serve};
use crate::harness::http_client::{get, post};
use crate::harness::market::{driver, now_ms, place};
use crate::harness::process::until;

const MIB: usize = 1 << 20;

#[test]
fn unfinished_heads_take_little_memory() {
    const CLIENTS: usize = 1_000;
    let server = Server::unfed();
    let before = server.process.peak_mb();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ").unwrap();
        client.send(&[b'x'; 15 << 10]).unwrap();
    }
    server.assert_serves();
    assert!(server.process.peak_mb() < before + 60, "{} MB", server.process.peak_mb());
    for client in &mut clients[..10] {
        client.send(&[b'x'; 2 << 10]).unwrap();
        assert_eq!(client.response(false).unwrap().problem(), (431, "headers_too_large".into()));
    }
}

#[test]
fn stalled_bodies_do_not_delay_others() {
    let server = Server::unfed();
    let mut stalled: Vec<_> = (0..40).map(|_| server.connect()).collect();
    let head = "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-ndjson\r\n";
    for one in &mut stalled {
        one.send(format!("{head}content-length: {MIB}\r\n\r\n").as_bytes()).unwrap();
        one.send(&vec![b' '; MIB - 6]).unwrap();
    }
    let event = driver("d", place(0), now_ms());
    let body = event.repeat(500);
    let clients = (0..4).map(|_| {
        let (mut connection, request) = (server.connect(), post(body.clone()));
        thread::spawn(move || {
            let mut slowest = Duration::ZERO;
            for _ in 0..20 {
                let began = Instant::now();
                assert_eq!(connection.request(&request).unwrap().accepted(), 500);
                slowest = slowest.max(began.elapsed());
            }
            slowest
        })
    });
    let clients: Vec<_> = clients.collect();
    for slowest in clients.into_iter().map(|client| client.join().unwrap()) {
        assert!(slowest < Duration::from_secs(2), "a post took {slowest:?}");
    }
    let let_go = stalled.iter_mut().map(|one| {
        let received = one.read_to_close();
        received.starts_with("HTTP/1.1 408 ") && received.contains("request_timeout")
    });
    assert!(let_go.filter(|let_go| *let_go).count() > 30);
}

#[test]
fn answers_that_are_not_read_are_few_and_end() {
    const CLIENTS: u64 = 60;
    let server = Server::start(&mut serve(&[]));
    let before = server.process.open_files();
    let mut unread: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    let requests = get("/v1/cities/nyc/surge").header("accept", "application/geo+json").bytes().repeat(60);
    for client in &mut unread {
        client.send(&requests).unwrap();
    }
    server.assert_serves();
    assert!(server.process.peak_mb() < 150, "{} MB", server.process.peak_mb());
    until("the connections to be closed", || (server.process.open_files() <= before).then_some(()));
    server.assert_serves();
}

#[test]
fn with_few_files_clients_are_served_and_with_too_few_the_start_is_refused_in_words() {
    let limited = |files: u32| {
        let mut command = std::process::Command::new("sh");
        let serve = format!("ulimit -n {files} && exec \"$0\" serve --port 0 --feed none");
        command.args(["-c", &serve, env!("CARGO_BIN_EXE_equilibrium")]);
        command
    };
    for files in [256, 64] {
        let server = Server::start(&mut limited(files));
        let mut held: Vec<_> = (0..5).map(|_| server.connect()).collect();
        for client in &mut held {
            assert_eq!(client.request(&get("/v1/cities")).unwrap().status, 200);
        }
    }
    let mut process = crate::harness::process::Process::start(&mut limited(40));
    assert_eq!(process.wait().code(), Some(1));
    assert!(process.output().contains("at most 40 files can be open"), "{}", process.output());
}
