//! The command of a task, ready to be started.

use libprocess::subprocess::{Command, Output};
use protos::mesos;

use super::{Inside, Settings};

/// The command of a task: a shell line, or a program with its whole argv.
pub(super) fn command(task: &mesos::TaskInfo, settings: &Settings) -> Result<Command, String> {
    let imaged = settings.inside.as_ref().and_then(Inside::command);
    let info = imaged.or(task.command.as_ref()).ok_or("the task has no command")?;
    command_of(info, task, settings)
}

/// A command that runs as, or beside, a task's.
pub(super) fn command_of(
    info: &mesos::CommandInfo,
    task: &mesos::TaskInfo,
    settings: &Settings,
) -> Result<Command, String> {
    let value = info.value.clone().ok_or("the command has no value")?;
    let (program, argv) = if info.shell.unwrap_or(true) {
        ("/bin/sh".to_owned(), vec!["sh".to_owned(), "-c".to_owned(), value])
    } else if info.arguments.is_empty() {
        (value.clone(), vec![value])
    } else {
        (value, info.arguments.clone())
    };
    let mut env = settings.environment.clone();
    for variable in info.environment.iter().flat_map(|environment| &environment.variables) {
        env.insert(variable.name.clone(), variable.value.clone().unwrap_or_default());
    }
    let role = task.resources.iter().find_map(|r| r.allocation_info.as_ref()?.role.clone());
    if let Some(role) = role {
        env.insert("MESOS_ALLOCATION_ROLE".to_owned(), role);
    }
    let (stdout, stderr) = (Output::Inherit, Output::Inherit);
    let (session, die_with_parent) = (true, true);
    let command = Command {
        program,
        argv,
        env,
        stdout,
        stderr,
        session,
        die_with_parent,
        ..Command::default()
    };
    Ok(match &settings.inside {
        Some(inside) => inside.wrap(command),
        None => command,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &[(&str, &str)]) -> Settings {
        let needed = [
            ("MESOS_SLAVE_PID", "slave(1)@127.0.0.1:5051"),
            ("MESOS_FRAMEWORK_ID", "F"),
            ("MESOS_EXECUTOR_ID", "E"),
        ];
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let read = Settings::read(needed.iter().map(owned).collect()).unwrap();
        Settings { environment: environment.iter().map(owned).collect(), ..read }
    }

    fn task(command: mesos::CommandInfo) -> mesos::TaskInfo {
        mesos::TaskInfo { command: Some(command), ..Default::default() }
    }

    #[test]
    fn command_shell_line_or_argv_is_what_runs() {
        let shell = |value| mesos::CommandInfo { value, ..Default::default() };
        let argv = |value: Option<&str>, arguments: &[&str]| mesos::CommandInfo {
            shell: Some(false),
            value: value.map(str::to_owned),
            arguments: arguments.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        let cases = [
            (shell(Some("a b".to_owned())), "/bin/sh", vec!["sh", "-c", "a b"]),
            (argv(Some("/bin/ls"), &[]), "/bin/ls", vec!["/bin/ls"]),
            (argv(Some("/bin/ls"), &["ls", "-l"]), "/bin/ls", vec!["ls", "-l"]),
        ];
        for (info, program, arguments) in cases {
            let command = command(&task(info), &settings(&[])).unwrap();
            assert_eq!(command.program, program);
            assert_eq!(command.argv, arguments);
            assert!(command.session);
        }
        assert!(command(&task(shell(None)), &settings(&[])).is_err());
        assert!(command(&mesos::TaskInfo::default(), &settings(&[])).is_err());
    }

    #[test]
    fn command_environment_is_inherited_and_the_tasks_own_wins() {
        let variable = |name: &str, value: &str| mesos::environment::Variable {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            ..Default::default()
        };
        let variables = vec![variable("A", "task"), variable("B", "task")];
        let info = mesos::CommandInfo {
            value: Some("true".to_owned()),
            environment: Some(mesos::Environment { variables }),
            ..Default::default()
        };
        let inherited = [("A", "executor"), ("C", "executor")];
        let command = command(&task(info), &settings(&inherited)).unwrap();
        let expected = [("A", "task"), ("B", "task"), ("C", "executor")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(command.env, expected.into_iter().collect());
    }
}
