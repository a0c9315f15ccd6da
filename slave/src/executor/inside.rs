//! A task with a root of its own: the executor stays outside, and starts what runs inside by
//! `mesos-containerizer`.

use std::collections::BTreeMap;
use std::path::Path;

use isolators::LaunchInfo;
use libprocess::subprocess::Command;
use protos::mesos;

/// How commands are started inside.
#[derive(Debug, Clone, PartialEq)]
pub struct Inside {
    helper: String,
    info: LaunchInfo,
}

/// The variable by which an executor is told how to start its task: unlike arguments, nobody but its user
/// can read it. The task does not have it.
pub(crate) const TASK_LAUNCH_INFO: &str = "MESOS_TASK_LAUNCH_INFO";

/// The variable by which the helper is told: unlike arguments, nobody else can read it.
pub(crate) const LAUNCH_INFO: &str = "MESOS_LAUNCH_INFO";

impl Inside {
    /// Reads the program's arguments, and what the environment says of the task in
    /// `MESOS_TASK_LAUNCH_INFO`; None when the task runs as the executor does.
    ///
    /// # Errors
    /// Text naming the flag that cannot be used.
    pub fn read(
        args: impl IntoIterator<Item = String>,
        told: Option<String>,
    ) -> Result<Option<Self>, String> {
        let failed = |error: &dyn std::fmt::Display| format!("flag 'task_launch_info': {error}");
        // Others of the original's flags are accepted, and not needed.
        let (mut directory, mut told) = (String::new(), told);
        for argument in args {
            if let Some(value) = argument.strip_prefix("--launcher_dir=") {
                directory = value.to_owned();
            } else if let Some(value) = argument.strip_prefix("--task_launch_info=") {
                told = Some(value.to_owned());
            }
        }
        let Some(text) = told else { return Ok(None) };
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| failed(&error))?;
        let info = protos::json::from_json(&value).map_err(|error| failed(&error))?;
        let helper = Path::new(&directory).join("mesos-containerizer").display().to_string();
        Ok(Some(Self { helper, info }))
    }

    /// What the task is to run, when its image has a say in it.
    pub(super) fn command(&self) -> Option<&mesos::CommandInfo> {
        self.info.command.as_ref()
    }

    /// The command that has a command started inside; the command itself, with the task's environment,
    /// when the task has no root of its own.
    pub(super) fn wrap(&self, mut command: Command) -> Command {
        // Those of the image and secrets, without those that the framework set.
        for variable in self.info.environment.iter().flat_map(|it| &it.variables) {
            command.env.insert(variable.name.clone(), variable.value().to_owned());
        }
        if self.info.rootfs.is_none() {
            return command;
        }
        let env = command.env.clone();
        let variable = |(name, value): (String, String)| mesos::environment::Variable {
            name,
            value: Some(value),
            ..Default::default()
        };
        let variables = env.into_iter().map(variable).collect();
        let inner = mesos::CommandInfo {
            value: Some(command.program.clone()),
            arguments: command.argv.clone(),
            shell: Some(false),
            ..Default::default()
        };
        let info = LaunchInfo {
            command: Some(inner),
            environment: Some(mesos::Environment { variables }),
            ..self.info.clone()
        };
        let told = protos::json::to_json(&info).to_string();
        let argv = [self.helper.as_str(), "launch", "--unshare_namespace_mnt"];
        Command {
            program: self.helper.clone(),
            argv: argv.map(str::to_owned).to_vec(),
            env: BTreeMap::from([(LAUNCH_INFO.to_owned(), told)]),
            ..command
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_commands_are_told_to_the_helper() {
        let args = |more: &[&str]| {
            let all = ["mesos-executor", "--launcher_dir=/l", "--unknown=1"].iter().chain(more);
            all.map(|text| (*text).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(Inside::read(args(&[]), None), Ok(None));
        assert!(Inside::read(args(&["--task_launch_info={"]), None).is_err());
        let told = r#"--task_launch_info={"rootfs":"/r","environment":{"variables":[
            {"name":"PATH","value":"/b"}]}}"#;
        let inside = Inside::read(args(&[told]), None).unwrap().unwrap();
        let command = Command {
            program: "/bin/sh".to_owned(),
            argv: vec!["sh".to_owned()],
            env: [("PATH".to_owned(), "/x".to_owned()), ("A".to_owned(), "1".to_owned())].into(),
            session: true,
            ..Command::default()
        };
        let wrapped = inside.wrap(command);
        assert_eq!((wrapped.program.as_str(), wrapped.session), ("/l/mesos-containerizer", true));
        let info = serde_json::from_str(&wrapped.env[LAUNCH_INFO]).unwrap();
        let info: LaunchInfo = protos::json::from_json(&info).unwrap();
        assert_eq!(info.rootfs(), "/r");
        assert_eq!(info.command.as_ref().unwrap().arguments, ["sh"]);
        let variables = info.environment.unwrap().variables;
        let pairs: Vec<_> = variables.iter().map(|it| (it.name.as_str(), it.value())).collect();
        assert_eq!(pairs, [("A", "1"), ("PATH", "/b")]);
    }
    #[test]
    fn task_without_a_root_of_its_own_gets_its_secrets_only() {
        let told = r#"{"environment":{"variables":[{"name":"KEY","value":"s3cret"}]}}"#;
        let inside = Inside::read(Vec::new(), Some(told.to_owned())).unwrap().unwrap();
        let program = "/bin/sh".to_owned();
        let wrapped = inside.wrap(Command { program: program.clone(), ..Command::default() });
        assert_eq!((wrapped.program, wrapped.env["KEY"].as_str()), (program, "s3cret"));
    }
}
