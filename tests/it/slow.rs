//! Clients that are slow in every phase of a request, more of them than connections: scrapes and health are answered.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::{APP, AppText, FIRST_APP, NOWHERE, Place, get};

/// More than the daemon takes at once.
const CLIENTS: usize = 300;
/// Between two bytes of a client that trickles.
const PAUSE: Duration = Duration::from_millis(50);

/// Clients that send the same first bytes, then one more now and then, and never read; who is cut comes back.
struct SlowClients {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SlowClients {
    fn start(address: SocketAddr, first: &'static str) -> SlowClients {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let connect = move || {
            let mut client = TcpStream::connect(address).unwrap();
            client.set_nonblocking(true).unwrap();
            // One that is cut already comes back in the next round.
            let _ = client.write_all(first.as_bytes());
            client
        };
        let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect()).collect();
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                for client in &mut clients {
                    if client.write_all(b" ").is_err() {
                        *client = connect();
                    }
                }
                std::thread::sleep(PAUSE);
            }
        });
        SlowClients { stop, thread: Some(thread) }
    }
}

impl Drop for SlowClients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn slow_clients_of_every_kind_keep_no_scrape_out() {
    let place = Place::new(&AppText::new(APP, FIRST_APP, NOWHERE, 1.0).users("t", 1).config());
    let daemon = place.serve(&["--web.enable-watch-api"]);
    let kinds = [
        ("say nothing", ""),
        ("trickle their headers", "GET /metrics HTTP/1.1\r\nhost: a\r\nx-slow: "),
        (
            "trickle their bodies",
            "POST /api/v1/watches HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n",
        ),
        (
            "trickle bodies that nobody reads",
            "POST /-/reload HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n9\r\n",
        ),
        ("do not read", "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\nGET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"),
    ];
    for (kind, first) in kinds {
        let _slow = SlowClients::start(daemon.address(), first);
        for _ in 0..10 {
            for path in ["/metrics", "/-/healthy", "/-/ready", "/"] {
                let page = get(daemon.address(), path);
                assert_eq!(page.status, 200, "{path} while {CLIENTS} clients {kind}: {}", page.text());
            }
        }
    }
    let scrape = daemon.scrape();
    assert_eq!(scrape.value("timpush_web_connections_refused_total", &[]), Some(0.0));
    assert!(scrape.value("timpush_web_connections_evicted_total", &[]) > Some(0.0));
}
