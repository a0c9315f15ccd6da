//! Proving to a master who the framework is, before it subscribes.

use std::time::Duration;

use coordination::authenticatee::{Outcome, Patience};
use libprocess::Pid;
use protos::credentials::Credential;

use super::Session;
use crate::scheduler::effects::{Effect, Event};

/// What was proved to the present master over the present connection.
#[derive(Debug, Default)]
pub(in crate::scheduler) struct Proof {
    credential: Option<Credential>,
    patience: Patience,
    stage: Stage,
    /// Attempts that failed.
    tried: u32,
    /// Counts masters and connections, so that an old attempt is recognised.
    epoch: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    UnderWay,
    Proved,
}

/// An attempt to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::scheduler) struct Attempt {
    pub(in crate::scheduler) master: Pid,
    pub(in crate::scheduler) credential: Credential,
    /// Shortest and longest time for it.
    pub(in crate::scheduler) limits: (Duration, Duration),
    /// To be given back with its outcome.
    pub(in crate::scheduler) epoch: u64,
}

impl Proof {
    pub(in crate::scheduler) fn new(credential: Option<Credential>, patience: Patience) -> Self {
        Self { credential, patience, ..Self::default() }
    }

    /// Nothing is proved to a new master, or over a new connection. True when an attempt was under
    /// way: it will not be heard of any more.
    pub(super) fn reset(&mut self) -> bool {
        self.epoch += 1;
        self.tried = 0;
        std::mem::take(&mut self.stage) == Stage::UnderWay
    }
}

impl Session {
    /// What must come before a subscription; None when nothing must.
    pub(super) fn prove(&mut self, master: &Pid) -> Option<Vec<Effect>> {
        let proof = &mut self.proof;
        let credential = proof.credential.clone()?;
        match proof.stage {
            Stage::Proved => None,
            Stage::UnderWay => Some(Vec::new()),
            Stage::Open => {
                proof.stage = Stage::UnderWay;
                let limits = proof.patience.timeouts(proof.tried);
                let (master, epoch) = (master.clone(), proof.epoch);
                let attempt = Attempt { master: master.clone(), credential, limits, epoch };
                Some(vec![Effect::Link(master), Effect::Authenticate(Box::new(attempt))])
            }
        }
    }

    /// An attempt ended.
    pub(in crate::scheduler) fn proved(&mut self, epoch: u64, outcome: Outcome) -> Vec<Effect> {
        if self.aborted || self.proof.epoch != epoch {
            return Vec::new();
        }
        match outcome {
            Outcome::Proved => {
                self.proof.stage = Stage::Proved;
                self.subscribe()
            }
            Outcome::Refused => {
                let text = "the master refused the credential of this framework".to_owned();
                let mut effects = self.abort();
                effects.insert(0, Effect::Tell(Event::Error(text)));
                effects
            }
            Outcome::Failed(reason) => {
                let proof = &mut self.proof;
                (proof.stage, proof.tried) = (Stage::Open, proof.tried + 1);
                let (min, max) = proof.patience.timeouts(proof.tried);
                let text = format!("authentication failed, trying again: {reason}");
                vec![Effect::Note(text), Effect::Retry(max.saturating_sub(min))]
            }
        }
    }
}
