//! `/profiler/start` and `/profiler/stop`: where the program spends its processor time.

mod profile;
mod sampler;

use futures::channel::oneshot;

use crate::builtin::READ_WRITE;
use crate::http::{Answer, Request, Response};
use crate::{Ctx, Help, Process, Routes, Time};
use sampler::Sampler;

const START: Help = Help::new(
    "Starts to sample where the program spends its processor time",
    "Only in programs that were started with `LIBPROCESS_ENABLE_PROFILER=1`; others answer 400, and \
     so does one that is being sampled already. Samples are taken of all threads.\n\n\
     Example: `curl -X POST http://HOST:PORT/profiler/start`",
);

const STOP: Help = Help::new(
    "Stops sampling and answers with the profile",
    "The profile is in pprof's format (compressed protobuf), as `go tool pprof` and others read it. \
     With `format=folded` it is text: a line for each stack, its functions from the outermost in, \
     separated by `;`, and the number of samples; flame graphs are made from that. 400 when nothing \
     is being sampled.\n\n\
     Example: `curl -o profile.pb.gz http://HOST:PORT/profiler/stop`",
);

/// Samples a second: not a divisor of what else happens periodically.
const FREQUENCY: u16 = 99;

/// Samples the program that its node runs in.
#[derive(Default)]
pub(crate) struct ProfilerProcess {
    running: Option<(Sampler, Time)>,
}

impl Process for ProfilerProcess {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .any("/start", START, Self::start)
            .realm(READ_WRITE)
            .any("/stop", STOP, Self::stop)
            .realm(READ_WRITE);
    }
}

impl ProfilerProcess {
    fn start(&mut self, _: Request, cx: &mut Ctx<Self>) -> Response {
        if !cx.node().config().profiler {
            return Response::bad_request(
                "the profiler is not enabled: start the program with LIBPROCESS_ENABLE_PROFILER=1",
            );
        }
        if self.running.is_some() {
            return Response::bad_request("the profiler is running already");
        }
        match Sampler::start(FREQUENCY) {
            Ok(sampler) => {
                self.running = Some((sampler, cx.now()));
                Response::text(200, "the profiler is running\n")
            }
            Err(reason) => Response::text(500, format!("cannot start the profiler: {reason}")),
        }
    }

    fn stop(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        let Some((sampler, started)) = self.running.take() else {
            return Response::bad_request("the profiler is not running").into();
        };
        let (now, folded) = (cx.now(), request.param("format") == Some("folded"));
        let (sender, receiver) = oneshot::channel();
        // Names of functions are looked up in files, which may take seconds.
        let work = move || {
            let answer = sampler.stop().map(|stacks| match folded {
                true => Response::text(200, profile::folded(&stacks)),
                false => attachment(profile::pprof(&stacks, started, now - started, FREQUENCY)),
            });
            // The client may have left.
            let _ = sender.send(answer);
        };
        if let Err(error) = std::thread::Builder::new().name("profile".to_owned()).spawn(work) {
            return Response::text(500, format!("cannot make the profile: {error}")).into();
        }
        Answer::later(async move {
            match receiver.await {
                Ok(Ok(response)) => response,
                Ok(Err(reason)) => Response::text(500, format!("no profile: {reason}")),
                Err(_) => Response::status(500),
            }
        })
    }
}

fn attachment(profile: Vec<u8>) -> Response {
    let name = "attachment; filename=profile.pb.gz";
    Response::ok("application/octet-stream", profile).header("Content-Disposition", name)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use crate::NodeConfig;
    use crate::sim::World;

    #[test]
    fn profiler_that_is_not_enabled_or_not_running_refuses_and_says_why() {
        let mut world = World::new(1);
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5050);
        let node = world.node(address, NodeConfig::default());
        for (path, reason) in [("start", "LIBPROCESS_ENABLE_PROFILER=1"), ("stop", "not running")] {
            let answer = world.http(&node, "POST", &format!("/profiler/{path}"));
            assert_eq!(answer.status, 400);
            assert!(String::from_utf8_lossy(&answer.bytes()).contains(reason));
        }
    }
}
