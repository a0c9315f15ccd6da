//! What each verb does.

use std::path::Path;

use crate::shell::{self, Failure, Outcome};
use crate::summary::Summary;
use crate::{setup, tidy};

/// Formatting, lints, tidy: all three are run, so that one look shows all there is to repair.
pub(crate) fn check() -> Outcome {
    setup::components()?;
    let steps: [(&str, Outcome); 3] = [
        ("tidy", tidy()),
        ("rustfmt", shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))),
        ("clippy", clippy()),
    ];
    let mut failed = Vec::new();
    for (name, outcome) in steps {
        if let Err(why) = outcome {
            eprintln!("xtask: {why}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure(format!("check failed: {}", failed.join(", "))))
}

fn clippy() -> Outcome {
    let arguments = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    shell::run(&mut shell::cargo(&arguments))
}

/// Rules of the house that no compiler checks.
pub(crate) fn tidy() -> Outcome {
    eprintln!("xtask: tidy");
    let problems = tidy::check(&shell::root())?;
    for problem in &problems {
        eprintln!("{problem}");
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure(format!("tidy found {} problem(s)", problems.len())))
}

/// Lowers the ratchet to today's sizes.
pub(crate) fn bless() -> Outcome {
    tidy::bless(&shell::root())
}

/// Everything: what a change must pass.
pub(crate) fn test() -> Outcome {
    setup::run()?;
    check()?;
    // Tests of whole clusters start the binaries, of all crates.
    shell::run(&mut shell::cargo(&["build", "--workspace", "--bins"]))?;
    let mut summary = Summary::default();
    let outcome = shell::run_and_read(&mut shell::cargo(&["test", "--workspace"]), |line| {
        summary.see(line);
    });
    let Summary { passed, failed, ignored, .. } = summary;
    eprintln!("xtask: {passed} passed, {failed} failed, {ignored} ignored");
    outcome?;
    if passed == 0 {
        return Err(Failure("no test was run".to_owned()));
    }
    if ignored > 0 && shell::is_ci() {
        return Err(Failure(format!("{ignored} test(s) ignored: CI=true accepts none")));
    }
    Ok(())
}

/// Which seeds the simulated clusters run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SimRun {
    seeds: Option<u64>,
    seed: Option<u64>,
    /// One of the simulations; all when absent.
    only: Option<String>,
}

impl SimRun {
    /// Reads `--seeds N`, `--seed X` and `--only NAME`, also with `=`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut run = Self::default();
        let words = arguments.iter().flat_map(|argument| argument.splitn(2, '='));
        let words: Vec<&str> = words.collect();
        for pair in words.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("sim: {} needs a value", pair[0]));
            };
            let number = || value.parse().map_err(|_| format!("sim: {value} is no number"));
            match *name {
                "--seeds" => run.seeds = Some(number()?),
                "--seed" => run.seed = Some(number()?),
                "--only" if SIMULATED.iter().any(|(_, test)| test == value) => {
                    run.only = Some((*value).to_owned());
                }
                "--only" => return Err(format!("sim: no simulation {value}")),
                _ => return Err(format!("sim: unknown flag {name}")),
            }
        }
        Ok(run)
    }
}

/// Tests over seeds: package, test.
const SIMULATED: [(&str, &str); 6] = [
    ("libprocess-rs", "sim_faults"),
    ("tests", "sim"),
    ("tests", "sim_models"),
    ("tests", "sim_crowd"),
    ("tests", "sim_ha"),
    ("coordination", "log_sim"),
];

/// As many seeds are worth a release build, which runs them several times as fast.
const CAMPAIGN: u64 = 100;

/// Simulated nodes and clusters.
pub(crate) fn sim(run: &SimRun) -> Outcome {
    let wanted = |test: &str| run.only.as_ref().is_none_or(|only| only == test);
    for (package, test) in SIMULATED.into_iter().filter(|(_, test)| wanted(test)) {
        let mut command = shell::cargo(&["test", "-p", package, "--test", test]);
        if run.seeds.is_some_and(|seeds| seeds >= CAMPAIGN) {
            command.arg("--release");
        }
        command.args(["--", "--nocapture"]);
        for (name, value) in [("SIM_SEEDS", run.seeds), ("SEED", run.seed)] {
            if let Some(value) = value {
                command.env(name, value.to_string());
            }
        }
        shell::run(&mut command)?;
    }
    Ok(())
}

fn bench_dir(package: &str) -> std::path::PathBuf {
    let benches = shell::root().join("benches");
    if package == "benches" { benches.join("benches") } else { benches.join("runtime/benches") }
}

/// Performance claims: all, or those named.
pub(crate) fn bench(names: &[&str]) -> Outcome {
    for package in ["runtime-benches", "benches"] {
        let mut command = shell::cargo(&["bench", "-p", package]);
        if package == "runtime-benches" {
            // Ours and the peers' alike are small enough to be optimised as one.
            command.env("CARGO_PROFILE_BENCH_LTO", "thin");
            command.env("CARGO_PROFILE_BENCH_CODEGEN_UNITS", "4");
        }
        let own = std::fs::read_dir(bench_dir(package))
            .map_err(|error| Failure(format!("cannot list the benches of {package}: {error}")))?
            .filter_map(|entry| {
                Some(entry.ok()?.path().file_stem()?.to_string_lossy().into_owned())
            });
        let own: Vec<_> =
            own.filter(|own| names.is_empty() || names.contains(&own.as_str())).collect();
        if own.is_empty() {
            continue;
        }
        for name in &own {
            command.args(["--bench", name]);
        }
        shell::run(&mut command)?;
    }
    Ok(())
}

/// Packs the binaries that operators install.
pub(crate) fn dist() -> Outcome {
    let build = ["build", "--release", "-p", "master", "-p", "slave", "-p", "cli", "--bins"];
    shell::run(&mut shell::cargo(&build))?;
    let listing = shell::quietly(shell::cargo(&build).arg("--message-format=json"))?;
    let binaries: Vec<&Path> = listing.lines().filter_map(executable).map(Path::new).collect();
    let first = binaries.first().ok_or(Failure("no binary was built".to_owned()))?;
    let release = first.parent().unwrap_or(Path::new("."));
    let name = format!("mesos-{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let dist = release.parent().unwrap_or(release).join("dist");
    let stage = dist.join(&name);
    if stage.exists() {
        std::fs::remove_dir_all(&stage)?;
    }
    std::fs::create_dir_all(&stage)?;
    for binary in &binaries {
        let file = binary.file_name().unwrap_or_default();
        std::fs::copy(binary, stage.join(file))?;
    }
    // Operators know the slave under both names.
    if !stage.join("mesos-agent").exists() {
        std::os::unix::fs::symlink("mesos-slave", stage.join("mesos-agent"))?;
    }
    for text in ["LICENSE", "README.md", "CHANGELOG.md"] {
        std::fs::copy(shell::root().join(text), stage.join(text))?;
    }
    let archive = dist.join(format!("{name}.tar.gz"));
    let mut tar = shell::command("tar", &["--owner=0", "--group=0", "--sort=name", "-czf"]);
    tar.arg(&archive).arg("-C").arg(&dist).arg(&name);
    shell::run(&mut tar)?;
    println!("{}", archive.display());
    Ok(())
}

/// The path in one of cargo's JSON messages, if it tells of a binary.
fn executable(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("\"executable\":\"")?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sim_flags_are_read_in_both_forms() {
        let only = Some("sim_crowd".to_owned());
        let all = SimRun { seeds: Some(100), seed: Some(7), only };
        let words = ["--seeds", "100", "--seed=7", "--only", "sim_crowd"];
        assert_eq!(SimRun::parse(&words), Ok(all));
        assert_eq!(SimRun::parse(&[]), Ok(SimRun::default()));
    }

    #[test]
    fn sim_flags_that_are_wrong_are_named() {
        for (arguments, word) in [
            (&["--seeds"][..], "--seeds"),
            (&["--seed", "x"], "x"),
            (&["--speed", "3"], "--speed"),
            (&["--only", "zim"], "zim"),
        ] {
            let problem = SimRun::parse(arguments).unwrap_err();
            assert!(problem.contains(word), "{problem}");
        }
    }

    #[test]
    fn executable_is_found_only_in_messages_of_binaries() {
        let binary = r#"{"reason":"compiler-artifact","executable":"/t/release/mesos-master"}"#;
        assert_eq!(executable(binary), Some("/t/release/mesos-master"));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
    }
}
