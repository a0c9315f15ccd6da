//! Operators' endpoints. Each is served under its name and, for older tools, with `.json`.

mod api;
mod documents;
mod flags;
mod form;
mod frameworks;
mod health;
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

use libprocess::{Help, Routes};

use crate::Master;

pub(crate) use redirect::escape;
pub(crate) use render::Views;

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

pub(crate) fn routes(r: &mut Routes<Master>) {
    r.any("/flags", FLAGS, Master::http_flags)
        .any("/flags.json", FLAGS, Master::http_flags)
        .any("/frameworks", FRAMEWORKS, Master::http_frameworks)
        .any("/frameworks.json", FRAMEWORKS, Master::http_frameworks)
        .any("/health", HEALTH, Master::http_health)
        .any("/redirect", REDIRECT, Master::http_redirect)
        .any("/slaves", SLAVES, Master::http_slaves)
        .any("/slaves.json", SLAVES, Master::http_slaves)
        .any("/state", STATE, Master::http_state)
        .any("/state.json", STATE, Master::http_state)
        .any("/state-summary", SUMMARY, Master::http_summary)
        .any("/state-summary.json", SUMMARY, Master::http_summary)
        .any("/tasks", TASKS, Master::http_tasks)
        .any("/tasks.json", TASKS, Master::http_tasks)
        .any("/roles", ROLES, Master::http_roles)
        .any("/roles.json", ROLES, Master::http_roles)
        .any("/quota", QUOTA, Master::http_quota)
        .any("/weights", WEIGHTS, Master::http_weights)
        .any("/maintenance/schedule", SCHEDULE, Master::http_schedule)
        .get("/maintenance/status", MAINTENANCE_STATUS, Master::http_maintenance_status)
        .post("/machine/down", MACHINE_DOWN, Master::http_machine_down)
        .post("/machine/up", MACHINE_UP, Master::http_machine_up)
        .post("/teardown", TEARDOWN, Master::http_teardown)
        .post("/reserve", RESERVE, Master::http_reserve)
        .post("/unreserve", UNRESERVE, Master::http_unreserve)
        .post("/create-volumes", CREATE_VOLUMES, Master::http_create_volumes)
        .post("/api/v1", API, Master::http_api)
        .post("/destroy-volumes", DESTROY_VOLUMES, Master::http_destroy_volumes);
}
