//! How a replica that does not vote comes to vote: as part of a new ensemble, or by learning what
//! it missed.

use std::time::Duration;

use libprocess::{Ctx, Handle, Process, Routes};
use protos::mesos::internal::log::metadata::Status;
use protos::mesos::internal::log::{PromiseRequest, RecoverRequest};

use super::call::{Limits, call};
use super::filler::Ensemble;
use super::replica::Replica;
use super::tally::{FloorTally, RecoverTally, Step};
use super::{LogConfig, LogError, SILENCE};

/// A round of questions is given up after this.
const ROUND: Duration = Duration::from_secs(10);
/// Questions that are not answered are sent again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// Rounds follow each other after this, and at most as much again.
const PAUSE: Duration = Duration::from_millis(500);

/// Brings one replica back, and ends.
pub(super) struct Recovery {
    config: LogConfig,
    replica: Handle<Replica>,
}

impl Process for Recovery {
    fn routes(_: &mut Routes<Self>) {}

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        let (node, config) = (cx.node().clone(), self.config.clone());
        let ensemble = Ensemble { node, config, replica: self.replica.clone() };
        cx.defer(recover(ensemble), |_, (), cx| cx.stop());
    }
}

impl Recovery {
    pub(super) fn new(config: LogConfig, replica: Handle<Replica>) -> Self {
        Self { config, replica }
    }
}

async fn recover(ensemble: Ensemble) {
    let silent_until = ensemble.node.now() + SILENCE;
    loop {
        match round(&ensemble, silent_until).await {
            Ok(Round::Voting) => return,
            Ok(Round::Further) => continue,
            Ok(Round::Nothing) => {}
            // The replica opens its store again by itself.
            Err(error) => slog::warn!(ensemble.node.log(), "cannot recover the log: {error}"),
        }
        ensemble.node.sleep(PAUSE + ensemble.draw(PAUSE)).await;
    }
}

/// What a round has brought.
enum Round {
    /// The replica votes.
    Voting,
    /// Another status, from which the next round goes on at once.
    Further,
    /// Too few answers.
    Nothing,
}

async fn round(ensemble: &Ensemble, silent_until: libprocess::Time) -> Result<Round, LogError> {
    let Ensemble { node, config, replica } = ensemble;
    let own = Replica::status_of(replica).await?.status;
    if own == Status::Voting {
        return Ok(Round::Voting);
    }
    let started = node.now();
    let (quorum, auto_initialize) = (config.quorum, config.auto_initialize);
    let tally = RecoverTally { quorum, auto_initialize, own, answers: Default::default() };
    let limits = Limits { total: ROUND, again: Some(AGAIN) };
    let network = (&config.network, quorum);
    match call(node, network, RecoverRequest::default(), tally, limits).await {
        None => {}
        Some(Step::Start) => {
            Replica::enter(replica, Status::Starting, 0).await?;
            return Ok(Round::Further);
        }
        Some(Step::Vote) => {
            Replica::enter(replica, Status::Voting, 0).await?;
            return Ok(Round::Voting);
        }
        // What this replica said before it lost its disk may still count somewhere. One that has
        // only just started to be part of a new ensemble never said a thing.
        Some(Step::CatchUp { .. }) if own != Status::Starting && started < silent_until => {}
        Some(Step::CatchUp { begin, end }) => {
            Replica::enter(replica, Status::Recovering, 0).await?;
            return match catch_up(ensemble, begin, end).await? {
                true => Ok(Round::Voting),
                false => Ok(Round::Nothing),
            };
        }
    }
    Ok(Round::Nothing)
}

/// True once the replica votes.
async fn catch_up(ensemble: &Ensemble, begin: u64, end: u64) -> Result<bool, LogError> {
    let Ensemble { node, config, replica } = ensemble;
    // Nobody promises anything to proposal 0, but all tell whom they follow. Among a quorum of
    // others is one that follows whoever this replica followed before it lost its disk.
    let floor = PromiseRequest { proposal: 0, position: None };
    let tally = FloorTally::new(config.quorum);
    let limits = Limits { total: ROUND, again: Some(AGAIN) };
    let Some(floor) = call(node, (&config.network, config.quorum), floor, tally, limits).await
    else {
        return Ok(false);
    };
    slog::info!(node.log(), "log catches up"; "begin" => begin, "end" => end, "promised" => floor);
    ensemble.fill(begin, end, floor, None).await?;
    Replica::enter(replica, Status::Voting, floor).await?;
    Ok(true)
}
