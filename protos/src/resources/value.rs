//! Amounts: fixed-point scalars, coalesced ranges, sets.

use std::collections::BTreeSet;

use crate::mesos::value::{Range, Ranges, Scalar, Set, Type};

/// Scalars are kept in thousandths, as the original's fixed-point arithmetic has it.
pub(crate) fn to_fixed(value: f64) -> i64 {
    (value * 1000.0).round() as i64
}

pub(crate) fn from_fixed(fixed: i64) -> f64 {
    fixed as f64 / 1000.0
}

/// How much of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Amount {
    Scalar(i64),
    /// Sorted, disjoint, not adjacent; both ends included.
    Ranges(Vec<(u64, u64)>),
    Set(BTreeSet<String>),
}

impl Amount {
    pub(crate) fn kind(&self) -> Type {
        match self {
            Amount::Scalar(_) => Type::Scalar,
            Amount::Ranges(_) => Type::Ranges,
            Amount::Set(_) => Type::Set,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Amount::Scalar(value) => *value <= 0,
            Amount::Ranges(ranges) => ranges.is_empty(),
            Amount::Set(items) => items.is_empty(),
        }
    }

    /// Adds what is of the same kind; anything else is left alone.
    pub(crate) fn add(&mut self, other: &Amount) {
        match (self, other) {
            (Amount::Scalar(a), Amount::Scalar(b)) => *a = a.saturating_add(*b),
            (Amount::Ranges(a), Amount::Ranges(b)) => {
                a.extend(b);
                *a = coalesce(std::mem::take(a));
            }
            (Amount::Set(a), Amount::Set(b)) => a.extend(b.iter().cloned()),
            _ => {}
        }
    }

    /// Takes `other` away where it is there; a scalar stops at zero.
    pub(crate) fn subtract(&mut self, other: &Amount) {
        match (self, other) {
            (Amount::Scalar(a), Amount::Scalar(b)) => *a = (*a - b).max(0),
            (Amount::Ranges(a), Amount::Ranges(b)) => {
                *a = b.iter().fold(std::mem::take(a), |left, taken| cut(&left, *taken));
            }
            (Amount::Set(a), Amount::Set(b)) => a.retain(|item| !b.contains(item)),
            _ => {}
        }
    }

    pub(crate) fn contains(&self, other: &Amount) -> bool {
        match (self, other) {
            (Amount::Scalar(a), Amount::Scalar(b)) => a >= b,
            (Amount::Ranges(a), Amount::Ranges(b)) => {
                b.iter().all(|(from, to)| a.iter().any(|(low, high)| low <= from && to <= high))
            }
            (Amount::Set(a), Amount::Set(b)) => a.is_superset(b),
            _ => false,
        }
    }

    /// The part of `self` that is also in `wanted`.
    pub(crate) fn common(&self, wanted: &Amount) -> Amount {
        match (self, wanted) {
            (Amount::Scalar(a), Amount::Scalar(b)) => Amount::Scalar(*a.min(b)),
            (Amount::Set(a), Amount::Set(b)) => Amount::Set(a.intersection(b).cloned().collect()),
            _ => {
                let (mut rest, mut common) = (self.clone(), self.clone());
                rest.subtract(wanted);
                common.subtract(&rest);
                common
            }
        }
    }
}

/// Sorts and joins ranges that overlap or touch.
pub(crate) fn coalesce(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (from, to) in ranges {
        match joined.last_mut() {
            Some((_, end)) if from <= end.saturating_add(1) => *end = to.max(*end),
            _ => joined.push((from, to)),
        }
    }
    joined
}

fn cut(ranges: &[(u64, u64)], (from, to): (u64, u64)) -> Vec<(u64, u64)> {
    let mut left = Vec::with_capacity(ranges.len() + 1);
    for &(low, high) in ranges {
        if to < low || high < from {
            left.push((low, high));
            continue;
        }
        if low < from {
            left.push((low, from - 1));
        }
        if to < high {
            left.push((to + 1, high));
        }
    }
    left
}

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Neither number, range nor set.
    #[error("expected a number, [ranges] or {{a set}}")]
    Text,
    /// A number out of range.
    #[error("'{0}' is not a number from 0 on")]
    Number(String),
    /// A malformed range.
    #[error("'{0}' is no range like [1-2,4-5]")]
    Range(String),
    /// A malformed set.
    #[error("'{0}' is no set like {{a,b}}")]
    Set(String),
}

/// Reads an amount's text into the wire's parts: type, scalar, ranges, set.
#[allow(clippy::type_complexity)]
pub(crate) fn parse_amount(
    text: &str,
) -> Result<(Type, Option<Scalar>, Option<Ranges>, Option<Set>), AmountError> {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('[') {
        let bad = || AmountError::Range(text.to_owned());
        let inner = inner.strip_suffix(']').ok_or_else(bad)?;
        let mut ranges = Vec::new();
        for item in inner.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (from, to) = item.split_once('-').ok_or_else(bad)?;
            let begin = from.trim().parse().map_err(|_| bad())?;
            let end = to.trim().parse().map_err(|_| bad())?;
            if begin > end {
                return Err(bad());
            }
            ranges.push((begin, end));
        }
        let range = coalesce(ranges).into_iter().map(|(begin, end)| Range { begin, end }).collect();
        return Ok((Type::Ranges, None, Some(Ranges { range }), None));
    }
    if let Some(inner) = text.strip_prefix('{') {
        let inner = inner.strip_suffix('}').ok_or_else(|| AmountError::Set(text.to_owned()))?;
        let items: BTreeSet<String> =
            inner.split(',').map(str::trim).filter(|i| !i.is_empty()).map(str::to_owned).collect();
        return Ok((Type::Set, None, None, Some(Set { item: items.into_iter().collect() })));
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return Err(AmountError::Text);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => {
            Ok((Type::Scalar, Some(Scalar { value }), None, None))
        }
        Ok(_) => Err(AmountError::Number(text.to_owned())),
        Err(_) => Err(AmountError::Text),
    }
}

/// The text of ranges or a set with items joined by `separator`.
pub(crate) fn print_amount(ranges: Option<&Ranges>, set: Option<&Set>, separator: &str) -> String {
    if let Some(ranges) = ranges {
        let items: Vec<_> =
            ranges.range.iter().map(|range| format!("{}-{}", range.begin, range.end)).collect();
        return format!("[{}]", items.join(separator));
    }
    let items = set.map(|set| set.item.as_slice()).unwrap_or_default();
    format!("{{{}}}", items.join(separator))
}
