//! Why there is no answer: what failed, in words that hold no secret.

use super::code::Failure;

/// Why there is no answer. Shows as a sentence in our own words: no secret, no user id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {detail}", failure.kind.as_str(), code_text(failure))]
pub struct Failed {
    pub failure: Failure,
    /// In our own words.
    pub detail: String,
    /// What the upstream says of it, without secrets. It may name users, so it is only for those who may see them; never
    /// for the log.
    pub upstream_text: Option<String>,
}

impl Failed {
    pub(super) fn new(failure: Failure, detail: impl Into<String>) -> Failed {
        Failed { failure, detail: detail.into(), upstream_text: None }
    }
}

fn code_text(failure: &Failure) -> String {
    failure.code.map(|code| format!(" {code}")).unwrap_or_default()
}

/// What reqwest says, without the URL, which holds the signature.
pub(super) fn of_transport(error: &reqwest::Error) -> Failed {
    let failure = if error.is_timeout() { Failure::TIMEOUT } else { Failure::CONNECT };
    Failed::new(failure, chain(error))
}

/// The causes of an error, outermost left out: reqwest's own words name the URL there.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        cause = error.source();
    }
    if words.is_empty() {
        words.push("the exchange broke off".to_owned());
    }
    words.join(": ")
}
