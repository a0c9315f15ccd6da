//! `docker/runtime`: entry point, command, environment and working directory that an image names,
//! where the framework names none.

use protos::docker::spec::v1::image_manifest::Config;
use protos::ids::ContainerId;
use protos::mesos::{self, CommandInfo};

use crate::launch::LaunchInfo;
use crate::preparer::Preparer;
use crate::setup::ContainerSetup;

/// The isolator. For command tasks it fills `task_environment`, and `command` and
/// `working_directory` with what the task is to run; else with what the executor is.
#[derive(Debug)]
pub struct DockerRuntime;

impl Preparer for DockerRuntime {
    const NAME: &'static str = "docker/runtime";

    fn launch(&self, _: &ContainerId, setup: &ContainerSetup) -> Result<LaunchInfo, String> {
        let Some(config) = &setup.image else { return Ok(LaunchInfo::default()) };
        let told = setup.task_command.as_ref().unwrap_or(&setup.command);
        let environment = environment(config, told);
        let mut info =
            LaunchInfo { command: Some(command(config, told)?), ..LaunchInfo::default() };
        info.working_directory = config.working_dir.clone().filter(|path| path.starts_with('/'));
        match setup.is_command_task {
            true => info.task_environment = environment,
            false => info.environment = environment,
        }
        Ok(info)
    }
}

/// What is run, of the image's words and the framework's:
///
/// | shell | value | arguments | what is run |
/// |---|---|---|---|
/// | yes | yes | any | the shell line; the image has no say |
/// | yes | no | any | nothing: an error |
/// | no | yes | any | the value with its arguments |
/// | no | no | yes | the entry point with the arguments; without one, the first word of the image's command with them |
/// | no | no | no | the entry point with the image's command; without one, that command |
fn command(config: &Config, told: &CommandInfo) -> Result<CommandInfo, String> {
    let shell = told.shell.unwrap_or(true);
    match (shell, &told.value) {
        (true, None) => return Err("the command is a shell line and has no value".to_owned()),
        (_, Some(_)) => return Ok(told.clone()),
        (false, None) => {}
    }
    let argv: Vec<String> = match (config.entrypoint.as_slice(), config.cmd.as_slice()) {
        ([], []) => return Err("neither the image nor the task says what to run".to_owned()),
        ([], [first, ..]) if !told.arguments.is_empty() => {
            [std::slice::from_ref(first), &told.arguments].concat()
        }
        ([], cmd) => cmd.to_vec(),
        (entry, _) if !told.arguments.is_empty() => [entry, &told.arguments].concat(),
        (entry, cmd) => [entry, cmd].concat(),
    };
    let value = argv.first().cloned();
    Ok(CommandInfo { value, arguments: argv, shell: Some(false), ..told.clone() })
}

/// The image's variables, without those that the framework sets itself.
fn environment(config: &Config, told: &CommandInfo) -> Option<mesos::Environment> {
    let set = |name: &str| {
        let mut variables = told.environment.iter().flat_map(|it| &it.variables);
        variables.any(|variable| variable.name == name)
    };
    let pairs = config.env.iter().filter_map(|pair| pair.split_once('='));
    let variables = pairs.filter(|(name, _)| !name.is_empty() && !set(name));
    let variables = variables.map(|(name, value)| mesos::environment::Variable {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..Default::default()
    });
    let variables: Vec<_> = variables.collect();
    (!variables.is_empty()).then_some(mesos::Environment { variables })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn run(entry: &str, cmd: &str, told: &CommandInfo) -> Option<String> {
        let config = Config { entrypoint: words(entry), cmd: words(cmd), ..Config::default() };
        let ran = command(&config, told).ok()?;
        Some(match ran.shell.unwrap_or(true) {
            true => format!("sh: {}", ran.value()),
            false => ran.arguments.join(" "),
        })
    }

    #[test]
    fn runtime_command_is_made_of_the_images_words_and_the_frameworks() {
        let told = |shell, value: Option<&str>, arguments: &str| CommandInfo {
            shell: Some(shell),
            value: value.map(str::to_owned),
            arguments: words(arguments),
            ..CommandInfo::default()
        };
        let cases = [
            (told(true, Some("x"), ""), "e", "c", Some("sh: x")),
            (told(true, None, ""), "e", "c", None),
            (told(false, Some("x"), "x y"), "e", "c", Some("x y")),
            (told(false, None, ""), "", "", None),
            (told(false, None, "a"), "", "", None),
            (told(false, None, ""), "", "c d", Some("c d")),
            (told(false, None, "a b"), "", "c d", Some("c a b")),
            (told(false, None, ""), "e f", "c d", Some("e f c d")),
            (told(false, None, "a"), "e f", "c d", Some("e f a")),
        ];
        for (told, entry, cmd, expected) in cases {
            assert_eq!(run(entry, cmd, &told).as_deref(), expected, "{told:?} {entry} {cmd}");
        }
    }

    #[test]
    fn runtime_environment_yields_to_the_frameworks() {
        let variable = mesos::environment::Variable {
            name: "A".to_owned(),
            value: Some("mine".to_owned()),
            ..Default::default()
        };
        let told = CommandInfo {
            value: Some("x".to_owned()),
            environment: Some(mesos::Environment { variables: vec![variable] }),
            ..CommandInfo::default()
        };
        let config = Config {
            env: words("A=theirs B=2 =x PATH=/bin"),
            working_dir: Some("/w".to_owned()),
            ..Config::default()
        };
        let setup = ContainerSetup { image: Some(config), command: told, ..Default::default() };
        let info = DockerRuntime.launch(&ContainerId::new("c"), &setup).unwrap();
        let variables = info.environment.unwrap().variables;
        let names: Vec<_> = variables.iter().map(|variable| variable.name.as_str()).collect();
        assert_eq!(names, ["B", "PATH"]);
        assert_eq!(info.working_directory.as_deref(), Some("/w"));
    }

    #[test]
    fn runtime_without_an_image_leaves_everything_as_it_is() {
        let info = DockerRuntime.launch(&ContainerId::new("c"), &ContainerSetup::default());
        assert_eq!(info, Ok(LaunchInfo::default()));
    }
}
