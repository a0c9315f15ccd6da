//! The process of a replica: answers go out once all that was decided before them is durable.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use futures::channel::oneshot;
use libprocess::disk::DiskError;
use libprocess::{Ctx, Pid, Process, Routes};
use prost::{Message, Name};
use protos::mesos::internal::log::action::Type;
use protos::mesos::internal::log::metadata::Status;
use protos::mesos::internal::log::{
    Action, LearnedMessage, PromiseRequest, RecoverRequest, WriteRequest,
};

use super::rules::{self, Change, Promised, Rules};
use super::store::{self, Opened, Store, Writing};
use crate::log::{LogConfig, LogError, Planted};

/// How long after a failure the store is opened again.
const REOPEN: Duration = Duration::from_secs(1);
/// How long what was learned may stay in memory only; losing it costs work, no safety.
const LAZY: Duration = Duration::from_millis(200);
/// How long after a connection broke it is made again.
const RELINK: Duration = Duration::from_secs(1);
/// Messages kept while the store is being opened.
const WAITING: usize = 10_000;

/// What happens once a batch is durable; not at all when it fails.
pub(super) type Answer = Box<dyn FnOnce(&Ctx<Replica>) + Send>;
/// An event that waits for the store.
pub(super) type Work = Box<dyn FnOnce(&mut Replica, &mut Open, &mut Ctx<Replica>) + Send>;

/// A store that can be used.
pub(super) struct Open {
    pub(super) rules: Rules,
    pub(super) store: Store,
    changes: Vec<Change>,
    pub(super) answers: Vec<Answer>,
    /// A write is under way.
    busy: bool,
    /// A timer will flush what was learned.
    armed: bool,
    /// The beginning of the log as it is on disk.
    begin: u64,
}

/// A replica of the log.
pub(crate) struct Replica {
    config: LogConfig,
    open: Option<Open>,
    waiting: VecDeque<Work>,
    /// Why the store cannot be used, if that does not pass by itself.
    damage: Option<LogError>,
    /// Who wants to know of it.
    concerned: Vec<oneshot::Sender<LogError>>,
}

impl Process for Replica {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .on(Self::recover_request)
            .on(Self::promise_request)
            .on(Self::write_request)
            .on(Self::learned_message);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.reopen(false, cx);
        self.link_to_others(BTreeSet::new(), cx);
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        let pid = pid.clone();
        cx.after(RELINK, move |replica: &mut Self, cx| {
            if replica.config.network.members().contains(&pid) {
                cx.link(&pid);
            }
        });
    }
}

impl Replica {
    pub(crate) fn new(config: LogConfig) -> Self {
        let (waiting, concerned) = (VecDeque::new(), Vec::new());
        Self { config, open: None, waiting, damage: None, concerned }
    }

    /// Answers `concerned` once the store is found to be damaged or not to be a log's.
    pub(super) fn tell_damage(&mut self, concerned: oneshot::Sender<LogError>) {
        match &self.damage {
            // Who asked may be gone.
            Some(damage) => _ = concerned.send(damage.clone()),
            None => self.concerned.push(concerned),
        }
    }

    /// True when the replica takes part in votes.
    pub(crate) fn votes(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.rules.status() == Status::Voting)
    }

    /// Keeps connections to the other replicas, which all messages between their nodes then use.
    fn link_to_others(&mut self, known: BTreeSet<Pid>, cx: &mut Ctx<Self>) {
        let changed = self.config.network.other_than(known.clone());
        cx.defer(changed, move |replica: &mut Self, members: BTreeSet<Pid>, cx| {
            for new in members.difference(&known).filter(|member| *member != cx.pid()) {
                cx.link(new);
            }
            replica.link_to_others(members, cx);
        });
    }

    fn reopen(&mut self, failed: bool, cx: &mut Ctx<Self>) {
        let (dir, limit) = (self.config.dir.clone(), self.config.segment_bytes);
        let opening = store::open(cx.disk(), dir, limit, failed);
        cx.defer(opening, |replica: &mut Self, opened, cx| match opened {
            Ok(opened) => replica.opened(opened, cx),
            Err(error) => {
                slog::error!(cx.log(), "cannot open the log: {error}");
                if !matches!(error, LogError::Disk(_)) {
                    for concerned in replica.concerned.drain(..) {
                        // As above.
                        let _ = concerned.send(error.clone());
                    }
                    replica.damage = Some(error);
                }
                // What waits learns that it waits in vain, and the operator can mend the disk.
                replica.waiting.clear();
                cx.after(REOPEN, |replica: &mut Self, cx| replica.reopen(true, cx));
            }
        });
    }

    fn opened(&mut self, Opened { store, rules, torn }: Opened, cx: &mut Ctx<Self>) {
        if torn > 0 {
            slog::warn!(cx.log(), "cut an incomplete batch off the log"; "bytes" => torn);
        }
        slog::info!(cx.log(), "opened the log"; "status" => rules.status().as_str_name(),
            "promised" => rules.promised(), "begin" => rules.begin(), "end" => rules.end());
        let begin = rules.begin();
        let (changes, answers) = (Vec::new(), Vec::new());
        let open = Open { rules, store, changes, answers, busy: false, armed: false, begin };
        self.open = Some(open);
        self.damage = None;
        while self.open.is_some()
            && let Some(work) = self.waiting.pop_front()
        {
            self.with(work, cx);
        }
    }

    /// Does `work` now, or when the store is open.
    pub(super) fn with(&mut self, work: Work, cx: &mut Ctx<Self>) {
        match self.open.take() {
            Some(mut open) => {
                work(self, &mut open, cx);
                self.open = Some(open);
                self.flush(cx);
            }
            None if self.waiting.len() < WAITING => self.waiting.push_back(work),
            None => slog::warn!(cx.log(), "dropped a message: too many wait for the log"),
        }
    }

    fn recover_request(&mut self, _: RecoverRequest, cx: &mut Ctx<Self>) {
        let from = cx.from().clone();
        self.with(Box::new(move |_, open, _| open.reply(from, &open.rules.recover())), cx);
    }

    fn promise_request(&mut self, request: PromiseRequest, cx: &mut Ctx<Self>) {
        let from = cx.from().clone();
        let work: Work = Box::new(move |replica, open, cx| {
            let mut changes = Vec::new();
            let answer = open.rules.promise(&request, &mut changes);
            if replica.config.planted == Planted::ForgetsPromises {
                changes.retain(|change| !matches!(change, Change::Metadata(_)));
            }
            open.change(changes);
            match answer {
                Promised::Whole(response) => open.reply(from, &response),
                Promised::With { position, proposal } => {
                    open.reply_with(from, position, proposal, cx);
                }
            }
        });
        self.with(work, cx);
    }

    fn write_request(&mut self, request: WriteRequest, cx: &mut Ctx<Self>) {
        let from = cx.from().clone();
        let content = match request.r#type() {
            Type::Nop => true,
            Type::Append => request.append.is_some(),
            Type::Truncate => request.truncate.is_some(),
        };
        if !content {
            slog::warn!(cx.log(), "dropped a write without content"; "from" => %from);
            return;
        }
        let work: Work = Box::new(move |_, open, _| {
            let mut changes = Vec::new();
            let answer = open.rules.write(&request, &mut changes);
            open.change(changes);
            if let Some(response) = answer {
                open.reply(from, &response);
            }
        });
        self.with(work, cx);
    }

    fn learned_message(&mut self, message: LearnedMessage, cx: &mut Ctx<Self>) {
        let action = message.action;
        if action.r#type.is_none() || !rules::is_whole(&action) {
            let from = cx.from();
            slog::warn!(cx.log(), "dropped a learned action without content"; "from" => %from);
            return;
        }
        self.with(Box::new(move |_, open, _| open.learn(action)), cx);
    }

    /// Writes what has been decided, unless a write is under way already.
    fn flush(&mut self, cx: &mut Ctx<Self>) {
        let Some(open) = &mut self.open else { return };
        if open.busy {
            return;
        }
        let moved = open.rules.begin() > open.begin;
        let lazy = open.changes.iter().all(|change| matches!(change, Change::Learned(_)));
        if lazy && !moved {
            open.answers.drain(..).for_each(|answer| answer(cx));
            if !open.changes.is_empty() && !open.armed {
                open.armed = true;
                cx.after(LAZY, Self::write_learned);
            }
            return;
        }
        self.write(cx);
    }

    fn write_learned(&mut self, cx: &mut Ctx<Self>) {
        let Some(open) = &mut self.open else { return };
        open.armed = false;
        if !open.busy {
            self.write(cx);
        }
    }

    fn write(&mut self, cx: &mut Ctx<Self>) {
        let Some(open) = &mut self.open else { return };
        let changes = std::mem::take(&mut open.changes);
        if changes.is_empty() {
            return;
        }
        let Some(writing) = open.store.take(&changes, &open.rules) else {
            slog::error!(cx.log(), "a batch is too large to be written");
            return self.fail(cx);
        };
        let bytes = writing.bytes.clone();
        let done = match writing.fresh {
            true => cx.disk().write(&writing.path, bytes),
            false => cx.disk().append(&writing.path, bytes),
        };
        let (answers, begin) = (std::mem::take(&mut open.answers), open.rules.begin());
        open.busy = true;
        cx.defer(done, move |replica: &mut Self, done, cx| {
            replica.written(done, writing, begin, answers, cx);
        });
    }

    fn written(
        &mut self,
        done: Result<(), DiskError>,
        writing: Writing,
        begin: u64,
        answers: Vec<Answer>,
        cx: &mut Ctx<Self>,
    ) {
        if let Err(error) = done {
            slog::error!(cx.log(), "cannot write the log: {error}");
            return self.fail(cx);
        }
        let Some(open) = &mut self.open else { return };
        open.busy = false;
        open.store.settled(writing);
        for answer in answers {
            answer(cx);
        }
        if begin > open.begin {
            open.begin = begin;
            if open.store.has_several() {
                open.forget(begin, cx);
            }
        }
        self.flush(cx);
    }

    /// Nobody knows what is on disk: answers nothing that hangs on it, and reads it again.
    fn fail(&mut self, cx: &mut Ctx<Self>) {
        self.open = None;
        cx.after(REOPEN, |replica: &mut Self, cx| replica.reopen(true, cx));
    }
}

impl Open {
    pub(super) fn change(&mut self, changes: Vec<Change>) {
        self.store.note(&changes);
        self.changes.extend(changes);
    }

    pub(super) fn learn(&mut self, action: Action) {
        let mut changes = Vec::new();
        self.rules.learn(action, &mut changes);
        self.change(changes);
    }

    /// Sends a message once everything decided so far is durable.
    fn reply<M: Message + Name>(&mut self, to: Pid, message: &M) {
        let (name, body) = (M::full_name(), message.encode_to_vec().into());
        self.answers.push(Box::new(move |cx| cx.send_raw(&to, name.into(), body)));
    }

    /// Accepts with the action at a position, which may have to be read first.
    fn reply_with(&mut self, to: Pid, position: u64, proposal: u64, cx: &mut Ctx<Replica>) {
        let (Some(slot), content) = (self.rules.slot(position), self.store.content(position))
        else {
            return;
        };
        let fetched = store::fetch(cx.disk(), content.into_iter().collect());
        cx.defer(fetched, move |replica: &mut Replica, fetched, cx| {
            let action = match fetched.map(|actions| actions.into_iter().next()) {
                Ok(Some(action)) => action,
                Ok(None) => return,
                Err(error) => return slog::error!(cx.log(), "cannot read the log: {error}"),
            };
            // As it was when the promise was made: what was stored may lack later news.
            let learned = slot.learned.then_some(true).or(action.learned);
            let action = Action { promised: slot.promised, learned, ..action };
            let response = rules::accepted(action, proposal);
            replica.with(Box::new(move |_, open, _| open.reply(to, &response)), cx);
        });
    }

    /// Removes segments that are needed no more.
    fn forget(&mut self, begin: u64, cx: &mut Ctx<Replica>) {
        for path in self.store.forget(begin) {
            slog::debug!(cx.log(), "removing a segment"; "file" => %path.display());
            cx.defer(cx.disk().remove(&path), |_, removed, cx| {
                if let Err(error) = removed {
                    slog::warn!(cx.log(), "cannot remove a segment: {error}");
                }
            });
        }
    }
}
