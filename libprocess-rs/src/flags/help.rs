//! The usage text.

use super::spec::{Kind, Spec};

/// Usage of a program: its flags as they must be typed, grouped as the caller's command has them.
pub(super) fn render(
    command: clap::Command,
    program: &str,
    prefix: Option<&str>,
    specs: &[Spec],
) -> String {
    let environment = prefix.map_or_else(String::new, |prefix| {
        format!("Every flag can also be given as an environment variable: {prefix} and its name in upper case.")
    });
    let help = clap::Arg::new("help")
        .long("help")
        .action(clap::ArgAction::SetTrue)
        // Not under the heading of what a caller flattened last.
        .help_heading(None::<&str>)
        .help("Print this text and exit");
    let mut command = command
        .disable_help_flag(true)
        .disable_version_flag(true)
        .override_usage(format!("{program} [--flag=value ...]"))
        .after_help(environment)
        .mut_args(|argument| as_typed(argument, specs))
        .arg(help);
    command.render_help().to_string().trim_end().to_owned()
}

/// Shows a flag as this loader reads it: with an equal sign, booleans with their negation.
fn as_typed(argument: clap::Arg, specs: &[Spec]) -> clap::Arg {
    let name = argument.get_long().unwrap_or_default().to_owned();
    let Some(spec) = specs.iter().find(|spec| spec.name == name) else {
        return argument;
    };
    if spec.kind == Kind::Switch {
        return argument.long(format!("[no-]{name}"));
    }
    if spec.kind == Kind::Boolean {
        let default = spec.default.as_ref();
        let default =
            default.map_or_else(String::new, |d| format!(" [default: {}]", spec.shown(d)));
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        return argument
            .long(format!("[no-]{name}"))
            .default_value(None)
            .action(clap::ArgAction::SetTrue)
            .help(format!("{help}{default}"));
    }
    let argument = match &spec.default {
        Some(default) if !argument.is_hide_default_value_set() => {
            argument.default_value(spec.shown(default))
        }
        _ => argument,
    };
    argument.require_equals(true)
}
