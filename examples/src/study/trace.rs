//! Traces: what comes when.

use std::time::Duration;

use protos::resources::Resources;

/// The first line of a trace file.
pub const HEADER: &str = "time,event,name,owner,count,resources,length";

/// A line of a trace is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TraceError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// What happens.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// So many equal slaves come: `name-0`, `name-1`, ...
    Slaves {
        /// How many.
        count: u32,
        /// What each has.
        total: Resources,
    },
    /// A framework subscribes to a role; the role's weight is set.
    Framework {
        /// Its role.
        role: String,
        /// The role's weight.
        weight: f64,
    },
    /// A framework has a job to run: equal tasks.
    Job {
        /// The framework.
        framework: String,
        /// How many tasks.
        tasks: u32,
        /// What each needs.
        needs: Resources,
        /// How long each runs.
        length: Duration,
    },
}

/// Something happens at some time after the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Time since the start.
    pub at: Duration,
    /// Name of what comes.
    pub name: String,
    /// What it is.
    pub what: What,
}

/// Events by time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// Sorted by time.
    pub events: Vec<Event>,
}

impl std::str::FromStr for Trace {
    type Err = TraceError;

    /// Reads the CSV form. Empty lines, lines that start with `#` and the header are skipped.
    fn from_str(text: &str) -> Result<Self, TraceError> {
        let mut events = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line == HEADER {
                continue;
            }
            let bad = |problem| TraceError { line: number + 1, problem };
            events.push(event(line).map_err(bad)?);
        }
        // The sort is stable: what stands first comes first.
        events.sort_by_key(|event: &Event| event.at);
        Ok(Self { events })
    }
}

fn event(line: &str) -> Result<Event, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let [time, event, name, owner, count, resources, length] = fields[..] else {
        return Err(format!("{} fields, expected 7: {HEADER}", fields.len()));
    };
    let amounts = || resources.parse::<Resources>().map_err(|error| error.to_string());
    let whole = || count.parse::<u32>().map_err(|_| format!("count '{count}' is no whole number"));
    let what = match event {
        "slave" => What::Slaves { count: whole()?, total: amounts()? },
        "framework" => {
            let weight = if count.is_empty() { Ok(1.0) } else { count.parse::<f64>() };
            let weight = weight.ok().filter(|weight| weight.is_finite() && *weight > 0.0);
            let role = if owner.is_empty() { "*" } else { owner }.to_owned();
            What::Framework { role, weight: weight.ok_or("count is no weight above 0")? }
        }
        "job" => What::Job {
            framework: owner.to_owned(),
            tasks: whole()?,
            needs: amounts()?,
            length: seconds(length)?,
        },
        other => return Err(format!("event '{other}' is none of slave, framework, job")),
    };
    if name.is_empty() {
        return Err("name is empty".to_owned());
    }
    Ok(Event { at: seconds(time)?, name: name.to_owned(), what })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    let length = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    length.ok_or_else(|| format!("'{text}' is no time in seconds"))
}

impl Trace {
    /// The CSV form.
    pub fn to_csv(&self) -> String {
        let mut csv = format!("{HEADER}\n");
        for Event { at, name, what } in &self.events {
            let at = at.as_secs_f64();
            csv.push_str(&match what {
                What::Slaves { count, total } => format!("{at},slave,{name},,{count},{total},\n"),
                What::Framework { role, weight } => {
                    format!("{at},framework,{name},{role},{weight},,\n")
                }
                What::Job { framework, tasks, needs, length } => {
                    let length = length.as_secs_f64();
                    format!("{at},job,{name},{framework},{tasks},{needs},{length}\n")
                }
            });
        }
        csv
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "time,event,name,owner,count,resources,length\n\
        0,slave,s,,2,cpus:9;mem:18,\n\
        0,framework,a,role/a,2,,\n\
        1.5,job,j,a,3,cpus:1;mem:4,60\n";

    #[test]
    fn trace_is_read_and_written_alike() {
        let trace: Trace = TEXT.parse().unwrap();
        assert_eq!(trace.events.len(), 3);
        assert_eq!(trace.to_csv(), TEXT);
        let shuffled: Trace = "# later\n9,framework,b,,,,\n\n0,slave,s,,1,cpus:1,".parse().unwrap();
        assert_eq!(shuffled.events[0].name, "s");
    }

    #[test]
    fn trace_with_a_bad_line_says_which() {
        for bad in [
            "0,slave,s,,x,cpus:1,",
            "0,slave,s,,1,cpus,",
            "0,slave,,,1,cpus:1,",
            "0,host,s,,1,cpus:1,",
            "0,slave,s",
            "x,slave,s,,1,cpus:1,",
            "0,job,j,f,1,cpus:1,-1",
            "0,framework,f,r,0,,",
        ] {
            let error = format!("0,slave,s,,1,cpus:1,\n{bad}").parse::<Trace>().unwrap_err();
            assert_eq!(error.line, 2, "{bad}");
        }
    }
}
