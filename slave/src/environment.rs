//! An executor's environment.

use std::collections::BTreeMap;

use libprocess::Pid;
use protos::duration;
use protos::ids::SlaveId;

use crate::Config;
use crate::state::{Executor, Framework};

/// What an executor without further settings finds programs by.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The whole environment; what the framework sets in the executor's command wins.
pub(crate) fn of(
    config: &Config,
    pid: &Pid,
    slave: &SlaveId,
    framework: &Framework,
    executor: &Executor,
) -> BTreeMap<String, String> {
    let mut env = config.executor_environment.clone().unwrap_or_default();
    env.entry("PATH".to_owned()).or_insert_with(|| PATH.to_owned());
    let directory = executor.directory.display().to_string();
    let own_grace = executor.info.shutdown_grace_period.as_ref();
    let own_grace = own_grace.and_then(|grace| u64::try_from(grace.nanoseconds).ok());
    let grace = own_grace.map_or(config.executor_shutdown_grace, std::time::Duration::from_nanos);
    let flag = |value: bool| if value { "1" } else { "0" }.to_owned();
    let address = pid.address();
    let set = [
        ("LIBPROCESS_PORT", "0".to_owned()),
        ("MESOS_FRAMEWORK_ID", framework.id.to_string()),
        ("MESOS_EXECUTOR_ID", executor.id.to_string()),
        ("MESOS_SLAVE_ID", slave.to_string()),
        ("MESOS_DIRECTORY", directory.clone()),
        ("MESOS_SANDBOX", directory),
        ("MESOS_SLAVE_PID", pid.to_string()),
        ("MESOS_AGENT_ENDPOINT", address.to_string()),
        ("MESOS_CHECKPOINT", flag(framework.checkpoints())),
        ("MESOS_HTTP_COMMAND_EXECUTOR", flag(false)),
        ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", duration::print(grace)),
    ];
    env.extend(set.map(|(name, value)| (name.to_owned(), value)));
    if let Some(ip) = config.executor_ip {
        env.insert("LIBPROCESS_IP".to_owned(), ip.to_string());
    }
    if framework.checkpoints() {
        let timeout = duration::print(config.recovery_timeout);
        env.insert("MESOS_RECOVERY_TIMEOUT".to_owned(), timeout);
        let backoff = duration::print(config.executor_reregistration_timeout);
        env.insert("MESOS_SUBSCRIPTION_BACKOFF_MAX".to_owned(), backoff);
    }
    let command = executor.info.command.as_ref();
    let variables = command.and_then(|command| command.environment.as_ref());
    for variable in variables.iter().flat_map(|environment| &environment.variables) {
        env.insert(variable.name.clone(), variable.value.clone().unwrap_or_default());
    }
    env
}
