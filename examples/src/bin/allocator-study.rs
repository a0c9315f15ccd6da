//! Replays a trace through an allocator and writes what came of it. See `docs/allocator-study.md`.

use std::path::Path;
use std::time::Duration;

use allocator::{Catalogue, Config};
use examples::study::convert::{Columns, convert};
use examples::study::{Study, Trace, plot, replay, report};

const USAGE: &str =
    "usage: allocator-study TRACE [--allocator=NAME] [--sorter=drf|random] [--out=DIRECTORY]
                       [--refuse=SECONDS] [--sample=SECONDS] [--limit=SECONDS] [--seed=NUMBER]
       allocator-study convert TABLE [--columns=start=5,end=6,...] [--slaves=N] [--resources=TEXT]

Allocators: hierarchical (default), priority.";

type Failure = Box<dyn std::error::Error>;

struct Arguments(Vec<String>);

impl Arguments {
    fn value(&mut self, name: &str) -> Option<String> {
        let prefix = format!("--{name}=");
        let at = self.0.iter().position(|argument| argument.starts_with(&prefix))?;
        Some(self.0.remove(at)[prefix.len()..].to_owned())
    }

    fn number<T: std::str::FromStr>(&mut self, name: &str, default: T) -> Result<T, Failure> {
        match self.value(name) {
            None => Ok(default),
            Some(text) => {
                text.parse().map_err(|_| format!("--{name}: '{text}' is no number").into())
            }
        }
    }

    fn seconds(&mut self, name: &str, default: f64) -> Result<Duration, Failure> {
        Ok(Duration::try_from_secs_f64(self.number(name, default)?)?)
    }

    /// The only argument that is left.
    fn file(self) -> Result<String, Failure> {
        match <[String; 1]>::try_from(self.0) {
            Ok([file]) if !file.starts_with("--") => Ok(file),
            _ => Err(USAGE.into()),
        }
    }
}

fn main() -> Result<(), Failure> {
    let mut arguments = Arguments(std::env::args().skip(1).collect());
    if arguments.0.first().is_some_and(|first| first == "convert") {
        arguments.0.remove(0);
        return table(arguments);
    }
    study(arguments)
}

fn table(mut arguments: Arguments) -> Result<(), Failure> {
    let columns = arguments.value("columns").unwrap_or_default();
    let columns =
        Columns::parse(&columns).ok_or("--columns: expected name=number, comma-separated")?;
    let slaves = arguments.number("slaves", 100)?;
    let total = arguments.value("resources").unwrap_or_else(|| "cpus:96;mem:98304".to_owned());
    let text = std::fs::read_to_string(arguments.file()?)?;
    let (trace, left_out) = convert(&text, &columns, slaves, &total.parse()?)?;
    print!("{}", trace.to_csv());
    eprintln!("{} events, {left_out} lines left out", trace.events.len());
    Ok(())
}

fn study(mut arguments: Arguments) -> Result<(), Failure> {
    let name = arguments.value("allocator").unwrap_or_else(|| "hierarchical".to_owned());
    let catalogue = Catalogue::default().with("priority", examples::priority::factory());
    let factory = catalogue.get(&name).ok_or_else(|| format!("no allocator '{name}'\n{USAGE}"))?;
    let order = arguments.value("sorter").unwrap_or_else(|| "drf".to_owned()).parse()?;
    let config = Config { role_order: order, framework_order: order, ..Config::default() };
    let out = arguments.value("out").unwrap_or_else(|| ".".to_owned());
    let refuse_for = arguments.seconds("refuse", 5.0)?;
    let sample_every = arguments.seconds("sample", 10.0)?.max(Duration::from_millis(1));
    let limit = arguments.seconds("limit", 86_400.0)?;
    let seed = arguments.number("seed", 1)?;
    let file = arguments.file()?;
    let trace: Trace = std::fs::read_to_string(&file)?.parse()?;
    let outcome = replay(Study { trace, factory, config, refuse_for, sample_every, limit, seed })?;
    let out = Path::new(&out);
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join("shares.csv"), report::shares(&outcome))?;
    std::fs::write(out.join("cluster.csv"), report::cluster(&outcome))?;
    std::fs::write(out.join("jobs.csv"), report::jobs(&outcome))?;
    let title = format!("{file} through {name}");
    std::fs::write(out.join("shares.svg"), plot::svg(&title, &plot::series(&outcome)))?;
    print!("{}", report::summary(&outcome));
    Ok(())
}
