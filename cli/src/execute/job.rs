//! From flags to what is to be run.

use std::collections::BTreeMap;
use std::time::Duration;

use protos::credentials::Credential;
use protos::ids::TaskId;
use protos::mesos::framework_info::{Capability, capability};
use protos::mesos::{CommandInfo, Environment, FrameworkInfo, TaskInfo, environment};
use protos::resources::Resources;
use serde_json::Value;

use super::flags::Flags;

/// The flags ask for something that cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// What the flag asks for does not exist yet.
    #[error("flag '--{0}' is not supported yet")]
    Unsupported(&'static str),
    /// A flag is missing.
    #[error("missing required flag --{0}")]
    Missing(&'static str),
    /// Two flags exclude each other.
    #[error("give either --{0} or --{1}")]
    Either(&'static str, &'static str),
    /// The text of a flag cannot be read.
    #[error("flag '--{name}' is not valid: {reason}")]
    Invalid {
        /// The flag.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

fn invalid(name: &'static str, reason: impl ToString) -> JobError {
    JobError::Invalid { name, reason: reason.to_string() }
}

/// What is to be run, and as whom.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The task without slave id and resources, which come from an offer.
    pub task: TaskInfo,
    /// What the task needs.
    pub resources: Resources,
    /// The framework that is registered for it.
    pub framework: FrameworkInfo,
    /// Kill the task so long after `TASK_RUNNING`.
    pub kill_after: Option<Duration>,
    /// What the framework proves to the master who it is with.
    pub credential: Option<Credential>,
}

impl Job {
    /// The task's id.
    pub fn task_id(&self) -> TaskId {
        TaskId::from(&self.task.task_id)
    }

    /// Reads a job off the flags.
    ///
    /// # Errors
    /// [`JobError`] naming the first flag that is at fault.
    pub fn from_flags(flags: &Flags) -> Result<Self, JobError> {
        refuse_unsupported(flags)?;
        let (task, resources) = match &flags.task {
            Some(text) => whole_task(flags, text)?,
            None => command_task(flags)?,
        };
        protos::ids::validate(&task.task_id.value)
            .map_err(|error| invalid(if flags.task.is_some() { "task" } else { "name" }, error))?;
        let (framework, credential) = (framework(flags)?, credential(flags)?);
        Ok(Self { task, resources, framework, kill_after: flags.kill_after, credential })
    }
}

fn refuse_unsupported(flags: &Flags) -> Result<(), JobError> {
    let asked = [
        ("docker_image", flags.docker_image.is_some()),
        ("appc_image", flags.appc_image.is_some()),
        ("networks", flags.networks.is_some()),
        ("volumes", flags.volumes.is_some()),
        ("rlimits", flags.rlimits.is_some()),
        ("effective_capabilities", flags.effective_capabilities.is_some()),
        ("bounding_capabilities", flags.bounding_capabilities.is_some()),
        ("tty", flags.tty),
        ("task_group", flags.task_group.is_some()),
        ("package", flags.package.is_some()),
    ];
    if let Some((name, _)) = asked.iter().find(|(_, asked)| *asked) {
        return Err(JobError::Unsupported(name));
    }
    match flags.containerizer.as_str() {
        "mesos" => Ok(()),
        "docker" => Err(JobError::Unsupported("containerizer=docker")),
        _ => Err(invalid("containerizer", "expected mesos")),
    }
}

/// The task of `--name`, `--command`, `--env` and `--resources`.
fn command_task(flags: &Flags) -> Result<(TaskInfo, Resources), JobError> {
    let name = match (&flags.name, flags.local) {
        (Some(name), _) => name.clone(),
        (None, true) => "task".to_owned(),
        (None, false) => return Err(JobError::Missing("name")),
    };
    let text = flags.command.as_deref().ok_or(JobError::Missing("command"))?;
    let mut command = CommandInfo { shell: Some(flags.shell), ..CommandInfo::default() };
    if flags.shell {
        command.value = Some(text.to_owned());
    } else {
        command.arguments = text.split_whitespace().map(str::to_owned).collect();
        let program = command.arguments.first().cloned();
        command.value = Some(program.ok_or_else(|| invalid("command", "it is empty"))?);
    }
    command.environment = flags.env.as_deref().map(variables).transpose()?;
    let resources = Resources::parse(&flags.resources, "*").map_err(|e| invalid("resources", e))?;
    if resources.is_empty() {
        return Err(invalid("resources", "a task needs some"));
    }
    let task = TaskInfo {
        task_id: TaskId::new(name.as_str()).wire(),
        name,
        command: Some(command),
        ..TaskInfo::default()
    };
    Ok((task, resources))
}

fn variables(text: &str) -> Result<Environment, JobError> {
    let variables: BTreeMap<String, String> = serde_json::from_str(text)
        .map_err(|error| invalid("env", format!("expected an object of strings: {error}")))?;
    let variables = variables
        .into_iter()
        .map(|(name, value)| environment::Variable {
            name,
            value: Some(value),
            ..environment::Variable::default()
        })
        .collect();
    Ok(Environment { variables })
}

/// The task of `--task`. Its slave id may be absent, and be called `agent_id`.
fn whole_task(flags: &Flags, text: &str) -> Result<(TaskInfo, Resources), JobError> {
    if flags.command.is_some() {
        return Err(JobError::Either("task", "command"));
    }
    if flags.name.is_some() {
        return Err(JobError::Either("task", "name"));
    }
    let mut json: Value = serde_json::from_str(text).map_err(|error| invalid("task", error))?;
    let Some(object) = json.as_object_mut() else {
        return Err(invalid("task", "expected an object"));
    };
    let slave = object.shift_remove("agent_id");
    let slave = slave.unwrap_or_else(|| serde_json::json!({"value": ""}));
    object.entry("slave_id").or_insert(slave);
    let mut task: TaskInfo =
        protos::json::from_json(&json).map_err(|error| invalid("task", error))?;
    let resources = Resources::from_wire(&std::mem::take(&mut task.resources))
        .map_err(|error| invalid("task", error))?;
    if resources.is_empty() {
        return Err(invalid("task", "it needs resources"));
    }
    Ok((task, resources))
}

/// A principal without a secret is told to the master, which has to take it as it is.
fn credential(flags: &Flags) -> Result<Option<Credential>, JobError> {
    match (&flags.principal, &flags.secret) {
        (Some(principal), Some(secret)) => {
            let (principal, secret) = (principal.clone(), secret.clone());
            Ok(Some(Credential { principal, secret }))
        }
        (None, Some(_)) => Err(invalid("secret", "it wants a principal beside it")),
        (_, None) => Ok(None),
    }
}

fn framework(flags: &Flags) -> Result<FrameworkInfo, JobError> {
    let listed = flags.framework_capabilities.as_deref().unwrap_or_default();
    let mut kinds = Vec::new();
    for name in listed.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let kind = capability::Type::from_str_name(name)
            .filter(|kind| *kind != capability::Type::Unknown)
            .ok_or_else(|| {
                invalid("framework_capabilities", format!("'{name}' is no capability"))
            })?;
        kinds.push(kind);
    }
    if flags.partition_aware {
        kinds.push(capability::Type::PartitionAware);
    }
    kinds.sort_unstable();
    kinds.dedup();
    let mut framework = FrameworkInfo {
        name: "mesos-execute".to_owned(),
        checkpoint: Some(flags.checkpoint),
        principal: flags.principal.clone(),
        ..FrameworkInfo::default()
    };
    if kinds.contains(&capability::Type::MultiRole) {
        framework.roles = vec![flags.role.clone()];
    } else {
        framework.role = Some(flags.role.clone());
    }
    framework.capabilities =
        kinds.into_iter().map(|kind| Capability { r#type: Some(kind.into()) }).collect();
    Ok(framework)
}

#[cfg(test)]
mod tests {
    use libprocess::flags::Loader;

    use super::*;

    fn job(arguments: &[&str]) -> Result<Job, JobError> {
        let loaded = Loader::new("mesos-execute").load::<Flags>(arguments.iter().copied());
        Job::from_flags(&loaded.unwrap().flags)
    }

    #[test]
    fn job_of_a_shell_command_has_its_parts() {
        let job = job(&[
            "--name=first",
            "--command=echo hello && sleep 1",
            "--resources=cpus:0.5;mem:32",
            r#"--env={"A":"1"}"#,
            "--kill_after=10secs",
            "--checkpoint",
        ])
        .unwrap();
        let command = job.task.command.as_ref().unwrap();
        assert_eq!(job.task_id(), TaskId::new("first"));
        assert_eq!(command.value(), "echo hello && sleep 1");
        assert!(command.shell() && command.arguments.is_empty());
        assert_eq!(command.environment.as_ref().unwrap().variables[0].name, "A");
        assert_eq!((job.resources.cpus(), job.resources.mem()), (0.5, 32.0));
        assert_eq!(job.kill_after, Some(Duration::from_secs(10)));
        assert_eq!(job.framework.role(), "*");
        assert!(job.framework.checkpoint());
    }

    #[test]
    fn job_without_shell_splits_the_command() {
        let job = job(&["--name=n", "--command=/bin/echo a  b", "--no-shell"]).unwrap();
        let command = job.task.command.unwrap();
        assert_eq!(command.value(), "/bin/echo");
        assert_eq!(command.arguments, ["/bin/echo", "a", "b"]);
        assert!(!command.shell());
    }

    #[test]
    fn job_of_a_whole_task_takes_resources_from_it() {
        let text = r#"--task={"name":"n","task_id":{"value":"t"},"agent_id":{"value":""},
            "resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":2}}],
            "command":{"value":"true"}}"#;
        let job = job(&[text]).unwrap();
        assert_eq!((job.task_id(), job.resources.cpus()), (TaskId::new("t"), 2.0));
        assert!(job.task.resources.is_empty());
    }

    #[test]
    fn job_capabilities_are_read_by_name() {
        let job = job(&[
            "--name=n",
            "--command=c",
            "--partition_aware",
            "--framework_capabilities=TASK_KILLING_STATE,PARTITION_AWARE",
        ])
        .unwrap();
        let kinds: Vec<_> = job.framework.capabilities.iter().map(Capability::r#type).collect();
        assert_eq!(kinds, [capability::Type::TaskKillingState, capability::Type::PartitionAware]);
    }

    #[test]
    fn job_bad_flags_give_one_clear_line() {
        let cases: [(&[&str], &str); 11] = [
            (&["--command=c"], "missing required flag --name"),
            (&["--name=n"], "missing required flag --command"),
            (&["--name=a/b", "--command=c"], "'--name' is not valid: id 'a/b' has a slash"),
            (&["--name=n", "--command=c", "--resources=cpus"], "'--resources' is not valid"),
            (&["--name=n", "--command=c", "--resources="], "'--resources' is not valid"),
            (&["--name=n", "--command=c", "--env=[]"], "'--env' is not valid"),
            (&["--name=n", "--command=c", "--docker_image=i"], "'--docker_image' is not supported"),
            (&["--name=n", "--command=c", "--networks=x"], "'--networks' is not supported"),
            (&["--name=n", "--command=c", "--secret=s"], "'--secret' is not valid"),
            (&["--task={}", "--command=c"], "give either --task or --command"),
            (&["--task={}"], "'--task' is not valid: field 'name' is required"),
        ];
        for (arguments, expected) in cases {
            let text = job(arguments).unwrap_err().to_string();
            assert!(text.contains(expected) && !text.contains('\n'), "{arguments:?}: {text}");
        }
    }
}
