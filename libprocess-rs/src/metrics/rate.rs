//! How often snapshots may be asked for.

use std::time::Duration;

use crate::duration::parse_duration;

/// A text that is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rate limit '{0}' is not '<number>/<duration>', such as '2/1secs'")]
pub struct BadRate(pub String);

/// Reads a rate such as `2/1secs`, as `LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT` gives it;
/// the empty text is no limit.
///
/// # Errors
/// [`BadRate`] for anything else, a number or a duration of zero included.
pub fn parse_rate_limit(text: &str) -> Result<Option<(u32, Duration)>, BadRate> {
    if text.is_empty() {
        return Ok(None);
    }
    let rate = || {
        let (number, per) = text.split_once('/')?;
        let number = number.trim().parse::<u32>().ok().filter(|number| *number > 0)?;
        let per = parse_duration(per.trim()).filter(|per| !per.is_zero())?;
        Some((number, per))
    };
    rate().map(Some).ok_or_else(|| BadRate(text.to_owned()))
}
