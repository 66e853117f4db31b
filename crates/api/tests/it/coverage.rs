//! Which operations are built: the list of those that are not, and the page of documentation, are checked like goldens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use model::{OperationSpec, Service};

use crate::support::World;

const NOT_IMPLEMENTED: &str = include_str!("../../not_implemented.txt");

/// The reasons why operations are not built, by service and name. A line is `Operation<TAB>area/reason`, below the line
/// that names the service in brackets.
fn reasons() -> BTreeMap<(Service, &'static str), &'static str> {
    let mut service = Service::Pinpoint;
    let mut reasons = BTreeMap::new();
    for line in NOT_IMPLEMENTED.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line {
            "[pinpoint]" => service = Service::Pinpoint,
            "[sms-voice-v2]" => service = Service::SmsVoiceV2,
            _ => {
                let (name, reason) = line.split_once('\t').unwrap_or_else(|| panic!("no tab in {line:?}"));
                assert!(reasons.insert((service, name), reason).is_none(), "{name} is listed twice");
            }
        }
    }
    reasons
}

#[tokio::test]
async fn coverage_is_what_the_list_says() {
    let world = World::start().await;
    let missing: BTreeSet<_> =
        world.server.routes().not_implemented().iter().map(|spec| (spec.service, spec.name)).collect();
    let listed: BTreeSet<_> = reasons().into_keys().collect();
    let unlisted: Vec<_> = missing.difference(&listed).collect();
    let built: Vec<_> = listed.difference(&missing).collect();
    assert!(unlisted.is_empty(), "neither built nor in not_implemented.txt: {unlisted:?}");
    assert!(built.is_empty(), "built (or unknown), and still in not_implemented.txt: {built:?}");
}

#[test]
fn coverage_page_is_up_to_date() {
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/coverage.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/coverage.md is stale: run UPDATE_GOLDEN=1 cargo test -p api --test it coverage"
    );
}

fn page() -> String {
    let reasons = reasons();
    let mut page = String::from(
        "# Coverage\n\nWritten by a test (`crates/api/tests/it/coverage.rs`), do not edit. An operation that is not built is routed,\n\
         authorised and decoded, and then refused with a modelled error.\n",
    );
    for (title, service, operations) in [
        ("Amazon Pinpoint (2016-12-01)", Service::Pinpoint, model::pinpoint::OPERATIONS),
        ("SMS and Voice v2 (2022-03-31)", Service::SmsVoiceV2, model::sms_voice_v2::OPERATIONS),
    ] {
        let built = |spec: &&&OperationSpec| !reasons.contains_key(&(service, spec.name));
        let count = operations.iter().filter(built).count();
        write!(page, "\n## {title}\n\n{count} of {} operations are built.\n\n", operations.len()).unwrap();
        page.push_str("| operation | request | state |\n|---|---|---|\n");
        for spec in operations {
            let state = reasons
                .get(&(service, spec.name))
                .map_or("built".to_owned(), |reason| format!("not yet: {reason}"));
            writeln!(page, "| {} | {} `{}` | {state} |", spec.name, spec.method, spec.path).unwrap();
        }
    }
    page
}
