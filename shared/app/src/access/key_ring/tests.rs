//! How often keys are read, and for how long they hold.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::future::{FutureExt, join_all};
use parking_lot::Mutex;

use super::*;
use crate::access::token::tests::issuer;

/// A source whose document changes and that can be down.
#[derive(Debug, Default)]
pub(in crate::access) struct Source {
    pub(in crate::access) document: Mutex<Option<Vec<u8>>>,
    pub(in crate::access) reads: AtomicUsize,
}

impl Source {
    pub(in crate::access) fn of(document: Vec<u8>) -> Self {
        Self { document: Mutex::new(Some(document)), reads: AtomicUsize::new(0) }
    }
}

impl KeySetSource for &Source {
    async fn read(&self) -> Result<Vec<u8>, Unavailable> {
        self.reads.fetch_add(1, SeqCst);
        // Another request runs meanwhile.
        let mut is_next = false;
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::replace(&mut is_next, true) {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        })
        .await;
        self.document.lock().clone().ok_or(Unavailable)
    }
}

fn reads(source: &Source) -> usize {
    source.reads.load(SeqCst)
}

#[tokio::test]
async fn many_requests_at_once_read_the_keys_once() {
    let source = Source::of(issuer("01").key_set());
    let ring = KeyRing::new(&source);
    let found = join_all((0..50).map(|_| ring.keys(0))).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(reads(&source), 1);
}

#[tokio::test]
async fn keys_are_read_again_now_and_then_and_a_document_that_is_the_same_keeps_them() {
    let source = Source::of(issuer("01").key_set());
    let ring = KeyRing::new(&source);
    let first = ring.keys(0).await.unwrap();
    ring.refresh(REFRESH_MS - 1).await;
    assert_eq!(reads(&source), 1);
    ring.refresh(REFRESH_MS).await;
    assert_eq!(reads(&source), 2);
    assert!(Arc::ptr_eq(&first, &ring.keys(REFRESH_MS).await.unwrap()));
    // A process that was frozen reads them before it verifies.
    *source.document.lock() = Some(issuer("02").key_set());
    let thawed = ring.keys(REFRESH_MS + OVERDUE_MS).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &thawed));
}

#[tokio::test]
async fn a_source_that_is_down_is_asked_now_and_then_and_the_last_keys_hold_for_a_day() {
    let source = Source::of(issuer("01").key_set());
    let ring = KeyRing::new(&source);
    let first = ring.keys(0).await.unwrap();
    for broken in [None, Some(b"<html>".to_vec())] {
        *source.document.lock() = broken;
        let before = reads(&source);
        for now_ms in OVERDUE_MS..OVERDUE_MS + 100 {
            assert!(Arc::ptr_eq(&first, &ring.keys(now_ms).await.unwrap()));
        }
        assert!(reads(&source) <= before + 1);
    }
    assert!(ring.keys(MAX_STALE_MS - 1).await.is_ok());
    assert_eq!(ring.keys(MAX_STALE_MS).await.map(drop), Err(Unavailable));
    *source.document.lock() = Some(issuer("01").key_set());
    assert!(ring.keys(MAX_STALE_MS + RETRY_MS).await.is_ok());
}

#[tokio::test]
async fn keys_that_were_never_read_are_asked_for_no_more_often() {
    let source = Source::default();
    let ring = KeyRing::new(&source);
    for now_ms in 0..RETRY_MS {
        assert_eq!(ring.keys(now_ms).await.map(drop), Err(Unavailable));
    }
    assert_eq!(reads(&source), 1);
    assert!(ring.keys(RETRY_MS).await.is_err());
    assert_eq!(reads(&source), 2);
}

#[tokio::test]
async fn a_reader_that_is_dropped_does_not_stop_the_next() {
    let source = Source::of(issuer("01").key_set());
    let ring = KeyRing::new(&source);
    assert!(ring.keys(0).now_or_never().is_none());
    assert!(ring.keys(RETRY_MS).await.is_ok());
}
