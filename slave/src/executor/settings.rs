//! What the slave tells an executor through its environment.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::Pid;
use protos::duration;
use protos::ids::{ExecutorId, FrameworkId};

use super::Inside;

/// An executor's environment, read.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The slave (`MESOS_SLAVE_PID`).
    pub slave: Pid,
    /// `MESOS_FRAMEWORK_ID`.
    pub framework: FrameworkId,
    /// `MESOS_EXECUTOR_ID`.
    pub executor: ExecutorId,
    /// Does the framework checkpoint (`MESOS_CHECKPOINT` is 1)?
    pub checkpoint: bool,
    /// How long to wait for a slave that went (`MESOS_RECOVERY_TIMEOUT`, 15 min).
    pub recovery_timeout: Duration,
    /// How long a shutdown may take (`MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD`, 5 s).
    pub shutdown_grace: Duration,
    /// How the task is started, when it has a root of its own.
    pub inside: Option<Inside>,
    /// The whole environment: the command inherits it.
    pub environment: BTreeMap<String, String>,
}

/// The environment lacks something, or has it in the wrong form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A variable is not set.
    #[error("environment variable {0} is not set: executors are started by a slave")]
    Missing(&'static str),
    /// A variable has a bad value.
    #[error("environment variable {name}='{value}' is not valid: {reason}")]
    Invalid {
        /// Which one.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Settings {
    /// Reads the variables.
    ///
    /// # Errors
    /// [`SettingsError`] naming the variable.
    pub fn read(environment: BTreeMap<String, String>) -> Result<Self, SettingsError> {
        let get =
            |name: &'static str| environment.get(name).cloned().ok_or(SettingsError::Missing(name));
        let time = |name: &'static str, default: Duration| match environment.get(name) {
            None => Ok(default),
            Some(value) => duration::parse(value).map_err(|error| SettingsError::Invalid {
                name,
                value: value.clone(),
                reason: error.to_string(),
            }),
        };
        let slave = get("MESOS_SLAVE_PID")?;
        let slave =
            slave.parse().map_err(|error: libprocess::PidError| SettingsError::Invalid {
                name: "MESOS_SLAVE_PID",
                value: slave,
                reason: error.to_string(),
            })?;
        Ok(Self {
            slave,
            framework: FrameworkId::new(get("MESOS_FRAMEWORK_ID")?),
            executor: ExecutorId::new(get("MESOS_EXECUTOR_ID")?),
            checkpoint: environment.get("MESOS_CHECKPOINT").is_some_and(|value| value == "1"),
            recovery_timeout: time("MESOS_RECOVERY_TIMEOUT", Duration::from_secs(900))?,
            shutdown_grace: time("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", Duration::from_secs(5))?,
            inside: None,
            environment,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_bad_environment_names_the_variable() {
        let good = [
            ("MESOS_SLAVE_PID", "slave(1)@127.0.0.1:5051"),
            ("MESOS_FRAMEWORK_ID", "F"),
            ("MESOS_EXECUTOR_ID", "E"),
        ];
        let read = |changes: &[(&str, &str)]| {
            let all = good.iter().chain(changes).map(|(k, v)| ((*k).into(), (*v).into()));
            Settings::read(all.collect())
        };
        let settings = read(&[("MESOS_CHECKPOINT", "1"), ("MESOS_RECOVERY_TIMEOUT", "3secs")]);
        let settings = settings.unwrap();
        assert!(settings.checkpoint);
        assert_eq!(settings.recovery_timeout, Duration::from_secs(3));
        assert!(read(&[("MESOS_SLAVE_PID", "slave")]).is_err());
        assert!(read(&[("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "soon")]).is_err());
        let missing = Settings::read(BTreeMap::new()).unwrap_err();
        assert_eq!(missing, SettingsError::Missing("MESOS_SLAVE_PID"));
    }
}
