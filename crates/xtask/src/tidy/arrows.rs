//! Rules for the arrows between crates: which member may depend on which, and what the pure ones never reach.

use std::collections::{HashMap, VecDeque};

use super::{File, Finding, manifests};
use crate::workspace::{Metadata, Node, Package};

/// Which members a member may depend on.
enum Allowed {
    These(&'static [&'static str]),
    All,
}

/// All members. A new arrow is the biggest kind of change: it changes ARCHITECTURE.md too.
const MEMBERS: [(&str, Allowed); 8] = [
    ("model", Allowed::These(&[])),
    ("domain", Allowed::These(&["model"])),
    ("store", Allowed::These(&["domain"])),
    ("deliver", Allowed::These(&["domain"])),
    ("engine", Allowed::These(&["domain", "store", "deliver"])),
    ("api", Allowed::These(&["model", "domain", "store", "engine"])),
    ("counterpoint", Allowed::All),
    ("xtask", Allowed::These(&[])),
];

/// The members that decide and do nothing else.
const PURE: [&str; 2] = ["model", "domain"];
/// What a pure member does not reach, over any number of arrows: a runtime, a database, HTTP, a socket.
const IMPURE: [&str; 7] = ["tokio", "hyper", "fjall", "reqwest", "axum", "mio", "socket2"];

pub(super) fn check(metadata: &Metadata, files: &[File]) -> Vec<Finding> {
    let graph = Graph::new(metadata);
    let mut findings = Vec::new();
    for id in &metadata.workspace_members {
        let Some(member) = graph.packages.get(id.as_str()) else { continue };
        findings.extend(between_members(&graph, member, metadata, files));
        if PURE.contains(&member.name.as_str()) {
            findings.extend(to_impure(&graph, member, files));
        }
    }
    findings
}

struct Graph<'m> {
    packages: HashMap<&'m str, &'m Package>,
    nodes: HashMap<&'m str, &'m Node>,
}

impl<'m> Graph<'m> {
    fn new(metadata: &'m Metadata) -> Self {
        let packages = metadata.packages.iter().map(|package| (package.id.as_str(), package));
        let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
        Self { packages: packages.collect(), nodes: nodes.map(|node| (node.id.as_str(), node)).collect() }
    }

    /// What a package needs to be built and to run. Its tests may need what they like.
    fn dependencies(&self, id: &str) -> impl Iterator<Item = &'m Package> {
        let arrows = self.nodes.get(id).into_iter().flat_map(|node| &node.deps);
        arrows
            .filter(|arrow| arrow.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev")))
            .filter_map(|arrow| self.packages.get(arrow.pkg.as_str()).copied())
    }
}

fn between_members(graph: &Graph<'_>, member: &Package, metadata: &Metadata, files: &[File]) -> Vec<Finding> {
    let allowed = MEMBERS.iter().find(|(name, _)| *name == member.name).map(|(_, allowed)| allowed);
    let allowed = match allowed {
        Some(Allowed::All) => return Vec::new(),
        Some(Allowed::These(names)) => *names,
        None => {
            let what = format!("nothing says what {} may depend on", member.name);
            let fix = "add it to MEMBERS in crates/xtask/src/tidy/arrows.rs, and to ARCHITECTURE.md";
            return vec![Finding { path: manifest(member), line: 1, what, fix }];
        }
    };
    let ours =
        graph.dependencies(&member.id).filter(|package| metadata.workspace_members.contains(&package.id));
    ours.filter(|package| !allowed.contains(&package.name.as_str()))
        .map(|package| {
            let what = format!("{} must not depend on {}", member.name, package.name);
            finding(member, &package.name, what, "move the code to where the arrow is allowed", files)
        })
        .collect()
}

/// Finds the shortest way to each impure package.
fn to_impure(graph: &Graph<'_>, member: &Package, files: &[File]) -> Vec<Finding> {
    let mut ways: HashMap<&str, Vec<&str>> = HashMap::from([(member.id.as_str(), Vec::new())]);
    let mut queue = VecDeque::from([member.id.as_str()]);
    let mut findings = Vec::new();
    while let Some(id) = queue.pop_front() {
        for package in graph.dependencies(id) {
            if ways.contains_key(package.id.as_str()) {
                continue;
            }
            let mut way = ways[id].clone();
            way.push(&package.name);
            if IMPURE.contains(&package.name.as_str()) {
                let what = format!("{} must not reach {}: {}", member.name, package.name, way.join(" -> "));
                let fix = "remove the dependency or its feature: this crate has no runtime, database or HTTP";
                findings.push(finding(member, way[0], what, fix, files));
            }
            ways.insert(&package.id, way);
            queue.push_back(&package.id);
        }
    }
    findings
}

fn manifest(member: &Package) -> String {
    format!("crates/{}/Cargo.toml", member.name)
}

fn finding(member: &Package, dependency: &str, what: String, fix: &'static str, files: &[File]) -> Finding {
    let path = manifest(member);
    let file = files.iter().find(|file| file.path == path);
    let line = file.map_or(1, |file| manifests::line_of_dependency(&file.text, dependency));
    Finding { path, line, what, fix }
}
