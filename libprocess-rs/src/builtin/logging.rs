//! `/logging/toggle`: more of the log for a while.

use crate::builtin::READ_WRITE;
use crate::duration::parse_duration;
use crate::http::{Request, Response};
use crate::{Ctx, Help, Process, Routes, Timer};

const TOGGLE: Help = Help::new(
    "Makes the log more verbose for a while",
    "Without parameters the answer is the present verbosity: 0 is what the program was started to \
     log, 1 adds DEBUG, 2 and more add TRACE (where it was compiled in).\n\n\
     With `level=NUMBER` and `duration=DURATION` (such as `10mins`) the verbosity is set, and set \
     back to that of the start after the duration. A level below that of the start is refused.\n\n\
     Example: `curl -X POST 'http://HOST:PORT/logging/toggle?level=1&duration=30secs'`",
);

/// Changes the verbosity of its node's log.
#[derive(Default)]
pub(crate) struct LoggingProcess {
    /// Sets the verbosity back.
    revert: Option<Timer>,
}

impl Process for LoggingProcess {
    fn routes(routes: &mut Routes<Self>) {
        routes.any("/toggle", TOGGLE, Self::toggle).realm(READ_WRITE);
    }
}

impl LoggingProcess {
    fn toggle(&mut self, request: Request, cx: &mut Ctx<Self>) -> Response {
        let verbosity = cx.node().config().verbosity.clone();
        let (level, duration) = match (request.param("level"), request.param("duration")) {
            (None, None) => return Response::text(200, format!("{}\n", verbosity.get())),
            (Some(level), Some(duration)) => (level, duration),
            (None, _) => return Response::bad_request("'level=NUMBER' is missing"),
            (_, None) => return Response::bad_request("'duration=DURATION' is missing"),
        };
        let Ok(wanted) = level.parse::<u32>() else {
            return Response::bad_request(format!("invalid level '{level}'"));
        };
        if wanted < verbosity.start() {
            let start = verbosity.start();
            return Response::bad_request(format!("level {wanted} is below {start} of the start"));
        }
        let Some(duration) = parse_duration(duration) else {
            return Response::bad_request(format!("invalid duration '{duration}'"));
        };
        slog::info!(cx.log(), "verbosity of the log changes";
            "from" => verbosity.get(), "to" => wanted, "duration" => ?duration);
        verbosity.set(wanted);
        if let Some(earlier) = self.revert.take() {
            cx.cancel(&earlier);
        }
        self.revert = Some(cx.after(duration, |logging, cx| {
            logging.revert = None;
            let verbosity = &cx.node().config().verbosity;
            verbosity.set(verbosity.start());
            slog::info!(cx.log(), "verbosity of the log is that of the start again");
        }));
        Response::status(200)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};
    use std::time::Duration;

    use crate::logging::Verbosity;
    use crate::sim::World;
    use crate::{Node, NodeConfig};

    fn stage(least: slog::Level) -> (World, Node, Verbosity) {
        let mut world = World::new(1);
        let verbosity = Verbosity::new(least);
        let config = NodeConfig { verbosity: verbosity.clone(), ..NodeConfig::default() };
        let node = world.node(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5050), config);
        (world, node, verbosity)
    }

    fn toggle(world: &mut World, node: &Node, query: &str) -> (u16, String) {
        let answer = world.http(node, "POST", &format!("/logging/toggle{query}"));
        (answer.status, String::from_utf8_lossy(&answer.bytes()).into_owned())
    }

    #[test]
    fn toggle_raises_the_verbosity_and_reverts_after_the_last_duration() {
        let (mut world, node, verbosity) = stage(slog::Level::Info);
        assert_eq!(toggle(&mut world, &node, ""), (200, "0\n".to_owned()));
        assert_eq!(toggle(&mut world, &node, "?level=2&duration=10secs"), (200, String::new()));
        assert_eq!(toggle(&mut world, &node, ""), (200, "2\n".to_owned()));
        world.run_for(Duration::from_secs(6));
        assert_eq!(toggle(&mut world, &node, "?level=1&duration=10secs").0, 200);
        world.run_for(Duration::from_secs(6));
        assert_eq!(verbosity.get(), 1);
        world.run_for(Duration::from_secs(6));
        assert_eq!(verbosity.get(), 0);
    }

    #[test]
    fn toggle_with_half_a_request_or_nonsense_changes_nothing() {
        let (mut world, node, verbosity) = stage(slog::Level::Debug);
        let bad = [
            "?level=2",
            "?duration=1secs",
            "?level=x&duration=1secs",
            "?level=-1&duration=1secs",
            "?level=0&duration=1secs",
            "?level=2&duration=1",
        ];
        for query in bad {
            assert_eq!(toggle(&mut world, &node, query).0, 400, "{query}");
        }
        assert_eq!(verbosity.get(), 1);
    }
}
