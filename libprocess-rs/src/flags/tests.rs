use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::{FlagError, Loader};

fn seconds(text: &str) -> Result<Duration, String> {
    let digits = text.strip_suffix('s').unwrap_or_default();
    let count = digits.parse().map_err(|_| "expected seconds".to_owned())?;
    Ok(Duration::from_secs(count))
}

#[derive(Parser, Debug, Default, Clone, PartialEq)]
#[command(rename_all = "snake_case", about = "Tries the loader")]
struct Flags {
    /// Where things are kept
    #[arg(long, help_heading = "Storage")]
    work_dir: Option<PathBuf>,
    /// Any text
    #[arg(long, default_value = "x")]
    text: String,
    /// Say more
    #[arg(long)]
    verbose: bool,
    /// On unless said otherwise
    #[arg(long, action = clap::ArgAction::Set, default_value_t = true)]
    strict: bool,
    /// How long to wait
    #[arg(long, alias = "old_timeout", value_parser = seconds, default_value = "05s")]
    timeout: Duration,
    /// A pass word
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
    /// A document
    #[arg(long, value_name = "JSON")]
    rules: Option<String>,
}

fn loader() -> Loader {
    Loader::new("prog")
        .normalise::<Duration>(|text| seconds(text).ok().map(|d| format!("{}s", d.as_secs())))
}

fn load(arguments: &[&str]) -> Result<super::Loaded<Flags>, FlagError> {
    loader().load::<Flags>(arguments.iter().copied())
}

fn defaults() -> Flags {
    Flags { text: "x".into(), strict: true, timeout: Duration::from_secs(5), ..Flags::default() }
}

#[test]
fn command_line_good_arguments_set_flags() {
    let cases: Vec<(&[&str], Flags)> = vec![
        (&[], defaults()),
        (&["--verbose"], Flags { verbose: true, ..defaults() }),
        (&["--verbose="], Flags { verbose: true, ..defaults() }),
        (&["--verbose=1"], Flags { verbose: true, ..defaults() }),
        (&["--verbose=0"], defaults()),
        (&["--no-strict"], Flags { strict: false, ..defaults() }),
        (&["--no-verbose"], defaults()),
        (&["--strict=false"], Flags { strict: false, ..defaults() }),
        (&["--TEXT=Abc=d"], Flags { text: "Abc=d".into(), ..defaults() }),
        (&["--text=-1"], Flags { text: "-1".into(), ..defaults() }),
        (&["--text="], Flags { text: String::new(), ..defaults() }),
        (&["stray", "-v", "--verbose"], Flags { verbose: true, ..defaults() }),
        (&["--verbose", "--", "--nonsense"], Flags { verbose: true, ..defaults() }),
        (&["--work_dir=file:///a"], Flags { work_dir: Some("/a".into()), ..defaults() }),
    ];
    for (arguments, expected) in cases {
        assert_eq!(load(arguments).unwrap().flags, expected, "{arguments:?}");
    }
}

#[test]
fn command_line_bad_arguments_give_one_clear_line() {
    let cases: [(&[&str], &str); 11] = [
        (&["--nonsense"], "unknown flag '--nonsense'; --help lists the flags"),
        (
            &["--work-dir=/x"],
            "unknown flag '--work-dir' (did you mean '--work_dir'?); --help lists the flags",
        ),
        (&["--text=a", "--text=b"], "flag '--text' is given more than once"),
        (&["--timeout=1s", "--old_timeout=1s"], "flag '--timeout' is given more than once"),
        (&["--text", "a"], "flag '--text' needs a value: write --text=value"),
        (&["--no-text"], "flag '--text' is not a boolean: --no-text means nothing"),
        (&["--no-strict=1"], "flag '--no-strict' takes no value"),
        (&["--verbose=yes"], "flag '--verbose' cannot be 'yes': expected true, 1, false or 0"),
        (&["--strict=yes"], "flag '--strict' cannot be 'yes': expected true, 1, false or 0"),
        (&["--timeout=soon"], "flag '--timeout' cannot be 'soon': expected seconds"),
        (
            &["--text=file:///nowhere/at/all"],
            "flag '--text': cannot read /nowhere/at/all: No such file or directory (os error 2)",
        ),
    ];
    for (arguments, expected) in cases {
        assert_eq!(load(arguments).unwrap_err().to_string(), expected, "{arguments:?}");
    }
}

#[test]
fn environment_stands_in_for_missing_flags_only() {
    let variables = [
        ("P_TEXT", "from environment"),
        ("P_verbose", ""),
        ("P_OLD_TIMEOUT", "7s"),
        ("P_UNKNOWN", "ignored"),
        ("TEXT", "ignored"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let loader = loader().environment("P_", variables);
    let loaded = loader.load::<Flags>(["--text=from command line"]).unwrap();
    let expected = Flags {
        text: "from command line".into(),
        verbose: true,
        timeout: Duration::from_secs(7),
        ..defaults()
    };
    assert_eq!(loaded.flags, expected);
    assert_eq!(loaded.warnings, ["flag '--old_timeout' is deprecated: use '--timeout'"]);
    assert_eq!(loaded.effective["old_timeout"], "7s");
    assert!(loaded.given.iter().eq(["old_timeout", "text", "verbose"]), "{:?}", loaded.given);
}

#[test]
fn effective_flags_are_normalised_and_without_secrets() {
    let loaded = load(&["--secret=hush", "--verbose=1", "--timeout=060s"]).unwrap();
    let expected = [
        ("secret", "***"),
        ("strict", "true"),
        ("text", "x"),
        ("timeout", "60s"),
        ("verbose", "true"),
    ];
    let expected: BTreeMap<String, String> =
        expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(loaded.effective, expected);
}

#[test]
fn file_value_is_replaced_by_its_content() {
    let path = std::env::temp_dir().join(format!("flags-{}", uuid::Uuid::new_v4()));
    std::fs::write(&path, "content\n").unwrap();
    let from_url = load(&[&format!("--text=file://{}", path.display())]).unwrap();
    let from_path = load(&[&format!("--rules={}", path.display())]).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(from_url.flags.text, "content\n");
    assert_eq!(from_path.flags.rules.as_deref(), Some("content\n"));
    assert_eq!(from_path.warnings.len(), 1);
}

#[test]
fn lenient_loader_ignores_unknown_flags() {
    let loaded = loader().lenient().load::<Flags>(["--nonsense=1", "--verbose"]).unwrap();
    assert!(loaded.flags.verbose);
}

#[test]
fn help_shows_flags_as_they_are_typed() {
    let Err(FlagError::Help(text)) = load(&["--help"]) else {
        panic!("no help");
    };
    for part in [
        "Tries the loader",
        "prog [--flag=value ...]",
        "Storage:",
        "--work_dir=<WORK_DIR>",
        "--[no-]strict",
        "--[no-]verbose",
        "[default: 5s]",
        "--help",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[derive(Parser, Debug)]
struct Needy {
    #[arg(long)]
    master: String,
}

#[test]
fn required_flag_missing_is_named() {
    let error = Loader::new("prog").load::<Needy>([""; 0]).unwrap_err();
    assert_eq!(error.to_string(), "missing required flag --master");
    assert_eq!(Loader::new("p").load::<Needy>(["--master=m"]).unwrap().flags.master, "m");
}
