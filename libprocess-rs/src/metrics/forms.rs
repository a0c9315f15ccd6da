//! Snapshots as a map and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::gather::{Form, Kind};
use super::series::Statistics;

/// Values by name.
#[derive(Default)]
pub(super) struct Map {
    values: BTreeMap<String, f64>,
    places: Vec<String>,
}

impl Form for Map {
    type Output = BTreeMap<String, f64>;

    fn value(&mut self, name: &str, _: Kind, value: f64) {
        self.values.insert(name.to_owned(), value);
    }

    fn statistics(&mut self, name: &str, statistics: &Statistics) {
        for (part, value) in statistics.named() {
            self.values.insert(format!("{name}/{part}"), value);
        }
    }

    fn place(&mut self, name: &str) {
        self.places.push(name.to_owned());
    }

    fn finish(mut self, places: Vec<Option<f64>>) -> Self::Output {
        let asked = self.places.into_iter().zip(places);
        self.values.extend(asked.filter_map(|(name, value)| Some((name, value?))));
        self.values
    }
}

/// A flat JSON object of doubles, sorted by name, written straight into its text. What is no number
/// is left out.
#[derive(Default)]
pub(crate) struct Json {
    text: String,
    /// Where in the text gauges go, with their names.
    places: Vec<(usize, String)>,
    /// Statistics whose turn in the order has not come.
    later: BTreeMap<String, f64>,
}

impl Json {
    /// Writes the statistics that come before `name` in the order.
    fn catch_up(&mut self, name: Option<&str>) {
        while let Some(entry) = self.later.first_entry()
            && name.is_none_or(|name| entry.key().as_str() < name)
        {
            let (earlier, value) = entry.remove_entry();
            member(&mut self.text, &earlier, value);
        }
    }
}

impl Form for Json {
    type Output = String;

    fn expect(&mut self, metrics: usize) {
        self.text.reserve(metrics.saturating_mul(40));
    }

    fn value(&mut self, name: &str, _: Kind, value: f64) {
        self.catch_up(Some(name));
        member(&mut self.text, name, value);
    }

    fn statistics(&mut self, name: &str, statistics: &Statistics) {
        let parts = statistics.named();
        self.later.extend(parts.map(|(part, value)| (format!("{name}/{part}"), value)));
    }

    fn place(&mut self, name: &str) {
        self.catch_up(Some(name));
        self.places.push((self.text.len(), name.to_owned()));
    }

    fn finish(mut self, places: Vec<Option<f64>>) -> String {
        self.catch_up(None);
        let mut object = String::with_capacity(self.text.len() + 40 * places.len() + 2);
        object.push('{');
        let mut copied = 0;
        for ((at, name), value) in self.places.iter().zip(places) {
            object.push_str(&self.text[copied..*at]);
            copied = *at;
            if let Some(value) = value {
                member(&mut object, name, value);
            }
        }
        object.push_str(&self.text[copied..]);
        if object.ends_with(',') {
            object.pop();
        }
        object.push('}');
        object
    }
}

/// Writes `"name":value,`.
fn member(text: &mut String, name: &str, value: f64) {
    /// Below this, integers are written in full.
    const FULL: f64 = 1e15;

    if !value.is_finite() {
        return;
    }
    let plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if name.bytes().all(plain) {
        text.push('"');
        text.push_str(name);
        text.push('"');
    } else {
        text.push_str(&serde_json::Value::from(name).to_string());
    }
    text.push(':');
    if value.fract() == 0.0 && value.abs() < FULL {
        integer(text, value);
        text.push_str(".0,");
    } else {
        // Writing to a string cannot fail.
        let _ = write!(text, "{},", serde_json::Value::from(value));
    }
}

/// Writes a whole number: most of a snapshot is, and formatting would take half of its time.
fn integer(text: &mut String, value: f64) {
    let mut digits = [b'0'; 20];
    let (mut at, mut rest) = (digits.len(), value.abs() as u64);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0.0 {
        text.push('-');
    }
    text.extend(digits[at..].iter().map(|digit| char::from(*digit)));
}
