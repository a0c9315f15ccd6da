//! `/metrics/snapshot` and `/metrics/prometheus`.

use std::num::NonZeroU32;
use std::time::Duration;

use futures::future::{Either, pending};

use crate::builtin::READ_ONLY;
use crate::duration::parse_duration;
use crate::http::{Answer, Request, Response};
use crate::metrics::{CONTENT_TYPE, Form, Json, Prometheus};
use crate::toolbox::{RateLimiter, after};
use crate::{Ctx, Help, Node, Process, Routes};

const SNAPSHOT: Help = Help::new(
    "All metrics of this node as a flat JSON object of numbers, sorted by name",
    "`timeout=DURATION` (such as `5secs` or `500ms`) bounds the wait for slow gauges: those that are \
     late are left out, everything else is there.\n\n\
     `jsonp=F` wraps the answer in a call of `F`.\n\n\
     What is measured over a window has `/count`, `/max`, `/min`, `/p50`, `/p90`, `/p95`, `/p99`, \
     `/p999` and `/p9999` behind its name.\n\n\
     Requests beyond the rate limit (two a second, spaced evenly, unless \
     `LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT` says otherwise) wait for their turn.\n\n\
     Example: `curl 'http://HOST:PORT/metrics/snapshot?timeout=1secs'`",
);

const PROMETHEUS: Help = Help::new(
    "All metrics of this node in the text form that Prometheus reads",
    "`timeout=DURATION` (such as `5secs`) bounds the wait for slow gauges, as in \
     `/metrics/snapshot`, whose rate limit counts here too.\n\n\
     Characters that names may not have there become `_`, so `a/b` is `a_b`; windows are summaries \
     `a_b_window` with quantiles.\n\n\
     Example: `curl http://HOST:PORT/metrics/prometheus`",
);

/// Serves the metrics of its node.
pub(crate) struct MetricsProcess {
    limiter: Option<RateLimiter>,
}

impl MetricsProcess {
    /// Spaces requests so that there are no more than `limit` says.
    pub(crate) fn new(node: &Node, limit: Option<(u32, Duration)>) -> Self {
        let rate = limit.and_then(|(permits, per)| Some((NonZeroU32::new(permits)?, per)));
        Self { limiter: rate.map(|(permits, per)| RateLimiter::new(node, permits, per)) }
    }
}

impl Process for MetricsProcess {
    fn routes(routes: &mut Routes<Self>) {
        routes.any("/snapshot", SNAPSHOT, Self::snapshot).realm(READ_ONLY).any(
            "/prometheus",
            PROMETHEUS,
            Self::prometheus,
        );
    }
}

impl MetricsProcess {
    fn snapshot(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.gathered(&request, Json::default(), cx, {
            let jsonp = request.param("jsonp").map(str::to_owned);
            move |object| match jsonp {
                Some(function) => Response::ok("text/javascript", format!("{function}({object})")),
                None => Response::ok("application/json", object),
            }
        })
    }

    fn prometheus(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        let page = |page: String| Response::ok(CONTENT_TYPE, page);
        self.gathered(&request, Prometheus::default(), cx, page)
    }

    /// Waits for its turn, takes the metrics as `form` and answers with what `answer` makes of it.
    fn gathered<F>(
        &self,
        request: &Request,
        form: F,
        cx: &Ctx<Self>,
        answer: impl FnOnce(String) -> Response + Send + 'static,
    ) -> Answer
    where
        F: Form<Output = String> + Send + 'static,
    {
        let timeout = match request.param("timeout") {
            None => None,
            Some(text) => match parse_duration(text) {
                Some(timeout) => Some(timeout),
                None => return Response::bad_request(format!("invalid timeout '{text}'")).into(),
            },
        };
        let node = cx.node().clone();
        let permit = self.limiter.as_ref().map(RateLimiter::acquire);
        Answer::later(async move {
            if let Some(permit) = permit {
                permit.await;
            }
            let deadline = match timeout {
                Some(timeout) => Either::Left(after(&node, timeout)),
                None => Either::Right(pending()),
            };
            let gathered = node.metrics().gather(form, deadline);
            answer(gathered.await)
        })
    }
}
