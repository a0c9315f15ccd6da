//! Claim: a registrar with its registry in memory marks 10,000 slaves unreachable in 60 ms.

use benches::{Outcome, claim, fake, millis};
use futures::future::join_all;
use libprocess::{Handle, Node, real};
use master::registrar::{Config, Operation, Registrar};
use protos::ids::SlaveId;
use protos::mesos::{MasterInfo, SlaveInfo};

const SLAVES: usize = 10_000;

/// Has all operations done; how long that took.
async fn apply(
    node: &Node,
    registrar: &Handle<Registrar>,
    operations: Vec<Operation>,
) -> Outcome<f64> {
    let start = node.now();
    let answers = operations
        .into_iter()
        .map(|operation| registrar.ask_later(move |registrar, cx| registrar.apply(operation, cx)));
    let answers: Vec<_> = answers.collect();
    for answer in join_all(answers).await {
        if !answer?? {
            return Err("an operation was refused".into());
        }
    }
    Ok(millis(node.now().since(start)))
}

async fn measure() -> Outcome<()> {
    let node = fake::loopback().await?;
    let registrar = node.spawn_numbered("registrar", Registrar::new(Config::default()));
    registrar.ask_later(|registrar, cx| registrar.recover(MasterInfo::default(), cx)).await??;
    let resources = "cpus:24;mem:65536;disk:1048576".parse()?;
    let ids: Vec<SlaveId> =
        (0..SLAVES).map(|number| SlaveId::new(format!("20261127-new-S{number}"))).collect();
    let info = |(number, id): (usize, &SlaveId)| {
        let info = fake::slave_info(number, &resources);
        (id.clone(), SlaveInfo { id: Some(id.wire()), ..info })
    };
    let infos: Vec<_> = ids.iter().enumerate().map(info).collect();
    let admit = infos.iter().cloned().map(|(id, info)| Operation::Admit(id, info)).collect();
    let took = apply(&node, &registrar, admit).await?;
    claim("10,000 slaves admitted", took, "ms", "none");
    let now = node.now();
    let lose = ids.iter().map(|id| Operation::MarkUnreachable(id.clone(), now)).collect();
    let took = apply(&node, &registrar, lose).await?;
    claim("10,000 slaves marked unreachable", took, "ms", "60");
    let back = infos.into_iter().map(|(id, info)| Operation::MarkReachable(id, info)).collect();
    let took = apply(&node, &registrar, back).await?;
    claim("10,000 slaves marked reachable", took, "ms", "none");
    let remove = ids.into_iter().map(Operation::Remove).collect();
    let took = apply(&node, &registrar, remove).await?;
    claim("10,000 slaves removed", took, "ms", "none");
    node.close();
    Ok(())
}

fn main() -> Outcome<()> {
    real::run(measure())
}
