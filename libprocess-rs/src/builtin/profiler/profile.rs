//! Sampled stacks as text and in pprof's format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use crate::Time;

/// One function in a stack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Frame {
    pub(super) function: String,
    pub(super) file: String,
    pub(super) line: i64,
}

/// A stack, innermost frame first, and how often it was seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stack {
    pub(super) thread: String,
    pub(super) frames: Vec<Frame>,
    pub(super) samples: i64,
}

/// A line for each stack: thread and functions from the outermost in, and the number of samples.
pub(super) fn folded(stacks: &[Stack]) -> String {
    let mut lines: BTreeMap<String, i64> = BTreeMap::new();
    for stack in stacks {
        let mut line = stack.thread.replace([';', ' '], "_");
        for frame in stack.frames.iter().rev() {
            line.push(';');
            line.push_str(&frame.function.replace(';', ":"));
        }
        *lines.entry(line).or_default() += stack.samples;
    }
    let mut text = String::new();
    for (line, samples) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line} {samples}");
    }
    text
}

/// A compressed `profile.proto` of samples and the processor time they stand for.
pub(super) fn pprof(stacks: &[Stack], started: Time, took: Duration, frequency: u16) -> Vec<u8> {
    let nanos = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    let period = 1_000_000_000 / i64::from(frequency.max(1));
    let mut tables = Tables::default();
    tables.text("");
    let mut profile = Profile {
        sample_type: vec![
            ValueType { r#type: tables.text("samples"), unit: tables.text("count") },
            ValueType { r#type: tables.text("cpu"), unit: tables.text("nanoseconds") },
        ],
        time_nanos: i64::try_from(started.as_nanos()).unwrap_or(i64::MAX),
        duration_nanos: nanos(took),
        period_type: Some(ValueType {
            r#type: tables.text("cpu"),
            unit: tables.text("nanoseconds"),
        }),
        period,
        ..Profile::default()
    };
    let thread = tables.text("thread");
    for stack in stacks {
        profile.sample.push(Sample {
            location_id: stack.frames.iter().map(|frame| tables.location(frame)).collect(),
            value: vec![stack.samples, stack.samples.saturating_mul(period)],
            label: vec![Label { key: thread, str: tables.text(&stack.thread) }],
        });
    }
    profile.location = tables.locations;
    profile.function = tables.functions;
    profile.string_table = tables.texts;
    compressed(&profile.encode_to_vec())
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to a vector cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// What samples refer to, each thing once.
#[derive(Default)]
struct Tables {
    texts: Vec<String>,
    text_index: BTreeMap<String, i64>,
    functions: Vec<Function>,
    function_index: BTreeMap<(i64, i64), u64>,
    locations: Vec<Location>,
    location_index: BTreeMap<(u64, i64), u64>,
}

impl Tables {
    fn text(&mut self, text: &str) -> i64 {
        if let Some(index) = self.text_index.get(text) {
            return *index;
        }
        let index = i64::try_from(self.texts.len()).unwrap_or_default();
        self.texts.push(text.to_owned());
        self.text_index.insert(text.to_owned(), index);
        index
    }

    /// Functions and locations count from one.
    fn function(&mut self, frame: &Frame) -> u64 {
        let (name, filename) = (self.text(&frame.function), self.text(&frame.file));
        let next = self.functions.len() as u64 + 1;
        let id = *self.function_index.entry((name, filename)).or_insert(next);
        if id == next {
            self.functions.push(Function { id, name, system_name: name, filename });
        }
        id
    }

    fn location(&mut self, frame: &Frame) -> u64 {
        let function_id = self.function(frame);
        let next = self.locations.len() as u64 + 1;
        let id = *self.location_index.entry((function_id, frame.line)).or_insert(next);
        if id == next {
            let line = vec![Line { function_id, line: frame.line }];
            self.locations.push(Location { id, line });
        }
        id
    }
}

#[derive(Clone, PartialEq, Message)]
struct Profile {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    r#type: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<Label>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    str: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn frame(function: &str, line: i64) -> Frame {
        Frame { function: function.to_owned(), file: "a.rs".to_owned(), line }
    }

    fn stack(thread: &str, frames: Vec<Frame>, samples: i64) -> Stack {
        Stack { thread: thread.to_owned(), frames, samples }
    }

    #[test]
    fn folded_stacks_run_from_the_outermost_function_in() {
        let stacks = [
            stack("main", vec![frame("inner", 1), frame("outer", 2)], 3),
            stack("main", vec![frame("inner", 7), frame("outer", 2)], 4),
            stack("the disk", vec![frame("f;g", 1)], 1),
        ];
        assert_eq!(folded(&stacks), "main;outer;inner 7\nthe_disk;f:g 1\n");
    }

    #[test]
    fn pprof_refers_to_each_function_and_place_once() {
        let stacks = [
            stack("main", vec![frame("inner", 1), frame("outer", 2)], 3),
            stack("main", vec![frame("inner", 9), frame("outer", 2)], 4),
        ];
        let bytes = pprof(&stacks, Time::from_nanos(5), Duration::from_secs(1), 100);
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
        let profile = Profile::decode(plain.as_slice()).unwrap();
        assert_eq!((profile.function.len(), profile.location.len()), (2, 3));
        assert_eq!(profile.string_table[0], "");
        assert_eq!(profile.sample[0].value, [3, 30_000_000]);
        let name = |sample: &Sample, depth: usize| {
            let location = &profile.location[sample.location_id[depth] as usize - 1];
            let function = &profile.function[location.line[0].function_id as usize - 1];
            profile.string_table[function.name as usize].clone()
        };
        assert_eq!(name(&profile.sample[1], 0), "inner");
        assert_eq!(name(&profile.sample[1], 1), "outer");
        assert_eq!((profile.time_nanos, profile.duration_nanos), (5, 1_000_000_000));
    }
}
