//! Operators' endpoints. Each is served under its name and, for older tools, with `.json`.

mod api;
mod documents;
mod flags;
mod form;
mod frameworks;
mod health;
mod json;
mod machines;
mod maintenance;
mod operations;
mod quota;
mod redirect;
mod registry;
mod render;
mod roles;
mod slaves;
mod state;
mod summary;
mod tasks;
mod teardown;
mod viewer;
mod weights;

use std::sync::Arc;

use futures::future::BoxFuture;
use libprocess::authentication::{Authenticator, Basic, Combined, Principal};
use libprocess::http::{Answer, Request};
use libprocess::{Authorize, Ctx, Help, Node, Routes};

use crate::security::{Action, Credentials, Tokens, allowed};
use crate::{Config, Master};

pub(crate) use redirect::escape;
pub(crate) use render::Views;

/// How an endpoint is served.
type Serve = fn(&mut Master, Request, &mut Ctx<Master>) -> Answer;

const API: Help = Help::new(
    "Operators' calls in JSON",
    "Draining, deactivating and marking agents gone, quotas, weights, maintenance, teardown.",
);
const CREATE_VOLUMES: Help = Help::new(
    "Makes persistent volumes of reserved disk",
    "Form: `slaveId`, and `volumes`, a JSON array. Answers 202, or 409 when there is too little disk.",
);
const DESTROY_VOLUMES: Help = Help::new(
    "Destroys persistent volumes that nobody uses",
    "Form: `slaveId`, and `volumes`, a JSON array. Answers 202.",
);
const MACHINE_DOWN: Help = Help::new(
    "Takes machines down that the schedule lists",
    "Body: a JSON array of machine ids. Their slaves are told to shut down.",
);
const MACHINE_UP: Help = Help::new(
    "Brings machines up that are down",
    "Body: a JSON array of machine ids. They leave the schedule.",
);
const MAINTENANCE_STATUS: Help = Help::new("Machines that are drained or down", "");
const QUOTA: Help = Help::new(
    "Quotas of roles",
    "GET shows them, POST sets one from a JSON quota request, DELETE of `/quota/<role>` removes it.",
);
const RESERVE: Help = Help::new(
    "Reserves resources that nobody uses",
    "Form: `slaveId`, and `resources`, a JSON array, each reserved dynamically; `source` may name what \
     is reserved otherwise now. Answers 202, or 409 when there is too little.",
);
const ROLES: Help = Help::new("Roles, what they hold and who is in them", "");
const SCHEDULE: Help =
    Help::new("The maintenance schedule", "GET shows it, POST replaces it by a JSON schedule.");
const TEARDOWN: Help = Help::new("Ends a framework and all its tasks", "Form: `frameworkId`.");
const UNRESERVE: Help = Help::new(
    "Gives reserved resources free that nobody uses",
    "Form: `slaveId`, and `resources`, a JSON array. Answers 202.",
);
const WEIGHTS: Help = Help::new(
    "Weights of roles",
    "GET shows those that differ, PUT sets some from a JSON array of weight and role.",
);
const FLAGS: Help = Help::new("The flags in force", "Answers `{\"flags\": {name: value}}`.");
const FRAMEWORKS: Help = Help::new("Frameworks", "`framework_id` selects one.");
const HEALTH: Help = Help::new("Answers 200 as long as the master lives", "");
const REDIRECT: Help = Help::new("Leads to the leading master", "Answers 307.");
const SLAVES: Help = Help::new("Slaves", "`slave_id` selects one.");
const STATE: Help = Help::new("Everything the master knows", "");
const SUMMARY: Help = Help::new("Slaves and frameworks with counts of their tasks", "");
const TASKS: Help = Help::new(
    "Tasks, newest first",
    "`framework_id` and `task_id` select; `limit` (100), `offset` (0), `order` (`asc` or `des`).",
);

/// Who may read, where the node asks for that.
pub(crate) const READONLY: &str = "mesos-master-readonly";
/// Who may change something.
pub(crate) const READWRITE: &str = "mesos-master-readwrite";

/// The runtime's own endpoints that ACLs may keep from somebody (`get_endpoints`).
const COARSE: [&str; 3] = ["/files/debug", "/logging/toggle", "/metrics/snapshot"];

/// Puts authentication before all endpoints, and ACLs before some, as the configuration wants it. The
/// runtime's own endpoints stand in realms without a prefix.
pub(crate) fn guard(node: &Node, config: &Config) {
    for path in COARSE {
        let acls = config.acls.clone();
        let may_ask = move |_: &Request, who: Option<&Principal>| {
            let who = who.and_then(|who| who.value.as_deref());
            let may = allowed(acls.as_ref(), Action::GetEndpoint, who, Some(path));
            let answer: BoxFuture<'static, bool> = Box::pin(std::future::ready(may));
            answer
        };
        node.set_authorization(path, config.acls.is_some().then(|| Arc::new(may_ask) as Authorize));
    }
    authenticate(node, config);
}

fn authenticate(node: &Node, config: &Config) {
    let guarded = [
        (config.authenticate_http_readonly, [READONLY, "readonly"]),
        (config.authenticate_http_readwrite, [READWRITE, "readwrite"]),
    ];
    for (wanted, realms) in guarded {
        for realm in realms.into_iter().filter(|_| wanted) {
            let secrets = config.credentials.iter().flat_map(Credentials::pairs);
            let basic = Basic::new(realms[0], secrets);
            let by: Arc<dyn Authenticator> = match &config.token_key {
                None => Arc::new(basic),
                Some(key) => {
                    let tokens = Tokens::new(realms[0], key, node);
                    Arc::new(Combined::new(vec![Arc::new(basic), Arc::new(tokens)]))
                }
            };
            node.set_authenticator(realm, Some(by));
        }
    }
}

pub(crate) fn routes(r: &mut Routes<Master>) {
    r.any("/health", HEALTH, Master::http_health).any("/redirect", REDIRECT, Master::http_redirect);
    let documents: [(&str, &str, Help, Serve); 7] = [
        ("/flags", "/flags.json", FLAGS, |m, request, cx| m.http_flags(request, cx).into()),
        ("/frameworks", "/frameworks.json", FRAMEWORKS, Master::http_frameworks),
        ("/slaves", "/slaves.json", SLAVES, Master::http_slaves),
        ("/state", "/state.json", STATE, Master::http_state),
        ("/state-summary", "/state-summary.json", SUMMARY, Master::http_summary),
        ("/tasks", "/tasks.json", TASKS, Master::http_tasks),
        ("/roles", "/roles.json", ROLES, Master::http_roles),
    ];
    for (name, older, help, serve) in documents {
        r.any(name, help, serve).realm(READONLY);
        r.any(older, help, serve).realm(READONLY);
    }
    r.get("/maintenance/status", MAINTENANCE_STATUS, Master::http_maintenance_status)
        .realm(READONLY);
    r.any("/quota", QUOTA, Master::http_quota).realm(READWRITE);
    r.any("/weights", WEIGHTS, Master::http_weights).realm(READWRITE);
    r.any("/maintenance/schedule", SCHEDULE, Master::http_schedule).realm(READWRITE);
    let changes: [(&str, Help, Serve); 8] = [
        ("/machine/down", MACHINE_DOWN, Master::http_machine_down),
        ("/machine/up", MACHINE_UP, Master::http_machine_up),
        ("/teardown", TEARDOWN, Master::http_teardown),
        ("/reserve", RESERVE, Master::http_reserve),
        ("/unreserve", UNRESERVE, Master::http_unreserve),
        ("/create-volumes", CREATE_VOLUMES, Master::http_create_volumes),
        ("/destroy-volumes", DESTROY_VOLUMES, Master::http_destroy_volumes),
        ("/api/v1", API, Master::http_api),
    ];
    for (name, help, serve) in changes {
        r.post(name, help, serve).realm(READWRITE);
    }
}
