//! `/allocator/explain` and `/allocator/offer_constraints_debug`.

use libprocess::http::{Request, Response};
use libprocess::{Ctx, Help, Routes};
use serde_json::{Map, Value, json};

use super::AllocatorProcess;
use crate::explain::{Question, Reason};

const EXPLAIN: Help = Help::new(
    "Why a framework gets, or does not get, offers",
    "`framework=ID` asks about a framework in all its roles, `role=NAME` about all frameworks of a role, \
     both about one of them in the other; `slave=ID` (or `agent=ID`) narrows the answer to one slave. \
     Each standing has the framework's share, the shares, weights and quota of its role and those above it, \
     how many come before it, a count of reasons, and the reason slave by slave: at most `limit=N` of \
     them, 1000 by default. `jsonp=F` wraps the answer. 400 without framework and role, 404 for what is \
     not known.",
);

const CONSTRAINTS: Help = Help::new(
    "Which slaves are hidden from frameworks by their offer constraints",
    "For each framework its suppressed roles, and for each of its roles with constraints the slaves that \
     they exclude. `jsonp=F` wraps the answer.",
);

/// Slaves listed for a standing unless the request says otherwise.
const LIMIT: usize = 1000;

pub(super) fn routes(routes: &mut Routes<AllocatorProcess>) {
    routes.get("/explain", EXPLAIN, AllocatorProcess::explain).any(
        "/offer_constraints_debug",
        CONSTRAINTS,
        AllocatorProcess::constraints,
    );
}

impl AllocatorProcess {
    fn explain(&mut self, request: Request, cx: &mut Ctx<Self>) -> Response {
        let slave = request.param("slave").or_else(|| request.param("agent"));
        let question = Question {
            framework: request.param("framework").map(Into::into),
            role: request.param("role").map(str::to_owned),
            slave: slave.map(Into::into),
        };
        if question.framework.is_none() && question.role.is_none() {
            return Response::bad_request("expected framework=ID or role=NAME");
        }
        let limit = match request.param("limit").map(str::parse) {
            None => LIMIT,
            Some(Ok(limit)) => limit,
            Some(Err(_)) => return Response::bad_request("limit is not a number"),
        };
        let answer = self.hierarchy.explain(&question, cx.now());
        if let Some(Reason::UnknownFramework | Reason::UnknownSlave | Reason::NotSubscribed) =
            &answer.problem
        {
            return Response::with(404, "application/json", answer.to_json(limit).to_string());
        }
        Response::json(&answer.to_json(limit), request.param("jsonp"))
    }

    fn constraints(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        let mut frameworks = Map::new();
        for (id, (suppressed, excluded)) in self.hierarchy.constraints() {
            let mut by_role = Map::new();
            for (role, slaves) in excluded {
                let ids: Vec<Value> = slaves.iter().map(|id| id.as_str().into()).collect();
                by_role.insert(role, ids.into());
            }
            let entry = json!({
                "suppressed_roles": suppressed,
                "excluded_by_attribute_constraints": by_role,
            });
            frameworks.insert(id.to_string(), entry);
        }
        Response::json(&json!({ "frameworks": frameworks }), request.param("jsonp"))
    }
}
