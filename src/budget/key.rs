//! Whose limit a budget is: the host that is asked, and the SDKAppID.

/// Longer names of hosts are cut: two that are alike up to there share a budget, which is slow and never early.
const MOST_HOST_CHARS: usize = 160;

/// Names a limit of the upstream. Apps with the same key share one budget, whatever their names are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// The key of an SDKAppID at a host, with its port where it is not the usual one of HTTP or HTTPS. Upper case and a dot
    /// at the end mean nothing.
    pub fn new(host: &str, port: Option<u16>, sdk_app_id: u64) -> Key {
        let host = host.to_ascii_lowercase();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        let plain = host.trim_end_matches('.').chars().map(|c| if is_plain(c) { c } else { '_' });
        let plain: String = plain.take(MOST_HOST_CHARS).collect();
        let port = port.filter(|port| ![80, 443].contains(port)).map(|port| format!("_{port}"));
        // No name of an app has this sign: files that were named by the app cannot be mistaken for these.
        Key(format!("{sdk_app_id}@{plain}{}", port.unwrap_or_default()))
    }

    /// The name of its slot file.
    pub(super) fn file_name(&self) -> String {
        format!("{}.slot", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: &str, port: Option<u16>) -> String {
        Key::new(host, port, 7).file_name()
    }

    #[test]
    fn a_host_is_the_same_however_it_is_written() {
        let usual = name("console.tim.qq.com", None);
        assert_eq!(usual, "7@console.tim.qq.com.slot");
        for (host, port) in [("Console.TIM.qq.com", None), ("console.tim.qq.com.", Some(443))] {
            assert_eq!(name(host, port), usual);
        }
        assert_eq!(name("127.0.0.1", Some(8080)), "7@127.0.0.1_8080.slot");
        assert_ne!(name("a", Some(1)), name("a", Some(2)));
        assert_ne!(Key::new("a", None, 1), Key::new("a", None, 2));
    }

    #[test]
    fn whatever_a_host_is_called_it_names_a_file() {
        for host in ["[::1]", "../../etc", "a/b\0c", &"x".repeat(5_000), "", "ü"] {
            let name = Key::new(host, Some(u16::MAX), u64::MAX).file_name();
            assert!(name.len() < 255 && !name.contains(['/', '\0']), "{name}");
        }
    }
}
