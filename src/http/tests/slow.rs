//! Clients that are slow, silent, deaf or too many, and the closing of the server.

use std::time::Instant;

use tokio::sync::Semaphore;

use super::*;

#[tokio::test]
async fn clients_that_trickle_or_say_nothing_are_cut() {
    let limits = Limits { head_timeout: SHORT, ..Limits::default() };
    let running = start_with(limits, router()).await;
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
    let running = start_with(limits, router()).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(parse(&read_all(&mut idle).await).status, 200);
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_request() {
    let running = start().await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
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
    // More than the buffers of both kernels hold.
    let router = router().route("/large", getting(async || "x".repeat(64 * 1024 * 1024)));
    let running = start_with(limits, router).await;
    let mut deaf = TcpStream::connect(running.address).await.unwrap();
    deaf.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    // The answer has begun, so the one permit is taken.
    patiently(deaf.read_u8()).await.unwrap();
    let freed = patiently(Arc::clone(&running.server.pool.connections).acquire_owned()).await;
    assert!(freed.is_ok());
    assert!(read_all(&mut deaf).await.len() < 64 * 1024 * 1024);
}

/// A request to `/hold` tells when it has begun and ends when it is let go.
fn held() -> (Router, Arc<Semaphore>, CancellationToken) {
    let (entered, release) = (Arc::new(Semaphore::new(0)), CancellationToken::new());
    let (tell, wait) = (Arc::clone(&entered), release.clone());
    let hold = async move || {
        tell.add_permits(1);
        wait.cancelled().await;
    };
    (router().route("/hold", post(hold)), entered, release)
}

#[tokio::test]
async fn connections_beyond_the_cap_are_refused_and_counted_while_all_are_busy() {
    let limits = Limits { connections: 2, requests: 2, ..Limits::default() };
    let (router, entered, release) = held();
    let running = start_with(limits, router).await;
    let address = running.address;
    let busy = [(); 2].map(|()| tokio::spawn(async move { ask(address, "POST", "/hold", "").await.status }));
    drop(patiently(entered.acquire_many(2)).await.unwrap());
    let mut third = TcpStream::connect(address).await.unwrap();
    assert_eq!(parse(&read_all(&mut third).await).status, 503);
    release.cancel();
    for busy in busy {
        assert_eq!(patiently(busy).await.unwrap(), 200, "what is under way is not given up");
    }
    let events = [ServerEvent::ConnectionRefused, ServerEvent::ConnectionEvicted];
    assert_eq!(events.map(|event| running.count(event)), [1, 0]);
}

#[tokio::test]
async fn reserved_paths_are_answered_while_all_others_are_busy() {
    let limits = Limits { connections: 4, requests: 2, ..Limits::default() };
    let (router, entered, release) = held();
    let running = start_with(limits, router).await;
    let address = running.address;
    let busy = [(); 2].map(|()| tokio::spawn(async move { ask(address, "POST", "/hold", "").await.status }));
    drop(patiently(entered.acquire_many(2)).await.unwrap());
    for _ in 0..3 {
        for path in ["/metrics", "/health"] {
            assert_eq!(get(&running, path).await.status, 200, "{path}");
        }
    }
    let page = get(&running, "/").await;
    assert_eq!((page.status, page.header("retry-after")), (503, Some("1")));
    assert_eq!(page.header("x-error-of"), Some("/"));
    release.cancel();
    for busy in busy {
        assert_eq!(patiently(busy).await.unwrap(), 200);
    }
    assert_eq!(get(&running, "/").await.status, 200);
    assert_eq!(running.count(ServerEvent::RequestRefused(RequestRefusal::Busy)), 1);
}

/// A request whose body does not come.
async fn without_body(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = "POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n[";
    // One that was cut already may refuse it.
    let _ = client.write_all(head.as_bytes()).await;
    client
}

#[tokio::test]
async fn a_body_has_the_deadline_of_headers() {
    let limits = Limits { head_timeout: SHORT, ..Limits::default() };
    let running = start_with(limits, router()).await;
    let mut slow = without_body(running.address).await;
    assert_eq!(read_all(&mut slow).await, b"");
    let mut whole = TcpStream::connect(running.address).await.unwrap();
    let head = "POST /body HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\n[]";
    whole.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(parse(&read_all(&mut whole).await).status, 200);
}

#[tokio::test]
async fn bodies_that_do_not_come_keep_nobody_out() {
    let limits = Limits { connections: 8, requests: 4, ..Limits::default() };
    let running = start_with(limits, router()).await;
    let mut slow = Vec::new();
    for _ in 0..5 {
        for _ in 0..16 {
            slow.push(without_body(running.address).await);
        }
        for path in ["/metrics", "/health", "/"] {
            assert_eq!(get(&running, path).await.status, 200, "{path}");
        }
    }
}

#[tokio::test]
async fn clients_that_wait_make_room_for_others() {
    let limits = Limits { connections: 8, ..Limits::default() };
    let running = start_with(limits, router()).await;
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
    assert_eq!(running.count(ServerEvent::ConnectionRefused), 0);
    assert!(running.count(ServerEvent::ConnectionEvicted) > 0);
}

#[tokio::test]
async fn requests_under_way_end_before_the_server_closes() {
    let (router, entered, release) = held();
    let running = start_with(Limits::default(), router).await;
    let mut idle = TcpStream::connect(running.address).await.unwrap();
    let address = running.address;
    let asked = tokio::spawn(async move { ask(address, "POST", "/hold", "").await.status });
    drop(patiently(entered.acquire()).await.unwrap());
    running.cancel.cancel();
    assert_eq!(read_all(&mut idle).await, b"", "idle connections are closed at once");
    assert!(!running.task.is_finished());
    assert!(TcpStream::connect(address).await.is_err(), "no new connection is taken");
    release.cancel();
    assert_eq!(patiently(asked).await.unwrap(), 200);
    patiently(running.task).await.unwrap();
}

#[tokio::test]
async fn the_drain_has_a_deadline() {
    let limits = Limits { drain_timeout: SHORT, ..Limits::default() };
    let (router, entered, _release) = held();
    let running = start_with(limits, router).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"POST /hold HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    drop(patiently(entered.acquire()).await.unwrap());
    running.cancel.cancel();
    patiently(running.task).await.unwrap();
    assert_eq!(read_all(&mut stream).await, b"");
}
