//! `/v1/ai/usage`.

use std::time::Duration;

use axum::Json;
use serde::Deserialize;
use skylift_model::Timestamp;
use skylift_model::wire::{AiDay, AiUsage, ErrorEnvelope};

use crate::address::Query;
use crate::error::ApiError;
use crate::guard::Authorized;

const DAY: Duration = Duration::from_secs(86_400);
/// How many days are told where nobody says it, today among them, and at most.
const DAYS: u32 = 30;
const DAYS_MAX: u32 = 366;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsageQuery {
    days: Option<u32>,
}

/// What models have done for each key, by day (UTC).
#[utoipa::path(get, path = "/v1/ai/usage", tag = "keys",
    params(("days" = Option<u32>, Query, description = "How many days, today among them: 1 to 366; left out, 30")),
    responses((status = 200, body = AiUsage), (status = 422, body = ErrorEnvelope)))]
pub(crate) async fn ai_usage(auth: Authorized, Query(query): Query<UsageQuery>) -> Result<Json<AiUsage>, ApiError> {
    let days = query.days.unwrap_or(DAYS);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(ApiError::invalid(format!("`days` is 1 to {DAYS_MAX}"), "as in `?days=7`"));
    }
    let rows = auth.store.ai_usage(auth.clock.now().minus(DAY * (days - 1))).await?;
    let told = rows.into_iter().map(|row| AiDay { day: date(row.day), key: row.token, name: row.name, used: row.used });
    Ok(Json(AiUsage { days: told.collect() }))
}

/// The date in the words of RFC 3339.
fn date(at: Timestamp) -> String {
    at.to_string().split('T').next().unwrap_or_default().to_owned()
}
