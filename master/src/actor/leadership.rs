//! Who leads: this master alone, or the one that masters elect.

use libprocess::Ctx;
use protos::mesos::MasterInfo;

use crate::Master;

impl Master {
    /// This master as it enters an election.
    pub fn info(&self) -> &MasterInfo {
        &self.state.info
    }

    /// The detector found another leader, or none. A master that is elected recovers the registry; one
    /// that led and does so no more ends: it must not act on what it knew.
    pub fn leader_changed(&mut self, leader: Option<MasterInfo>, cx: &mut Ctx<Self>) {
        let own = |leader: &Option<MasterInfo>| {
            leader.as_ref().is_some_and(|leader| leader.id == self.state.info.id)
        };
        let (led, leads) = (own(&self.state.leader), own(&leader));
        let name = leader.as_ref().and_then(|leader| leader.pid.clone()).unwrap_or_default();
        slog::info!(cx.log(), "leader changed"; "leader" => name);
        self.state.leader = leader;
        self.views.stale();
        match (led, leads) {
            (false, true) => self.recover(cx),
            (true, false) => self.give_up("it leads no more", cx),
            _ => {}
        }
    }
}
