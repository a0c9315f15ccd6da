//! `/redirect`, and where other endpoints lead when another master leads.

use libprocess::Ctx;
use libprocess::http::{Answer, Request, Response};

use crate::Master;

impl Master {
    pub(super) fn http_redirect(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        if request.endpoint() != "redirect" {
            return Response::status(404);
        }
        match self.leader_address() {
            Some(address) => Response::redirect(&format!("//{address}")),
            None => no_leader(),
        }
    }

    fn leader_address(&self) -> Option<String> {
        let leader = self.state.leader.as_ref()?;
        Some(format!("{}:{}", leader.hostname(), leader.port))
    }

    /// Serves a request only while this master leads and knows its registry.
    pub(super) fn guarded(
        &mut self,
        request: Request,
        cx: &mut Ctx<Self>,
        serve: impl FnOnce(&mut Self, Request, &mut Ctx<Self>) -> Answer,
    ) -> Answer {
        // Claims alone name nobody.
        if request.principal.as_ref().is_some_and(|principal| principal.value.is_none()) {
            return Response::status(403).into();
        }
        // What it knows may be old news by now.
        if !self.may_act(cx) {
            return no_leader().into();
        }
        let leads = self.state.leader.as_ref().map(|l| l.id == self.state.info.id);
        match (leads, self.state.elected, self.leader_address()) {
            (Some(true), Some(_), _) => serve(self, request, cx),
            (Some(true), None, _) => Response::status(503).into(),
            (Some(false), _, Some(address)) => {
                let query: Vec<String> = request
                    .query
                    .iter()
                    .map(|(n, v)| format!("{}={}", escape(n), escape(v)))
                    .collect();
                let query =
                    if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
                Response::redirect(&format!("//{address}{}{query}", request.path)).into()
            }
            _ => no_leader().into(),
        }
    }
}

fn no_leader() -> Response {
    Response::text(503, "No leader elected")
}

/// Percent-escapes all but letters, digits and `-._~`.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
