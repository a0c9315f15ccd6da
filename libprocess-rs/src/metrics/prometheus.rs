//! Snapshots in the text form that Prometheus reads.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::gather::{Form, Kind};
use super::series::Statistics;

/// The content type of the form.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One sample a line. Characters that names may not have become `_`; names that are equal then get
/// a number. A window is a summary `<name>_window` with quantiles and count, and gauges for its ends.
#[derive(Default)]
pub(crate) struct Prometheus {
    text: String,
    /// Where in the text gauges go, with the names they have there.
    places: Vec<(usize, String)>,
    taken: BTreeSet<String>,
}

impl Prometheus {
    /// A free name made from `name`.
    fn free(&mut self, name: &str) -> String {
        let mut wanted: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == ':' { c } else { '_' })
            .collect();
        if !wanted.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            wanted.insert(0, '_');
        }
        let mut free = wanted.clone();
        let mut number = 2;
        while !self.taken.insert(free.clone()) {
            free = format!("{wanted}_{number}");
            number += 1;
        }
        free
    }
}

impl Form for Prometheus {
    type Output = String;

    fn value(&mut self, name: &str, kind: Kind, value: f64) {
        let name = self.free(name);
        sample(&mut self.text, &name, kind, value);
    }

    fn statistics(&mut self, name: &str, s: &Statistics) {
        for (end, value) in [("min", s.min), ("max", s.max)] {
            self.value(&format!("{name}_window_{end}"), Kind::Gauge, value);
        }
        let name = self.free(&format!("{name}_window"));
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# TYPE {name} summary");
        let quantiles = [
            ("0.5", s.p50),
            ("0.9", s.p90),
            ("0.95", s.p95),
            ("0.99", s.p99),
            ("0.999", s.p999),
            ("0.9999", s.p9999),
        ];
        for (quantile, value) in quantiles {
            let _ = write!(self.text, "{name}{{quantile=\"{quantile}\"}} ");
            number(&mut self.text, value);
        }
        let _ = writeln!(self.text, "{name}_count {}", s.count);
    }

    fn place(&mut self, name: &str) {
        let name = self.free(name);
        self.places.push((self.text.len(), name));
    }

    fn finish(self, places: Vec<Option<f64>>) -> String {
        let mut page = String::with_capacity(self.text.len() + 80 * places.len());
        let mut copied = 0;
        for ((at, name), value) in self.places.iter().zip(places) {
            page.push_str(&self.text[copied..*at]);
            copied = *at;
            if let Some(value) = value {
                sample(&mut page, name, Kind::Gauge, value);
            }
        }
        page.push_str(&self.text[copied..]);
        page
    }
}

fn sample(text: &mut String, name: &str, kind: Kind, value: f64) {
    let kind = if kind == Kind::Counter { "counter" } else { "gauge" };
    // Writing to a string cannot fail.
    let _ = write!(text, "# TYPE {name} {kind}\n{name} ");
    number(text, value);
}

fn number(text: &mut String, value: f64) {
    let written = if value.is_infinite() {
        writeln!(text, "{}Inf", if value > 0.0 { '+' } else { '-' })
    } else {
        writeln!(text, "{value}")
    };
    // Writing to a string cannot fail.
    let _ = written;
}
