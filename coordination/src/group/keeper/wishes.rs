//! What is asked of the service until it is answered, whatever happens to connections and sessions
//! meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use libprocess::Ctx;

use super::{Answer, Keeper};
use crate::group::session::{Session, SessionError, SessionFuture};
use crate::group::{GroupError, Member, Membership, prefix};

/// Something that is asked of the service until it is answered.
pub(super) enum Wish {
    Join {
        label: Option<String>,
        data: Bytes,
        /// A request to create may have happened, in this session or an earlier one.
        unsure: bool,
        answer: Answer<Membership>,
    },
    Cancel {
        name: String,
        answer: Answer<bool>,
    },
    /// Anything that may be begun again until it ends with an answer.
    Run(Box<dyn Run>),
}

/// What may be begun again in a later connection or session.
pub(super) trait Run: Send {
    /// Begins.
    fn run(self: Box<Self>, keeper: &Keeper, session: Arc<dyn Session>, cx: &Ctx<Keeper>);
}

/// A step in a session, and who wants to know what comes of it.
pub(super) struct Task<T, F> {
    pub(super) step: F,
    pub(super) answer: Answer<T>,
}

impl<T, F> Run for Task<T, F>
where
    T: Send + 'static,
    F: Fn(Arc<dyn Session>) -> SessionFuture<T> + Send + 'static,
{
    fn run(self: Box<Self>, keeper: &Keeper, session: Arc<dyn Session>, cx: &Ctx<Keeper>) {
        let (attempt, running) = (keeper.attempt, (self.step)(session));
        cx.defer(running, move |keeper: &mut Keeper, result, cx| {
            let Self { step, answer } = *self;
            let again = |answer| Wish::Run(Box::new(Self { step, answer }));
            keeper.done(attempt, result, answer, again, cx);
        });
    }
}

impl Keeper {
    /// Asks the service for all that is wished for.
    pub(super) fn flush(&mut self, cx: &mut Ctx<Self>) {
        let Some(session) = self.session.clone().filter(|_| self.connected) else { return };
        for wish in std::mem::take(&mut self.wishes) {
            let attempt = self.attempt;
            match wish {
                Wish::Join { label, data, unsure, answer } => {
                    let taken = self.owned.keys().cloned().collect();
                    let (wanted, bytes) = (prefix(label.as_deref()), data.clone());
                    let joined = join(session.clone(), wanted, bytes, unsure, taken);
                    cx.defer(joined, move |keeper: &mut Self, name, cx| {
                        let wish = Wish::Join { label, data, unsure: true, answer };
                        keeper.joined(attempt, name, wish, cx);
                    });
                }
                Wish::Cancel { name, answer } => {
                    let deleted = session.delete(name.clone(), None);
                    cx.defer(deleted, move |keeper: &mut Self, deleted, cx| {
                        if deleted.is_ok()
                            && let Some(lost) = keeper.owned.remove(&name)
                        {
                            lost.tell();
                        }
                        let again = |answer| Wish::Cancel { name, answer };
                        keeper.done(attempt, deleted, answer, again, cx);
                        keeper.read(cx);
                    });
                }
                Wish::Run(task) => task.run(self, session.clone(), cx),
            }
        }
    }

    /// A wish was answered, or stays one.
    fn done<T>(
        &mut self,
        attempt: u64,
        result: Result<T, SessionError>,
        answer: Answer<T>,
        again: impl FnOnce(Answer<T>) -> Wish,
        cx: &mut Ctx<Self>,
    ) {
        match result {
            Ok(value) => _ = answer.send(Ok(value)),
            Err(SessionError::Refused(reason)) => {
                let group = self.connect.name();
                let _ = answer.send(Err(GroupError::Refused { group, reason }));
            }
            Err(SessionError::Disconnected | SessionError::Expired) if answer.is_canceled() => {}
            Err(SessionError::Disconnected | SessionError::Expired) => {
                self.wishes.push(again(answer));
                // It may be another session that is connected by now.
                if attempt != self.attempt {
                    self.flush(cx);
                }
            }
        }
    }

    fn joined(
        &mut self,
        attempt: u64,
        name: Result<String, SessionError>,
        wish: Wish,
        cx: &mut Ctx<Self>,
    ) {
        let Wish::Join { label, data, answer, .. } = wish else { return };
        let lost = matches!(name, Err(SessionError::Disconnected | SessionError::Expired));
        let old = attempt != self.attempt;
        let again = |answer| Wish::Join { label, data, unsure: true, answer };
        match name {
            // Nobody wants it any more.
            Ok(name) if answer.is_canceled() => {
                self.joining -= 1;
                self.condemned.insert(name);
                self.bury(cx);
            }
            // It goes with a session that counts as over.
            Ok(name) if old => {
                self.condemned.insert(name);
                self.wishes.push(again(answer));
                self.bury(cx);
                self.flush(cx);
            }
            Err(error) if lost && !answer.is_canceled() => {
                self.done(attempt, Err(error), answer, again, cx);
            }
            Err(error) => {
                self.joining -= 1;
                self.done(attempt, Err(error), answer, again, cx);
                self.tell();
            }
            Ok(name) => match Member::parse(&name) {
                Some(member) => {
                    self.joining -= 1;
                    slog::info!(cx.log(), "joined"; "group" => self.connect.name(),
                        "znode" => &name);
                    let (membership, lost) = Membership::new(member, self.lease.clone());
                    self.owned.insert(name, lost);
                    let _ = answer.send(Ok(membership));
                    // What was read before may hold what the join has removed.
                    (self.members, self.outdated) = (None, self.reading);
                    self.read(cx);
                }
                None => {
                    self.joining -= 1;
                    let error = SessionError::Refused(format!("'{name}' is no member's name"));
                    self.done(attempt, Err(error), answer, again, cx);
                }
            },
        }
    }
}

/// Creates a member. What an earlier request of that kind may have created is removed first:
/// nobody knows how long that would last.
async fn join(
    session: Arc<dyn Session>,
    prefix: String,
    data: Bytes,
    unsure: bool,
    taken: BTreeSet<String>,
) -> Result<String, SessionError> {
    if unsure {
        for name in session.children().await? {
            let candidate = name.starts_with(&prefix) && !taken.contains(&name);
            if candidate
                && Member::parse(&name).is_some()
                && session.read(name.clone()).await?.is_some_and(|(found, _)| found == data)
            {
                session.delete(name, None).await?;
            }
        }
    }
    session.create(prefix, data).await
}
