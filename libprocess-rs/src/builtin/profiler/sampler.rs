//! Takes samples of all threads' stacks, as a timer signal of the operating system asks for them.

pub(super) use backend::Sampler;

#[cfg(feature = "profiler")]
mod backend {
    use super::super::profile::{Frame, Stack};

    /// Samples from its start to its stop; one at a time in an OS process.
    pub(in super::super) struct Sampler(pprof::ProfilerGuard<'static>);

    impl Sampler {
        pub(in super::super) fn start(frequency: u16) -> Result<Self, String> {
            // The stack cannot be walked safely from within these, which may hold locks.
            let unsafe_to_walk = ["libc", "libgcc", "pthread", "vdso"];
            pprof::ProfilerGuardBuilder::default()
                .frequency(i32::from(frequency))
                .blocklist(&unsafe_to_walk)
                .build()
                .map(Self)
                .map_err(|error| error.to_string())
        }

        /// The stacks that were seen, each once, in the order of their frames.
        pub(in super::super) fn stop(self) -> Result<Vec<Stack>, String> {
            let report = self.0.report().build().map_err(|error| error.to_string())?;
            let mut stacks: Vec<Stack> = report
                .data
                .iter()
                .map(|(frames, count)| Stack {
                    thread: frames.thread_name_or_id(),
                    // Functions that were inlined into one place are listed innermost first.
                    frames: frames.frames.iter().flatten().map(frame).collect(),
                    samples: i64::try_from(*count).unwrap_or(i64::MAX),
                })
                .collect();
            stacks.sort();
            Ok(stacks)
        }
    }

    fn frame(symbol: &pprof::Symbol) -> Frame {
        Frame {
            function: symbol.name(),
            file: symbol.filename().into_owned(),
            line: i64::from(symbol.lineno()),
        }
    }
}

#[cfg(not(feature = "profiler"))]
mod backend {
    use super::super::profile::Stack;

    /// Stands for the sampler that was left out.
    pub(in super::super) enum Sampler {}

    impl Sampler {
        pub(in super::super) fn start(_: u16) -> Result<Self, String> {
            Err("the program was built without the feature 'profiler'".to_owned())
        }

        pub(in super::super) fn stop(self) -> Result<Vec<Stack>, String> {
            match self {}
        }
    }
}
