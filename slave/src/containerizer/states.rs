//! The states of a container, and which may follow which.

/// How far a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its root is made of an image, if it has one.
    Provisioning,
    /// Isolators prepare.
    Preparing,
    /// URIs are fetched.
    Fetching,
    /// The command is being started and isolated.
    Isolating,
    /// The command runs.
    Running,
    /// Everything in it is being killed.
    Destroying,
}

impl State {
    /// True when the step may be taken.
    pub(super) fn may_become(self, next: State) -> bool {
        use State::*;
        matches!(
            (self, next),
            (Provisioning, Preparing)
                | (Preparing, Fetching)
                | (Fetching, Isolating)
                | (Isolating, Running)
                | (Provisioning | Preparing | Fetching | Isolating | Running, Destroying)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::State::{self, *};

    #[test]
    fn container_states_follow_in_order_and_end_from_anywhere() {
        let all = [Provisioning, Preparing, Fetching, Isolating, Running, Destroying];
        let allowed: Vec<(State, State)> = all
            .into_iter()
            .flat_map(|from| all.into_iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        let expected = [
            (Provisioning, Preparing),
            (Provisioning, Destroying),
            (Preparing, Fetching),
            (Preparing, Destroying),
            (Fetching, Isolating),
            (Fetching, Destroying),
            (Isolating, Running),
            (Isolating, Destroying),
            (Running, Destroying),
        ];
        assert_eq!(allowed, expected);
    }
}
