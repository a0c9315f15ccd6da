//! Operators' endpoints. Each is served under its name and, for older tools, with `.json`.

mod containers;
mod documents;
mod flags;
mod health;
mod state;
mod viewer;

use libprocess::http::{Answer, Request};
use libprocess::{Ctx, Help, Routes};

use crate::Slave;
use crate::security::READONLY;

const CONTAINERS: Help = Help::new(
    "Containers with what they use",
    "`container_id` selects one, `framework_id` a framework's, `executor_id` with it an executor's.",
);
const FLAGS: Help = Help::new("The flags in force", "Answers `{\"flags\": {name: value}}`.");
const HEALTH: Help = Help::new("Answers 200 as long as the slave lives", "");
const STATE: Help = Help::new("Everything the slave knows", "");
const STATISTICS: Help = Help::new("What executors use", "Answers an array.");

pub(crate) fn routes(r: &mut Routes<Slave>) {
    type Serve = fn(&mut Slave, Request, &mut Ctx<Slave>) -> Answer;
    let guarded: [(&str, &str, Help, Serve); 4] = [
        ("/containers", "/containers.json", CONTAINERS, Slave::http_containers),
        ("/flags", "/flags.json", FLAGS, |slave, asked, cx| slave.http_flags(asked, cx).into()),
        ("/monitor/statistics", "/monitor/statistics.json", STATISTICS, Slave::http_statistics),
        ("/state", "/state.json", STATE, |slave, asked, cx| slave.http_state(asked, cx).into()),
    ];
    for (name, older, help, serve) in guarded {
        r.any(name, help, serve).realm(READONLY);
        r.any(older, help, serve).realm(READONLY);
    }
    r.any("/health", HEALTH, Slave::http_health);
}
