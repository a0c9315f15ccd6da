//! `/metrics/snapshot`.

use std::time::Duration;

use futures::future::{Either, select};

use crate::http::{Answer, Request, Response};
use crate::{Ctx, Help, Process, Routes};

const SNAPSHOT: Help = Help::new(
    "All metrics of this node as a flat JSON object",
    "`timeout=SECONDS` (such as `5secs`) bounds the wait for slow gauges; `jsonp=F` wraps the answer.",
);

pub(crate) struct MetricsProcess;

impl Process for MetricsProcess {
    fn routes(routes: &mut Routes<Self>) {
        routes.any("/snapshot", SNAPSHOT, Self::snapshot);
    }
}

impl MetricsProcess {
    fn snapshot(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        let limit = match request.param("timeout").map(parse_timeout) {
            None => None,
            Some(Some(limit)) => Some(limit),
            Some(None) => {
                let text = request.param("timeout").unwrap_or_default();
                return Response::bad_request(format!("invalid timeout '{text}'")).into();
            }
        };
        let deadline = cx.sleep(limit.unwrap_or(Duration::from_secs(3600)));
        let values = cx.node().metrics().snapshot();
        Answer::later(async move {
            let values = match select(Box::pin(values), Box::pin(deadline)).await {
                Either::Left((values, _)) => values,
                Either::Right(_) => Default::default(),
            };
            let object = values.into_iter().map(|(name, value)| (name, value.into())).collect();
            Response::json(&serde_json::Value::Object(object), request.param("jsonp"))
        })
    }
}

/// `5secs`, `500ms`, `1mins`, ...
fn parse_timeout(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "secs" => 1.0,
        "mins" => 60.0,
        "hrs" => 3600.0,
        "days" => 86_400.0,
        "weeks" => 604_800.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}
