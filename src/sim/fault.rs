//! The ways in which the simulator misbehaves when told to.
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::report::Refusal;

/// Orders that wait at the same time.
const MAX_FAULTS: usize = 1_000;

/// One way to misbehave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The answer comes this much later; other faults may apply beside it. What has happened by then is shown.
    Slow { milliseconds: u64 },
    /// `FAIL` with this code instead of the answer.
    Error { code: i64 },
    /// This HTTP status: 204 without a body, a redirect (3xx) to its own path, else an HTML page.
    Http { status: u16 },
    /// 200 with an HTML page.
    Html,
    /// The answer cut in half, as a complete HTTP body.
    HalfJson,
    /// No answer; the connection stays open.
    Hang,
    /// The connection is reset, before or in the middle of the answer.
    Reset {
        #[serde(default)]
        mid_response: bool,
    },
    /// 200, code 0 and an empty trace.
    Forget,
    /// 200 with so many bytes of JSON.
    Huge {
        #[serde(default = "huge_bytes")]
        bytes: u64,
    },
    /// The answer leaves the documented shape in all the ways of the manual's section 11. Its account stays exact.
    Drift,
    /// `FAIL`, code 91000, with the whole query string and so the signature in `ErrorInfo`.
    SecretEcho,
}

/// 64 MiB, far beyond any true answer.
fn huge_bytes() -> u64 {
    64 << 20
}

/// A fault and whom it meets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOrder {
    pub fault: Fault,
    /// One app only; `None` is all, and requests that name no app.
    #[serde(default)]
    pub sdk_app_id: Option<u64>,
    /// So many requests; `None` is until cleared.
    #[serde(default)]
    pub requests: Option<u64>,
}

impl From<Fault> for FaultOrder {
    /// For all apps, until cleared.
    fn from(fault: Fault) -> FaultOrder {
        FaultOrder { fault, sdk_app_id: None, requests: None }
    }
}

/// The orders in force. An order for one app goes before those for all, an older before a younger.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<FaultOrder>);

/// What one request meets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) delay: Option<Duration>,
    pub(super) fault: Option<Fault>,
}

impl Faults {
    pub(super) fn add(&mut self, order: FaultOrder) -> Result<(), Refusal> {
        match order.fault {
            Fault::Http { status } if !(200..600).contains(&status) => {
                return Err(Refusal::BadStatus(status));
            }
            Fault::Error { code: 0 } => return Err(Refusal::NoError),
            _ => {}
        }
        if self.0.len() >= MAX_FAULTS {
            return Err(Refusal::Full { what: "faults", limit: MAX_FAULTS });
        }
        self.0.push(order);
        self.0.retain(|order| order.requests != Some(0));
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn orders(&self) -> &[FaultOrder] {
        &self.0
    }

    /// What the next request of this app meets; orders for a number of requests are used up by it.
    pub(super) fn take(&mut self, sdk_app_id: Option<u64>) -> Taken {
        let slow = self.take_one(sdk_app_id, true);
        let delay = slow.and_then(|fault| match fault {
            Fault::Slow { milliseconds } => Some(Duration::from_millis(milliseconds)),
            _ => None,
        });
        Taken { delay, fault: self.take_one(sdk_app_id, false) }
    }

    fn take_one(&mut self, sdk_app_id: Option<u64>, slow: bool) -> Option<Fault> {
        let find = |app: Option<u64>| {
            let suits = |order: &FaultOrder| {
                order.sdk_app_id == app && matches!(order.fault, Fault::Slow { .. }) == slow
            };
            self.0.iter().position(suits)
        };
        let index = sdk_app_id.and_then(|app| find(Some(app))).or_else(|| find(None))?;
        let order = &mut self.0[index];
        let fault = order.fault.clone();
        if let Some(left) = &mut order.requests {
            *left -= 1;
            if *left == 0 {
                self.0.remove(index);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_used_up_in_turn() {
        let mut faults = Faults::default();
        faults.add(FaultOrder { fault: Fault::Html, sdk_app_id: None, requests: Some(1) }).unwrap();
        faults.add(Fault::Hang.into()).unwrap();
        faults.add(FaultOrder { fault: Fault::Drift, sdk_app_id: Some(1), requests: Some(2) }).unwrap();
        faults
            .add(FaultOrder { fault: Fault::Slow { milliseconds: 9 }, sdk_app_id: None, requests: Some(1) })
            .unwrap();
        faults.add(FaultOrder { fault: Fault::Forget, sdk_app_id: Some(1), requests: Some(0) }).unwrap();
        let delay = Some(Duration::from_millis(9));
        assert_eq!(faults.take(Some(1)), Taken { delay, fault: Some(Fault::Drift) });
        assert_eq!(faults.take(Some(2)), Taken { delay: None, fault: Some(Fault::Html) });
        assert_eq!(faults.take(Some(1)).fault, Some(Fault::Drift));
        assert_eq!(faults.take(Some(1)).fault, Some(Fault::Hang));
        assert_eq!(faults.take(None).fault, Some(Fault::Hang));
        faults.clear();
        assert_eq!(faults.take(Some(1)), Taken::default());
    }

    #[test]
    fn senseless_orders_are_refused() {
        let mut faults = Faults::default();
        assert_eq!(faults.add(Fault::Http { status: 99 }.into()), Err(Refusal::BadStatus(99)));
        assert_eq!(faults.add(Fault::Error { code: 0 }.into()), Err(Refusal::NoError));
        for _ in 0..MAX_FAULTS {
            faults.add(Fault::Html.into()).unwrap();
        }
        assert_eq!(faults.add(Fault::Html.into()), Err(Refusal::Full { what: "faults", limit: MAX_FAULTS }));
    }

    #[test]
    fn orders_read_as_documented() {
        let read = |text| serde_json::from_str::<FaultOrder>(text);
        let order = read(r#"{"fault": {"kind": "huge"}, "requests": 3}"#).unwrap();
        assert_eq!(
            order,
            FaultOrder { fault: Fault::Huge { bytes: 64 << 20 }, sdk_app_id: None, requests: Some(3) }
        );
        assert_eq!(
            read(r#"{"fault": {"kind": "reset"}}"#).unwrap().fault,
            Fault::Reset { mid_response: false }
        );
        assert!(read(r#"{"fault": {"kind": "slow"}}"#).is_err());
        assert!(read(r#"{"fault": {"kind": "html"}, "request": 3}"#).is_err());
    }
}
