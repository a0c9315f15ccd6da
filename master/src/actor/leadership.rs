//! Who leads: this master alone, or the one that masters elect.

use coordination::Leader;
use coordination::group::GroupError;
use libprocess::Ctx;
use protos::mesos::MasterInfo;

use crate::{Election, Master};

impl Master {
    /// This master as it enters an election.
    pub fn info(&self) -> &MasterInfo {
        &self.state.info
    }

    /// Enters the election; a follower that drops out of it enters again.
    pub(super) fn contend(&mut self, cx: &mut Ctx<Self>) {
        let Some(election) = &self.state.config.election else { return };
        let contending = election.contender.contend(&self.state.info);
        cx.defer(contending, |master, candidacy, cx| match candidacy {
            Ok(candidacy) => {
                cx.defer(candidacy.lost(), |master, (), cx| master.candidacy_lost(cx));
                master.candidacy = Some(candidacy);
            }
            Err(error @ (GroupError::Refused { .. } | GroupError::Ended)) => {
                master.give_up(&format!("it cannot contend: {error}"), cx);
            }
        });
    }

    fn candidacy_lost(&mut self, cx: &mut Ctx<Self>) {
        if self.leads() {
            return self.give_up("its candidacy has ended while it led", cx);
        }
        slog::warn!(cx.log(), "candidacy lost: contending again");
        self.candidacy = None;
        self.contend(cx);
    }

    /// Follows who leads from now on.
    pub(super) fn detect(
        &mut self,
        election: &Election,
        known: Option<Leader>,
        cx: &mut Ctx<Self>,
    ) {
        let (detecting, election) = (election.detector.detect(known), election.clone());
        cx.defer(detecting, move |master: &mut Self, leader: Option<Leader>, cx| {
            // A leader of whom only the PID is known is somebody else.
            let info = leader.as_ref().map(|leader| {
                leader.info.clone().unwrap_or_else(|| MasterInfo {
                    pid: Some(leader.pid.to_string()),
                    hostname: Some(leader.pid.address().ip().to_string()),
                    port: leader.pid.address().port().into(),
                    ..MasterInfo::default()
                })
            });
            master.leader_changed(info, cx);
            master.detect(&election, leader, cx);
        });
    }

    fn leads(&self) -> bool {
        self.state.leader.as_ref().is_some_and(|leader| leader.id == self.state.info.id)
    }

    /// False when others may have elected somebody else already, for all that the clock says: a
    /// leader that was stopped for a while ends before it acts, whatever waits in its mailbox.
    pub(super) fn may_act(&mut self, cx: &mut Ctx<Self>) -> bool {
        if self.over {
            return false;
        }
        let fenced = self.leads()
            && self.candidacy.as_ref().is_some_and(|candidacy| !candidacy.holds(cx.now()));
        if fenced {
            self.give_up("it may lead no more: its session was not renewed in time", cx);
        }
        !fenced
    }

    /// The detector found another leader, or none. A master that is elected recovers the registry; one
    /// that led and does so no more ends: it must not act on what it knew. So does one that is in another
    /// region than the leader.
    pub fn leader_changed(&mut self, leader: Option<MasterInfo>, cx: &mut Ctx<Self>) {
        let (led, id) = (self.leads(), &self.state.info.id);
        let leads = leader.as_ref().is_some_and(|leader| leader.id == *id);
        let name = leader.as_ref().and_then(|leader| leader.pid.clone()).unwrap_or_default();
        slog::info!(cx.log(), "leader changed"; "leader" => name, "leads" => leads);
        let theirs = leader.as_ref().and_then(region).map(str::to_owned);
        self.state.leader = leader;
        self.views.stale();
        match (led, leads) {
            (false, true) => self.recover(cx),
            (true, false) => self.give_up("it leads no more", cx),
            _ => {
                if let (Some(own), Some(theirs)) = (region(&self.state.info), theirs)
                    && own != theirs
                {
                    let why = format!("its region is {own}, the leading master's is {theirs}");
                    self.give_up(&why, cx);
                }
            }
        }
    }
}

/// The region that a master says it is in.
fn region(info: &MasterInfo) -> Option<&str> {
    Some(info.domain.as_ref()?.fault_domain.as_ref()?.region.name.as_str())
}
