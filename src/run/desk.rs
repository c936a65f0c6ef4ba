//! Answers what pages and API ask, from the running pollers.

use futures_util::future::BoxFuture;

use crate::web::desk::{Chain, Desk, DeskError, Page, PairName, Query};

pub(super) struct Pollers;

impl Desk for Pollers {
    fn watches(&self, _: Query) -> BoxFuture<'static, Result<Page, DeskError>> {
        Box::pin(async { Err(DeskError::Closed) })
    }

    fn chain(&self, _: PairName) -> BoxFuture<'static, Result<Chain, DeskError>> {
        Box::pin(async { Err(DeskError::Closed) })
    }
}
