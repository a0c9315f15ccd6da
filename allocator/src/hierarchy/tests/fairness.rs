//! The properties that the paper proves for divisible tasks (Ghodsi et al., NSDI 2011, section 3), on
//! random instances with whole tasks: what rounding can take is a bounded number of tasks.

use super::*;
use proptest::prelude::*;

/// CPUs and memory, of the pool or of one task.
type Vector = [u32; 2];

fn text(vector: Vector) -> String {
    format!("cpus:{};mem:{}", vector[0], vector[1])
}

/// One slave, one framework for each demand: each launches a task whenever it is offered enough, and
/// refuses what is left of the slave for good when it is not.
fn fill(total: Vector, demands: &[Vector], weights: BTreeMap<String, f64>) -> Vec<u32> {
    let minimum = crate::Minimum(Vec::new());
    let mut world = World::with(Config { weights, minimum, ..Config::default() });
    for number in 0..demands.len() {
        world = world.framework(&format!("f{number}"), &format!("role{number}"));
    }
    world = world.slave("s", &text(total));
    let mut tasks = vec![0; demands.len()];
    loop {
        let given = world.hierarchy.allocate_all(at(0));
        if given.is_empty() {
            return tasks;
        }
        for (framework, by_role) in given {
            let number: usize = framework.as_str()[1..].parse().unwrap();
            for (role, offer) in by_role {
                let offer = &offer[&"s".into()];
                let task = r(&text(demands[number])).allocated_to(&role);
                let rest = offer.checked_sub(&task);
                tasks[number] += u32::from(rest.is_some());
                let for_good = rest.is_none().then_some(10_000 * SECOND);
                let back = rest.unwrap_or_else(|| offer.clone());
                world.hierarchy.recover_resources(&framework, &"s".into(), &back, for_good, at(0));
            }
        }
    }
}

fn fill_evenly(total: Vector, demands: &[Vector]) -> Vec<u32> {
    fill(total, demands, BTreeMap::new())
}

/// The dominant share of one task.
fn step(total: Vector, demand: Vector) -> f64 {
    (0..2).map(|at| f64::from(demand[at]) / f64::from(total[at])).fold(0.0, f64::max)
}

fn largest_step(total: Vector, demands: &[Vector]) -> f64 {
    demands.iter().map(|demand| step(total, *demand)).fold(0.0, f64::max)
}

/// So many tasks of `demand` fit into `bundle`.
fn fitting(bundle: Vector, demand: Vector) -> u32 {
    (0..2).map(|at| bundle[at] / demand[at]).min().unwrap_or(0)
}

fn bundle(demand: Vector, tasks: u32) -> Vector {
    demand.map(|amount| amount * tasks)
}

fn instance() -> impl Strategy<Value = (Vector, Vec<Vector>)> {
    let demand = [1..6_u32, 1..6_u32];
    ([200..500_u32, 200..500_u32], prop::collection::vec(demand, 2..5))
}

/// Section 4.1 of the paper: 9 CPUs and 18 GB; A's tasks need <1 CPU, 4 GB>, B's <3 CPUs, 1 GB>.
#[test]
fn fairness_example_of_the_paper_ends_at_three_and_two_tasks() {
    assert_eq!(fill_evenly([9, 18], &[[1, 4], [3, 1]]), [3, 2]);
}

#[test]
fn fairness_weights_scale_shares() {
    let weights = BTreeMap::from([("role0".to_owned(), 2.0)]);
    assert_eq!(fill([90, 90], &[[1, 1], [1, 1]], weights), [60, 30]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Nobody can run one more task.
    #[test]
    fn fairness_pareto_efficiency((total, demands) in instance()) {
        let tasks = fill_evenly(total, &demands);
        let mut left = total;
        for (demand, tasks) in demands.iter().zip(&tasks) {
            for at in 0..2 {
                left[at] -= demand[at] * tasks;
            }
        }
        for demand in &demands {
            prop_assert_eq!(fitting(left, *demand), 0, "{:?} left of {:?}", left, total);
        }
    }

    /// Nobody is worse off than with a static n-th of the pool. When somebody is blocked, nobody else
    /// is more than one task ahead, and some resource is used up but for one task: with n shares at
    /// most that much apart, the smallest is at least 1/n less one task.
    #[test]
    fn fairness_sharing_incentive((total, demands) in instance()) {
        let tasks = fill_evenly(total, &demands);
        let fair = 1.0 / demands.len() as f64 - largest_step(total, &demands);
        for (demand, tasks) in demands.iter().zip(&tasks) {
            let share = step(total, *demand) * f64::from(*tasks);
            prop_assert!(share >= fair - 1e-9, "{tasks:?} of {demands:?} in {total:?}");
        }
    }

    /// Nobody could run more of its tasks with what somebody else has, but for rounding: one task
    /// ahead, and up to five more that fit into what blocked the other.
    #[test]
    fn fairness_envy_freeness((total, demands) in instance()) {
        let tasks = fill_evenly(total, &demands);
        let slack = 6.0 * largest_step(total, &demands);
        for (mine, my_tasks) in demands.iter().zip(&tasks) {
            for (theirs, their_tasks) in demands.iter().zip(&tasks) {
                let with_theirs = fitting(bundle(*theirs, *their_tasks), *mine);
                let gain = f64::from(with_theirs.saturating_sub(*my_tasks)) * step(total, *mine);
                prop_assert!(gain <= slack, "{mine:?} envies {theirs:?}: {tasks:?} in {total:?}");
            }
        }
    }

    /// Who lies about its tasks cannot run more of the true ones, but for rounding.
    #[test]
    fn fairness_strategy_proofness(
        (total, demands) in instance(),
        lie in [1..6_u32, 1..6_u32],
    ) {
        let honest = fill_evenly(total, &demands)[0];
        let mut lying = demands.clone();
        lying[0] = lie;
        let got = bundle(lie, fill_evenly(total, &lying)[0]);
        let gain = f64::from(fitting(got, demands[0]).saturating_sub(honest));
        let slack = 6.0 * largest_step(total, &demands).max(step(total, lie));
        prop_assert!(gain * step(total, demands[0]) <= slack, "{lie:?} for {demands:?} in {total:?}");
    }
}
