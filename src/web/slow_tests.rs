//! Clients that are slow, silent, deaf or too many, and the closing of the house.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::tests::{PATIENCE, SHORT, ask, get, parse, patiently, read_all, start, start_with};
use super::*;

#[tokio::test]
async fn clients_that_trickle_or_say_nothing_are_cut() {
    let limits = Limits { head_timeout: SHORT, idle_timeout: SHORT, ..Limits::default() };
    let running = start_with(limits, None).await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(read_all(&mut silent).await, b"");
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    let began = Instant::now();
    let mut tick = tokio::time::interval(SHORT / 10);
    // Each byte comes well within the limit; only all of them together are too slow.
    while began.elapsed() < PATIENCE {
        tick.tick().await;
        if slow.write_all(b"G").await.is_err() {
            break;
        }
    }
    assert!(began.elapsed() >= SHORT && began.elapsed() < PATIENCE, "cut after {:?}", began.elapsed());
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
    let limits = Limits { request_timeout: SHORT, connections: 1, ..Limits::default() };
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
async fn connections_beyond_the_cap_are_refused_and_counted() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let running = start_with(limits, None).await;
    let held = [
        TcpStream::connect(running.address).await.unwrap(),
        TcpStream::connect(running.address).await.unwrap(),
    ];
    let mut third = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(parse(&read_all(&mut third).await).status, 503);
    drop(held);
    let all = u32::try_from(limits.connections).unwrap();
    drop(patiently(running.app.connections.acquire_many(all)).await.unwrap());
    let scrape = get(&running, "/metrics").await;
    assert!(scrape.text().contains("timpush_web_connections_refused_total 1\n"));
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
