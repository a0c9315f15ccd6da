//! What the slave tells an executor in environment variables.

use std::time::Duration;

use libprocess::Pid;
use protos::ids::{ExecutorId, FrameworkId, SlaveId};

/// How long an executor waits for its slave when the environment does not say (`RECOVERY_TIMEOUT`).
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Time between a shutdown and the end of the process group when the environment does not say.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// An executor's place: its slave, its ids, its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The slave (`MESOS_SLAVE_PID`).
    pub slave_pid: Pid,
    /// `MESOS_SLAVE_ID`.
    pub slave: SlaveId,
    /// `MESOS_FRAMEWORK_ID`.
    pub framework: FrameworkId,
    /// `MESOS_EXECUTOR_ID`.
    pub executor: ExecutorId,
    /// The framework checkpoints (`MESOS_CHECKPOINT=1`): outlive the slave.
    pub checkpoint: bool,
    /// How long to wait for the slave then (`MESOS_RECOVERY_TIMEOUT`).
    pub recovery_timeout: Duration,
    /// From shutdown to the end of the process group (`MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD`).
    pub shutdown_grace: Duration,
    /// The executor shares the OS process with others (`MESOS_LOCAL`): never kill the group.
    pub local: bool,
}

/// The environment is not that of an executor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable is missing: the program was not started by a slave.
    #[error("environment variable {0} is not set: executors are started by a slave")]
    Missing(&'static str),
    /// A variable has a value that cannot be read.
    #[error("environment variable {name}='{value}' is not valid: {reason}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Environment {
    /// Reads the variables of this OS process.
    ///
    /// # Errors
    /// [`EnvironmentError`] naming the variable.
    pub fn from_process() -> Result<Self, EnvironmentError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads variables from anywhere.
    ///
    /// # Errors
    /// [`EnvironmentError`] naming the variable.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let need = |name| {
            lookup(name).filter(|value| !value.is_empty()).ok_or(EnvironmentError::Missing(name))
        };
        let duration = |name, default| match lookup(name) {
            None => Ok(default),
            Some(value) => protos::duration::parse(&value)
                .map_err(|error| invalid(name, &value, &error.to_string())),
        };
        let slave_pid = need("MESOS_SLAVE_PID")?;
        Ok(Self {
            slave_pid: slave_pid
                .parse()
                .map_err(|error| invalid("MESOS_SLAVE_PID", &slave_pid, &format!("{error}")))?,
            slave: SlaveId::new(need("MESOS_SLAVE_ID")?),
            framework: FrameworkId::new(need("MESOS_FRAMEWORK_ID")?),
            executor: ExecutorId::new(need("MESOS_EXECUTOR_ID")?),
            checkpoint: lookup("MESOS_CHECKPOINT").is_some_and(|value| value == "1"),
            recovery_timeout: duration("MESOS_RECOVERY_TIMEOUT", RECOVERY_TIMEOUT)?,
            shutdown_grace: duration("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", SHUTDOWN_GRACE)?,
            local: lookup("MESOS_LOCAL").is_some(),
        })
    }
}

fn invalid(name: &'static str, value: &str, reason: &str) -> EnvironmentError {
    EnvironmentError::Invalid { name, value: value.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn variables() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([
            ("MESOS_SLAVE_PID", "slave(1)@10.0.0.1:5051"),
            ("MESOS_SLAVE_ID", "S"),
            ("MESOS_FRAMEWORK_ID", "F"),
            ("MESOS_EXECUTOR_ID", "E"),
        ])
    }

    fn read(variables: &BTreeMap<&str, &str>) -> Result<Environment, EnvironmentError> {
        Environment::read(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn environment_of_a_slave_is_read_with_defaults() {
        let read = read(&variables()).unwrap();
        assert_eq!(read.slave_pid.to_string(), "slave(1)@10.0.0.1:5051");
        assert_eq!(read.executor, ExecutorId::new("E"));
        assert!(!read.checkpoint && !read.local);
        assert_eq!(read.shutdown_grace, Duration::from_secs(5));
        assert_eq!(read.recovery_timeout, Duration::from_secs(900));
    }

    #[test]
    fn environment_bad_or_missing_variable_is_named() {
        for name in variables().keys() {
            let mut without = variables();
            without.remove(name);
            assert_eq!(read(&without).unwrap_err(), EnvironmentError::Missing(name));
        }
        for (name, value) in [("MESOS_SLAVE_PID", "nobody"), ("MESOS_RECOVERY_TIMEOUT", "soon")] {
            let mut bad = variables();
            bad.insert(name, value);
            assert!(read(&bad).unwrap_err().to_string().contains(name));
        }
    }
}
