//! What an offer must have at least.

use std::fmt;
use std::str::FromStr;

use protos::mesos::OfferFilters;

use crate::amounts::{Amounts, Names, Quantities};

/// Least amounts of an offer: of one of the alternatives, everything must be there. Without
/// alternatives anything may be offered (flag `min_allocatable_resources`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minimum(pub Vec<Quantities>);

impl Default for Minimum {
    /// `cpus:0.01|mem:32`.
    fn default() -> Self {
        let one = |name: &str, amount| Quantities::from([(name.to_owned(), amount)]);
        Self(vec![one("cpus", 10), one("mem", 32_000)])
    }
}

/// A text is no list of least amounts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not name:amount, joined by ';' to alternatives and by '|' between them")]
pub struct MinimumError(pub String);

impl FromStr for Minimum {
    type Err = MinimumError;

    fn from_str(text: &str) -> Result<Self, MinimumError> {
        let alternatives = text.split('|').map(str::trim).filter(|part| !part.is_empty());
        Ok(Self(alternatives.map(alternative).collect::<Result<_, _>>()?))
    }
}

fn alternative(text: &str) -> Result<Quantities, MinimumError> {
    let bad = || MinimumError(text.to_owned());
    let amount = |part: &str| {
        let (name, amount) = part.split_once(':')?;
        let amount = amount.trim().parse::<f64>().ok().filter(|a| (0.0..1e12).contains(a))?;
        Some((name.trim().to_owned(), (amount * 1000.0).round() as i64))
    };
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| amount(part).ok_or_else(bad)).collect()
}

impl fmt::Display for Minimum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, alternative) in self.0.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { "|" })?;
            for (number, (name, amount)) in alternative.iter().enumerate() {
                f.write_str(if number == 0 { "" } else { ";" })?;
                write!(f, "{name}:{}", *amount as f64 / 1000.0)?;
            }
        }
        Ok(())
    }
}

impl Minimum {
    /// What a framework wants of its own (`FrameworkInfo.offer_filters`); None when it does not say.
    pub fn of(filters: &OfferFilters) -> Option<Self> {
        let thousandths = |value: f64| (value.clamp(0.0, 1e12) * 1000.0).round() as i64;
        let given = filters.min_allocatable_resources.as_ref()?;
        let alternative = |wanted: &protos::mesos::offer_filters::ResourceQuantities| {
            let amounts = wanted.quantities.iter();
            amounts.map(|(name, scalar)| (name.clone(), thousandths(scalar.value))).collect()
        };
        Some(Self(given.quantities.iter().map(alternative).collect()))
    }

    pub(crate) fn is_met_by(&self, offer: &Amounts, names: &Names) -> bool {
        let amount = |name: &str| names.find(name).map_or(0, |id| offer.get(id));
        let met = |wanted: &Quantities| wanted.iter().all(|(name, least)| amount(name) >= *least);
        self.0.is_empty() || self.0.iter().any(met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimum_is_read_and_printed_alike() {
        for text in ["", "cpus:0.01|mem:32", "cpus:1;mem:64|gpus:1"] {
            assert_eq!(text.parse::<Minimum>().unwrap().to_string(), text);
        }
        assert_eq!("cpus:0.01|mem:32".parse(), Ok(Minimum::default()));
        for bad in ["cpus", "cpus:x", "cpus:-1", "cpus:1;mem", "cpus:NaN"] {
            assert!(bad.parse::<Minimum>().is_err(), "{bad}");
        }
    }

    #[test]
    fn minimum_one_alternative_must_be_there_whole() {
        let mut names = Names::default();
        let minimum: Minimum = "cpus:1;mem:64|gpus:1".parse().unwrap();
        for (offer, met) in
            [("cpus:1;mem:64", true), ("cpus:2;mem:63", false), ("gpus:1", true), ("disk:9", false)]
        {
            let amounts = names.sum(&offer.parse().unwrap(), |_| true);
            assert_eq!(minimum.is_met_by(&amounts, &names), met, "{offer}");
        }
        let nothing = names.sum(&"disk:9".parse().unwrap(), |_| true);
        assert!(Minimum(Vec::new()).is_met_by(&nothing, &names));
    }
}
