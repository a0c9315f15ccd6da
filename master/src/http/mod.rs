//! Operators' endpoints. Each is served under its name and, for older tools, with `.json`.

mod documents;
mod flags;
mod frameworks;
mod health;
mod redirect;
mod slaves;
mod state;
mod summary;
mod tasks;

use libprocess::{Help, Routes};

use crate::Master;

pub(crate) use documents::slave_usage;

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
        .any("/tasks.json", TASKS, Master::http_tasks);
}
