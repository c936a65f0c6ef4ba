//! Opens the listeners that `--web.listen-address` names.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that the kernel keeps for us until we accept them.
const BACKLOG: u32 = 1024;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("listen address {address:?} is not host:port; right are :10047, 127.0.0.1:10047, [::1]:10047")]
    Unreadable { address: String },
    #[error("cannot listen on {address:?}: {source}")]
    Refused { address: String, source: io::Error },
}

/// Listens on `address`: `host:port`, or `:port` for all interfaces, IPv6 and IPv4. Port 0 takes a free one.
/// Of a host name the first address on which listening works is taken.
///
/// # Errors
/// The address is none, or the system does not let us have it.
pub async fn bind(address: &str) -> Result<TcpListener, ListenError> {
    let (host, port) =
        split(address).ok_or_else(|| ListenError::Unreadable { address: address.to_owned() })?;
    let listener = match host {
        "" => bind_all(port),
        host => TcpListener::bind((host, port)).await,
    };
    listener.map_err(|source| ListenError::Refused { address: address.to_owned(), source })
}

/// Host without brackets, and port.
fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    // u16 would read "+1" too.
    let port = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok())??;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|host| host.parse::<Ipv6Addr>().is_ok())?,
        None => host,
    };
    let is_plain = !host.contains(['[', ']', '/', '@', ' ']);
    let is_bracketed = address.starts_with('[');
    (is_plain && (is_bracketed || !host.contains(':'))).then_some((host, port))
}

/// One socket for IPv6 and IPv4; IPv4 alone where the system has no IPv6.
fn bind_all(port: u16) -> io::Result<TcpListener> {
    let dual = || {
        let socket = TcpSocket::new_v6()?;
        // The system's default may be IPv6 alone.
        rustix::net::sockopt::set_ipv6_v6only(&socket, false)?;
        listen(socket, (Ipv6Addr::UNSPECIFIED, port).into())
    };
    match dual() {
        Err(error) if lacks_ipv6(&error) => {
            listen(TcpSocket::new_v4()?, (Ipv4Addr::UNSPECIFIED, port).into())
        }
        done => done,
    }
}

fn lacks_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL))
}

fn listen(socket: TcpSocket, address: SocketAddr) -> io::Result<TcpListener> {
    // A restart may bind while connections of the process before are still in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_prometheus_reads_them() {
        assert_eq!(split(":10047"), Some(("", 10047)));
        assert_eq!(split("127.0.0.1:0"), Some(("127.0.0.1", 0)));
        assert_eq!(split("[::1]:9"), Some(("::1", 9)));
        assert_eq!(split("localhost:80"), Some(("localhost", 80)));
        for wrong in
            ["", "10047", "::1:9", "[::1]", "[x]:9", "a:b", "a:", "a:+1", "a:65536", "http://a:80", "[]:9"]
        {
            assert_eq!(split(wrong), None, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn all_interfaces_take_ipv4_too() {
        let listener = bind(":0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let again = bind(&format!(":{port}")).await.unwrap_err();
        assert!(again.to_string().starts_with(&format!("cannot listen on \":{port}\": ")), "{again}");
    }

    #[tokio::test]
    async fn an_unreadable_address_is_told_with_what_would_be_right() {
        let error = bind("nonsense").await.unwrap_err().to_string();
        assert!(error.contains("\"nonsense\"") && error.contains(":10047"), "{error}");
    }
}
