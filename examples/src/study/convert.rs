//! Turns tables of public cluster traces, one line for each task group, into our form.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protos::resources::Resources;

use super::trace::{Event, Trace, TraceError, What};

/// Which column of a comma-separated table says what, counted from 0, and in which units.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// The time at which the job came.
    pub start: usize,
    /// The time at which it ended.
    pub end: usize,
    /// Units of both in a second.
    pub per_second: f64,
    /// Whose job it is; each becomes a framework.
    pub owner: usize,
    /// How many tasks; one without.
    pub tasks: Option<usize>,
    /// CPUs of a task.
    pub cpus: usize,
    /// Units of them in a CPU.
    pub per_cpu: f64,
    /// Memory of a task.
    pub mem: usize,
    /// Megabytes in a unit of it.
    pub mb: f64,
}

impl Columns {
    /// `batch_task` of the Alibaba cluster trace of 2018: task, instances, job, type, status, start,
    /// end, CPUs in hundredths, memory in hundredths of a machine, which is taken for 96 GB. The type
    /// becomes the framework.
    pub const ALIBABA_2018: Self = Self {
        start: 5,
        end: 6,
        per_second: 1.0,
        owner: 3,
        tasks: Some(1),
        cpus: 7,
        per_cpu: 100.0,
        mem: 8,
        mb: 983.04,
    };

    /// Reads `start=5,end=6,per_second=1,owner=3,tasks=1,cpus=7,per_cpu=100,mem=8,mb=983`; what is
    /// not named is as in [`Columns::ALIBABA_2018`]. None when a part makes no sense.
    pub fn parse(text: &str) -> Option<Self> {
        let mut columns = Self::ALIBABA_2018;
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            let factor = || value.parse::<f64>().ok().filter(|factor| *factor > 0.0);
            match name {
                "start" => columns.start = value.parse().ok()?,
                "end" => columns.end = value.parse().ok()?,
                "owner" => columns.owner = value.parse().ok()?,
                "tasks" => columns.tasks = value.parse().ok(),
                "cpus" => columns.cpus = value.parse().ok()?,
                "mem" => columns.mem = value.parse().ok()?,
                "per_second" => columns.per_second = factor()?,
                "per_cpu" => columns.per_cpu = factor()?,
                "mb" => columns.mb = factor()?,
                _ => return None,
            }
        }
        Some(columns)
    }
}

/// The jobs of a table, with their owners as frameworks and `slaves` equal slaves. The earliest start
/// is time 0. Lines without a start, an end after it, CPUs and memory are left out, as are headers;
/// how many there were is told.
///
/// # Errors
/// When a job cannot be told in our form.
pub fn convert(
    table: &str,
    columns: &Columns,
    slaves: u32,
    total: &Resources,
) -> Result<(Trace, usize), TraceError> {
    let mut jobs = Vec::new();
    let mut left_out = 0;
    for (number, line) in table.lines().enumerate() {
        match row(line, columns) {
            Some(row) => jobs.push((number, row)),
            None => left_out += usize::from(!line.trim().is_empty()),
        }
    }
    let first = jobs.iter().map(|(_, row)| row.start).fold(f64::INFINITY, f64::min);
    let start = |name: &str, what| Event { at: Duration::ZERO, name: name.to_owned(), what };
    let mut events = vec![start("slave", What::Slaves { count: slaves, total: total.clone() })];
    let owners: BTreeSet<&String> = jobs.iter().map(|(_, row)| &row.owner).collect();
    for owner in owners {
        events.push(start(owner, What::Framework { role: owner.clone(), weight: 1.0 }));
    }
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for (number, row) in &jobs {
        let count = counts.entry(row.owner.clone()).or_insert(0);
        *count += 1;
        let bad = |problem: String| TraceError { line: number + 1, problem };
        let needs = format!("cpus:{:.3};mem:{:.0}", row.cpus, row.mem.ceil());
        events.push(Event {
            at: Duration::try_from_secs_f64(row.start - first).map_err(|e| bad(e.to_string()))?,
            name: format!("{}-{count}", row.owner),
            what: What::Job {
                framework: row.owner.clone(),
                tasks: row.tasks,
                needs: needs
                    .parse()
                    .map_err(|e: protos::resources::ResourceError| bad(e.to_string()))?,
                length: Duration::try_from_secs_f64(row.length).map_err(|e| bad(e.to_string()))?,
            },
        });
    }
    events.sort_by_key(|event| event.at);
    Ok((Trace { events }, left_out))
}

struct Row {
    start: f64,
    length: f64,
    owner: String,
    tasks: u32,
    cpus: f64,
    mem: f64,
}

fn row(line: &str, columns: &Columns) -> Option<Row> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let number = |column: usize| fields.get(column)?.parse::<f64>().ok().filter(|n| n.is_finite());
    let start = number(columns.start)? / columns.per_second;
    let length = number(columns.end)? / columns.per_second - start;
    let owner = fields.get(columns.owner).filter(|owner| !owner.is_empty())?;
    let cpus = number(columns.cpus)? / columns.per_cpu;
    let mem = number(columns.mem)? * columns.mb;
    let tasks = columns.tasks.map_or(Some(1), |column| fields.get(column)?.parse().ok())?;
    let sane = length > 0.0 && cpus > 0.0 && mem > 0.0 && tasks > 0;
    sane.then(|| Row { start, length, owner: format!("type{owner}"), tasks, cpus, mem })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "M1,2,j_1,1,Terminated,100,160,50,0.5\n\
        R2_1,1,j_1,1,Terminated,160,170,100,1\n\
        task_x,3,j_2,12,Failed,,,100,0.5\n\
        M1,4,j_3,12,Terminated,90,91.5,200,0.25\n";

    #[test]
    fn table_becomes_a_trace_that_starts_at_zero() {
        let total: Resources = "cpus:96;mem:98304".parse().unwrap();
        let (trace, left_out) = convert(TABLE, &Columns::ALIBABA_2018, 3, &total).unwrap();
        assert_eq!(left_out, 1);
        let expected = "time,event,name,owner,count,resources,length\n\
            0,slave,slave,,3,cpus:96;mem:98304,\n\
            0,framework,type1,type1,1,,\n\
            0,framework,type12,type12,1,,\n\
            0,job,type12-1,type12,4,cpus:2;mem:246,1.5\n\
            10,job,type1-1,type1,2,cpus:0.5;mem:492,60\n\
            70,job,type1-2,type1,1,cpus:1;mem:984,10\n";
        assert_eq!(trace.to_csv(), expected);
        assert_eq!(trace.to_csv().parse::<Trace>().unwrap(), trace);
    }

    #[test]
    fn columns_are_read_by_name() {
        let columns = Columns::parse("start=0,per_second=1000000,tasks=none,mb=1").unwrap();
        assert_eq!((columns.start, columns.tasks, columns.mb), (0, None, 1.0));
        assert_eq!(Columns::parse(""), Some(Columns::ALIBABA_2018));
        for bad in ["start", "start=x", "mb=0", "colour=1"] {
            assert_eq!(Columns::parse(bad), None, "{bad}");
        }
    }
}
