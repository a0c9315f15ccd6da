//! Operators' endpoints. Each is served under its name and, for older tools, with `.json`.

mod containers;
mod documents;
mod flags;
mod health;
mod state;

use libprocess::{Help, Routes};

use crate::Slave;

const CONTAINERS: Help = Help::new(
    "Containers with what they use",
    "`container_id` selects one, `framework_id` a framework's, `executor_id` with it an executor's.",
);
const FLAGS: Help = Help::new("The flags in force", "Answers `{\"flags\": {name: value}}`.");
const HEALTH: Help = Help::new("Answers 200 as long as the slave lives", "");
const STATE: Help = Help::new("Everything the slave knows", "");
const STATISTICS: Help = Help::new("What executors use", "Answers an array.");

pub(crate) fn routes(r: &mut Routes<Slave>) {
    r.any("/containers", CONTAINERS, Slave::http_containers)
        .any("/containers.json", CONTAINERS, Slave::http_containers)
        .any("/flags", FLAGS, Slave::http_flags)
        .any("/flags.json", FLAGS, Slave::http_flags)
        .any("/health", HEALTH, Slave::http_health)
        .any("/monitor/statistics", STATISTICS, Slave::http_statistics)
        .any("/monitor/statistics.json", STATISTICS, Slave::http_statistics)
        .any("/state", STATE, Slave::http_state)
        .any("/state.json", STATE, Slave::http_state);
}
