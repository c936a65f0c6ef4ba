//! Clients that are slow, silent, deaf or too many, and the closing of the house.

use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::tests::{PATIENCE, SHORT, ask, get, parse, patiently, read_all, start, start_with};
use super::*;

#[tokio::test]
async fn clients_that_trickle_or_say_nothing_are_cut() {
    let limits = Limits { head_timeout: SHORT, ..Limits::default() };
    let running = start_with(limits, None).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(read_all(&mut silent).await, b"");
    let began = Instant::now();
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    let mut tick = tokio::time::interval(SHORT / 10);
    // Each byte comes well within the limit; only all of them together are too slow.
    while began.elapsed() < PATIENCE {
        tick.tick().await;
        if slow.write_all(b"G").await.is_err() {
            break;
        }
    }
    assert!(began.elapsed() >= SHORT && began.elapsed() < PATIENCE, "cut after {:?}", began.elapsed());
    // Its request gets the usual deadline, however busy the machine is.
    let limits = Limits { idle_timeout: SHORT, ..Limits::default() };
    let running = start_with(limits, None).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(parse(&read_all(&mut idle).await).status, 200);
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let running = start().await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"healthy.\n") {
            let byte = patiently(stream.read_u8()).await.unwrap();
            seen.push(byte);
        }
        assert_eq!(parse(&seen).status, 200);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut() {
    // Enough for the answer to begin, even where the machine is busy.
    let limits = Limits { request_timeout: SHORT * 10, connections: 1, ..Limits::default() };
    let running = start_with(limits, None).await;
    // More than the buffers of both kernels hold.
    running.app.publish_config("x".repeat(64 * 1024 * 1024));
    let mut deaf = TcpStream::connect(running.address).await.unwrap();
    deaf.write_all(b"GET /config HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    // The answer has begun, so the one permit is taken.
    patiently(deaf.read_u8()).await.unwrap();
    let freed = patiently(Arc::clone(&running.app.connections).acquire_owned()).await;
    assert!(freed.is_ok());
    assert!(read_all(&mut deaf).await.len() < 64 * 1024 * 1024);
}

#[tokio::test]
async fn connections_beyond_the_cap_are_refused_and_counted_while_all_are_busy() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let (entered, release) = (Arc::new(Semaphore::new(0)), CancellationToken::new());
    let (tell, wait) = (Arc::clone(&entered), release.clone());
    let reload: Reload = Box::new(move || {
        tell.add_permits(1);
        Box::pin(wait.clone().cancelled_owned().map(Ok))
    });
    let running = start_with(limits, Some(reload)).await;
    let address = running.address;
    let busy =
        [(); 2].map(|()| tokio::spawn(async move { ask(address, "POST", "/-/reload", "").await.status }));
    drop(patiently(entered.acquire_many(2)).await.unwrap());
    let mut third = TcpStream::connect(address).await.unwrap();
    assert_eq!(parse(&read_all(&mut third).await).status, 503);
    release.cancel();
    for busy in busy {
        assert_eq!(patiently(busy).await.unwrap(), 200, "what is under way is not given up");
    }
    let scrape = get(&running, "/metrics").await;
    assert!(scrape.text().contains("timpush_web_connections_refused_total 1\n"));
    assert!(scrape.text().contains("timpush_web_connections_evicted_total 0\n"));
}

#[tokio::test]
async fn clients_that_wait_make_room_for_a_scrape() {
    let limits = Limits { connections: 8, ..Limits::default() };
    let running = start_with(limits, None).await;
    let mut slow = Vec::new();
    for _ in 0..24 {
        let mut client = TcpStream::connect(running.address).await.unwrap();
        // One that was cut already may refuse it.
        let _ = client.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\n").await;
        slow.push(client);
    }
    for _ in 0..20 {
        assert_eq!(get(&running, "/metrics").await.status, 200);
        let mut client = TcpStream::connect(running.address).await.unwrap();
        let _ = client.write_all(b"GET").await;
        slow.push(client);
    }
    let scrape = get(&running, "/metrics").await;
    let text = scrape.text();
    assert!(text.contains("timpush_web_connections_refused_total 0\n"), "{text}");
    assert!(!text.contains("timpush_web_connections_evicted_total 0\n"), "{text}");
}

#[tokio::test]
async fn a_request_of_a_connection_that_is_kept_goes_before_clients_that_dawdle() {
    let limits = Limits { connections: 2, patience: std::time::Duration::ZERO, ..Limits::default() };
    let running = start_with(limits, None).await;
    let mut kept = TcpStream::connect(running.address).await.unwrap();
    let mut ask_again = async || {
        kept.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"healthy.\n") {
            seen.push(patiently(kept.read_u8()).await.unwrap());
        }
    };
    ask_again().await;
    for _ in 0..5 {
        let mut slow = TcpStream::connect(running.address).await.unwrap();
        slow.write_all(b"GET").await.unwrap();
        // It is in its place when the next one has taken it.
        let mut next = TcpStream::connect(running.address).await.unwrap();
        assert_eq!(read_all(&mut slow).await, b"");
        next.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        assert_eq!(parse(&read_all(&mut next).await).status, 200);
        ask_again().await;
    }
}

#[tokio::test]
async fn requests_under_way_end_before_the_house_closes() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&entered), Arc::clone(&release));
    let reload: Reload = Box::new(move || {
        let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
        Box::pin(async move {
            tell.notify_one();
            wait.notified().await;
            Ok(())
        })
    });
    let running = start_with(Limits::default(), Some(reload)).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    let address = running.address;
    let asked = tokio::spawn(async move { ask(address, "POST", "/-/reload", "").await.status });
    patiently(entered.notified()).await;
    running.cancel.cancel();
    assert_eq!(read_all(&mut idle).await, b"", "idle connections are closed at once");
    assert!(!running.task.is_finished());
    assert!(TcpStream::connect(address).await.is_err(), "no new connection is taken");
    release.notify_one();
    assert_eq!(patiently(asked).await.unwrap(), 200);
    patiently(running.task).await.unwrap();
}

#[tokio::test]
async fn the_drain_has_a_deadline() {
    let limits = Limits { drain_timeout: SHORT, ..Limits::default() };
    let entered = Arc::new(Notify::new());
    let tell = Arc::clone(&entered);
    let hangs: Reload = Box::new(move || {
        tell.notify_one();
        Box::pin(std::future::pending())
    });
    let running = start_with(limits, Some(hangs)).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"POST /-/reload HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    patiently(entered.notified()).await;
    running.cancel.cancel();
    patiently(running.task).await.unwrap();
    assert_eq!(read_all(&mut stream).await, b"");
}
