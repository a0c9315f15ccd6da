//! Which crate may import which: a crate imports only from floors below its own.

/// Names under which crates of this workspace are imported, with their floor.
const FLOORS: [(&str, u8); 9] = [
    ("libprocess", 0),
    ("protos", 0),
    ("coordination", 1),
    ("allocator", 1),
    ("isolators", 1),
    ("master", 2),
    ("slave", 2),
    ("drivers", 2),
    ("cli", 3),
];

/// The floor of a crate's folder; the top floor may import anything.
fn floor(folder: &str) -> u8 {
    let name = if folder == "libprocess-rs" { "libprocess" } else { folder };
    FLOORS.iter().find(|(known, _)| *known == name).map_or(4, |(_, floor)| *floor)
}

/// Imports that lead upwards or sideways.
pub(crate) fn check(manifests: &[(String, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    for (folder, manifest) in manifests {
        for imported in imports(manifest) {
            let below = FLOORS
                .iter()
                .find(|(name, _)| *name == imported)
                .is_none_or(|(_, below)| *below < floor(folder));
            if !below {
                problems.push(format!(
                    "{folder}/Cargo.toml: imports {imported}, which is not on a floor below"
                ));
            }
        }
    }
    problems
}

/// Names in the sections of dependencies.
fn imports(manifest: &str) -> Vec<String> {
    let (mut inside, mut names) = (false, Vec::new());
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            if let Some((_, name)) = line.trim_end_matches(']').split_once("dependencies.") {
                names.push(name.trim_matches('"').to_owned());
            }
        } else if inside && let Some((name, _)) = line.split_once(['.', '=', ' ']) {
            names.push(name.trim_matches('"').to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(folder: &str, dependencies: &str) -> usize {
        let manifest = format!("[package]\nname = \"x\"\n[dependencies]\n{dependencies}\n");
        check(&[(folder.to_owned(), manifest)]).len()
    }

    #[test]
    fn floors_downward_imports_are_fine() {
        assert_eq!(
            problems("master", "libprocess.workspace = true\nallocator.workspace = true"),
            0
        );
        assert_eq!(problems("tests", "master.workspace = true\nslave.workspace = true"), 0);
        assert_eq!(problems("protos", "prost.workspace = true"), 0);
    }

    #[test]
    fn floors_upward_and_sideways_imports_are_told() {
        assert_eq!(problems("master", "slave.workspace = true"), 1);
        assert_eq!(problems("libprocess-rs", "protos = { path = \"../protos\" }"), 1);
        assert_eq!(problems("allocator", "coordination.workspace = true"), 1);
        let dev = "[dev-dependencies]\nmaster.workspace = true\n";
        assert_eq!(check(&[("drivers".to_owned(), dev.to_owned())]).len(), 1);
        let table = "[dev-dependencies.master]\nworkspace = true\n";
        assert_eq!(check(&[("drivers".to_owned(), table.to_owned())]).len(), 1);
    }
}
