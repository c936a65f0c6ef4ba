//! The body of an answer: read with a cap, and unpacked where it is gzip.

use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;

use super::code::Failure;
use super::failed::{Failed, of_transport};
use crate::sys;

/// The largest answer that is read, packed or not; a real one has one or two kilobytes for each device.
const ANSWER_CAP_BYTES: usize = 1 << 20;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
}

/// All of the body, plain.
pub(super) async fn read(mut response: Response) -> Result<Vec<u8>, Failed> {
    let coding = coding(&response).map_err(malformed)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| of_transport(&error))? {
        if body.len() + chunk.len() > ANSWER_CAP_BYTES {
            return Err(malformed(format!("the answer is larger than {ANSWER_CAP_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    match coding {
        Coding::Plain => Ok(body),
        Coding::Gzip => sys::gunzip(&body, ANSWER_CAP_BYTES)
            .map_err(|error| malformed(format!("the answer with Content-Encoding gzip {error}"))),
    }
}

fn coding(response: &Response) -> Result<Coding, String> {
    let mut coding = Coding::Plain;
    for value in response.headers().get_all(CONTENT_ENCODING) {
        let names = value.to_str().unwrap_or("?").split(',').map(|name| name.trim().to_ascii_lowercase());
        for name in names {
            coding = match (name.as_str(), coding) {
                ("" | "identity", coding) => coding,
                ("gzip" | "x-gzip", Coding::Plain) => Coding::Gzip,
                _ => return Err("the answer has a Content-Encoding other than gzip".to_owned()),
            };
        }
    }
    Ok(coding)
}

fn malformed(detail: String) -> Failed {
    Failed::new(Failure::MALFORMED, detail)
}
