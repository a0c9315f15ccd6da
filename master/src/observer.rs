//! Pings one slave and tells the master when it stays silent.

use std::time::Duration;

use libprocess::{Ctx, Handle, Pid, Process, Routes};
use protos::ids::SlaveId;
use protos::mesos::internal::{PingSlaveMessage, PongSlaveMessage};

use crate::Master;

/// The process `slave-observer(N)`.
pub struct SlaveObserver {
    slave: SlaveId,
    pid: Pid,
    master: Handle<Master>,
    timeout: Duration,
    max_timeouts: u32,
    /// What pings tell the slave: whether the master takes it for connected.
    connected: bool,
    ponged: bool,
    missed: u32,
    /// The master was told that the slave is silent; a pong takes that back.
    called_silent: bool,
}

impl Process for SlaveObserver {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::pong);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.ping(cx);
    }
}

impl SlaveObserver {
    /// An observer that has yet to be spawned.
    pub fn new(
        slave: SlaveId,
        pid: Pid,
        master: Handle<Master>,
        timeout: Duration,
        max_timeouts: u32,
    ) -> Self {
        Self {
            slave,
            pid,
            master,
            timeout,
            max_timeouts,
            connected: true,
            ponged: false,
            missed: 0,
            called_silent: false,
        }
    }

    /// The slave is connected or not, and may have moved.
    pub fn set_connected(&mut self, connected: bool, pid: Pid) {
        (self.connected, self.pid) = (connected, pid);
    }

    fn ping(&mut self, cx: &mut Ctx<Self>) {
        self.ponged = false;
        cx.send(&self.pid, &PingSlaveMessage { connected: self.connected });
        cx.after(self.timeout, Self::waited);
    }

    fn pong(&mut self, _: PongSlaveMessage, _: &mut Ctx<Self>) {
        self.ponged = true;
        self.missed = 0;
        if std::mem::take(&mut self.called_silent) {
            let slave = self.slave.clone();
            self.master.tell(move |master, cx| master.slave_spoke(&slave, cx));
        }
    }

    fn waited(&mut self, cx: &mut Ctx<Self>) {
        if !self.ponged {
            self.missed += 1;
        }
        if self.missed >= self.max_timeouts {
            self.missed = 0;
            self.called_silent = true;
            let slave = self.slave.clone();
            self.master.tell(move |master, cx| master.slave_silent(&slave, cx));
        }
        self.ping(cx);
    }
}
