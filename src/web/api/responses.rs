//! What more than one operation answers in place of a good answer; for the document alone.
#![expect(dead_code, reason = "no answer is made of these")]

use utoipa::ToResponse;

use crate::web::reply::ErrorShape;

/// No password, or a wrong one, where the web configuration names users.
#[derive(ToResponse)]
#[response(headers(("WWW-Authenticate" = String, description = "Asks for basic auth.")))]
pub(super) struct Unauthorized(ErrorShape);

/// More requests than rate_limit of the web configuration lets through.
#[derive(ToResponse)]
pub(super) struct TooManyRequests(ErrorShape);

/// The daemon is stopping, the answer took too long, or too many passwords are being checked; the last with Retry-After.
#[derive(ToResponse)]
#[response(headers(("Retry-After" = u64, description = "Seconds.")))]
pub(super) struct Unavailable(ErrorShape);

/// The answer would name users, and the client neither gave a password nor is on loopback.
#[derive(ToResponse)]
pub(super) struct UsersHidden(ErrorShape);
