//! The power goes while the server runs: what it did not sync is not there any more, or any part of it is.
//!
//! A library that is preloaded into the server (`power/disk.c`) keeps beside the data directory what a disk would hold. After a
//! kill the server goes on in a directory that is made of that. Mails go to a server of these tests, which loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use deliver::sandbox::{Filter, Mailbox, MailboxLimits, SinkOptions, SmtpSink};
use domain::time::Timestamp;
use serde_json::Value;
use store::dice::Dice;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::support::{Server, World, app, campaign_named, ended, metric, people, until};

const PEOPLE: usize = 600;
const CUTS: usize = 3;
/// A first start syncs more often than this.
const SYNCS_OF_A_START: u64 = 10;
/// A disk writes a page whole.
const PAGE_BYTES: usize = 4096;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_synced_is_lost_and_nothing_else() {
    for seed in 1..3 {
        live_through_cuts(seed, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_part_of_what_was_not_synced_may_be_there() {
    for seed in 3..6 {
        live_through_cuts(seed, false).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_was_cut_short_is_no_obstacle() {
    let mut world = World::new();
    let library = preloaded(&world).await;
    let mut dice = Dice::new(1);
    for syncs in 1_u64.. {
        let directory = world.path(&format!("new-{syncs}"));
        set_up(&mut world, &library, &directory);
        world.set("POWER_DISK_SYNCS", Path::new(&syncs.to_string()));
        let mut child = world.start();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut is_up = false;
        while let Some(line) = lines.next_line().await.unwrap() {
            is_up = is_up || line.starts_with("listening on");
            if is_up {
                child.kill().await.unwrap();
            }
        }
        child.wait().await.unwrap();
        world.set("POWER_DISK_SYNCS", Path::new("0"));
        let survivors = world.path(&format!("survivors-{syncs}"));
        let (kept, loses_all) = (kept(&directory), syncs % 2 == 0);
        Cut { live: &directory, kept: &kept, dice: &mut dice, loses_all }
            .directory(Path::new(""), &survivors);
        serve(&mut world, &library, &survivors).await.stop().await;
        if is_up {
            assert!(syncs > SYNCS_OF_A_START, "{syncs}");
            return;
        }
    }
}

/// Campaigns and events, during each of which the power goes; then nothing that was acknowledged is missing, and nothing
/// was sent twice.
async fn live_through_cuts(seed: u64, loses_all: bool) {
    let mut dice = Dice::new(seed);
    let mailbox = Arc::new(Mailbox::in_memory(MailboxLimits::default()));
    let sink =
        SmtpSink::start(Arc::clone(&mailbox), SinkOptions::default(), Timestamp::default).await.unwrap();
    let mut world = World::new()
        .with("EMAIL__TRANSPORT", &format!("smtp://{}", sink.address()))
        .with("STORE__MEMTABLE_BYTES", "100000");
    let library = preloaded(&world).await;
    let mut directory = world.path("data-0");
    let mut server = Arc::new(serve(&mut world, &library, &directory).await);
    let app = app(&server.sdk()).await;
    people(&server.sdk(), &app, PEOPLE).await;
    let (mut campaigns, mut acknowledged, mut attempted) = (Vec::new(), 0, 0);
    for cut in 1..=CUTS {
        let campaign = campaign_named(&server.sdk(), &app, &format!("Cut {cut}")).await;
        campaigns.push(campaign);
        let writing = put_events(Arc::clone(&server), app.clone(), cut);
        let mails = mailbox.total() + 1 + dice.below(PEOPLE as u64 / 2);
        until("mails arrive", async || mailbox.total() >= mails).await;
        server.kill_at_once();
        let (taken, tried) = writing.await.unwrap();
        Arc::into_inner(server).unwrap().kill().await;
        (acknowledged, attempted) = (acknowledged + taken, attempted + tried);
        let survivors = world.path(&format!("data-{cut}"));
        let kept = kept(&directory);
        Cut { live: &directory, kept: &kept, dice: &mut dice, loses_all }
            .directory(Path::new(""), &survivors);
        directory = survivors;
        server = Arc::new(serve(&mut world, &library, &directory).await);
    }
    check(&server, &app, &campaigns, &mailbox).await;
    server.settled().await;
    let counts = server.get(&format!("/counterpoint/v1/apps/{app}/events/counts")).await;
    let counted = counts["Item"][0]["Count"].as_u64().unwrap();
    assert!((acknowledged..=attempted).contains(&counted), "{counted} of {acknowledged} to {attempted}");
    assert!(acknowledged > 0);
    let tables = names_in_live(&directory.join("state/keyspaces/1/tables"));
    assert!(!tables.is_empty(), "the state never left the journal");
    Arc::into_inner(server).unwrap().stop().await;
    sink.stop().await;
}

async fn check(server: &Server, app: &str, campaigns: &[String], mailbox: &Mailbox) {
    let mut activities = Vec::new();
    for campaign in campaigns {
        activities.push(ended(&server.sdk(), app, campaign).await);
    }
    let unknown = unknown(server, app).await;
    for (cut, (campaign, activity)) in (1..).zip(campaigns.iter().zip(&activities)) {
        let (sent, lost) = (metric(activity, "SUCCESS"), metric(activity, "UNKNOWN"));
        assert_eq!(sent + lost, PEOPLE as u64, "{activity:?}");
        let filter = Filter { subject: Some(format!("Cut {cut}")), ..Filter::default() };
        let mut arrived = BTreeMap::<String, u64>::new();
        for mail in mailbox.messages(&filter, None, 1_000).messages {
            *arrived.entry(mail.to.clone()).or_default() += 1;
        }
        assert!(arrived.values().all(|times| *times == 1), "{arrived:?}");
        assert!(arrived.len() as u64 >= sent, "{} arrived, {sent} are counted as sent", arrived.len());
        let listed: BTreeSet<&str> = unknown
            .iter()
            .filter(|item| item["CampaignId"] == *campaign)
            .map(|item| item["Address"].as_str().unwrap())
            .collect();
        assert_eq!(listed.len() as u64, lost, "those who are unknown are listed");
        for number in 0..PEOPLE {
            let address = format!("person-{number}@example.com");
            assert!(arrived.contains_key(&address) || listed.contains(&*address), "{address}");
        }
    }
}

/// All deliveries that nobody knows the outcome of.
async fn unknown(server: &Server, app: &str) -> Vec<Value> {
    let path = format!("/counterpoint/v1/apps/{app}/deliveries/unknown");
    let mut items = Vec::new();
    let mut page = server.get(&path).await;
    loop {
        items.extend_from_slice(page["Item"].as_array().unwrap());
        let Some(token) = page["NextToken"].as_str() else { return items };
        page = server.get(&format!("{path}?token={token}")).await;
    }
}

/// Sends events until the server is gone: how many were acknowledged, and how many were sent.
fn put_events(server: Arc<Server>, app: String, cut: usize) -> JoinHandle<(u64, u64)> {
    tokio::spawn(async move {
        let path = format!("/v1/apps/{app}/events");
        let (mut acknowledged, mut attempted) = (0, 0);
        loop {
            let event = r#"{"EventType":"viewed","Timestamp":"2026-11-24T10:00:00.000Z"}"#;
            let body = format!(
                r#"{{"BatchItem":{{"person-0":{{"Endpoint":{{}},"Events":{{"e-{cut}-{attempted}":{event}}}}}}}}}"#
            );
            attempted += 1;
            match server.try_call_as("mobiletargeting", "POST", &path, &body).await {
                Some((202, _)) => acknowledged += 1,
                Some(answer) => panic!("{answer:?}"),
                None => return (acknowledged, attempted),
            }
        }
    })
}

async fn preloaded(world: &World) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/power/disk.c");
    let library = world.path("disk.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library).arg(source);
    assert!(compiler.status().await.expect("Rust links with cc, so it is there").success());
    library
}

fn kept(directory: &Path) -> PathBuf {
    directory.with_extension("kept")
}

async fn serve(world: &mut World, library: &Path, directory: &Path) -> Server {
    set_up(world, library, directory);
    world.serve().await
}

fn set_up(world: &mut World, library: &Path, directory: &Path) {
    world.set("COUNTERPOINT_SERVER__DATA_DIR", directory);
    world.set("LD_PRELOAD", library);
    world.set("POWER_DISK_ROOT", directory);
    world.set("POWER_DISK_KEPT", &kept(directory));
}

/// A power cut.
struct Cut<'a> {
    /// What the process saw.
    live: &'a Path,
    /// What the disk holds for certain, as `power/disk.c` says.
    kept: &'a Path,
    dice: &'a mut Dice,
    /// Whether nothing survives that was not synced.
    loses_all: bool,
}

impl Cut<'_> {
    /// Makes `into` what is left of the directory at this path.
    fn directory(&mut self, path: &Path, into: &Path) {
        fs::create_dir_all(into).unwrap();
        let mut flat = "%".to_owned();
        for part in path {
            flat.extend(["%", part.to_str().unwrap()]);
        }
        let names = self.kept.join("names").join(flat);
        let (kept, live) = (names_in(&names), names_in_live(&self.live.join(path)));
        for name in kept.union(&live) {
            let survives = match (kept.contains(name), live.contains(name)) {
                (true, true) => true,
                (is_kept, _) => is_kept == (self.loses_all || self.dice.once_in(2)),
            };
            let (kind, bare) = name.split_at(2);
            let (path, into) = (path.join(bare), into.join(bare));
            match kind {
                _ if !survives => {}
                "d:" => self.directory(&path, &into),
                _ => self.file(&names.join(name), &self.live.join(path), &into),
            }
        }
    }

    /// Writes what is left of a file, whose kept name may lead to another one than its name in the directory.
    fn file(&mut self, kept_name: &Path, live: &Path, into: &Path) {
        let found = |path: &Path| fs::read(path).unwrap_or_default();
        let by_inode = live.metadata().map(|it| self.kept.join("files").join(it.ino().to_string()));
        let is_same = match (kept_name.metadata(), by_inode.as_ref().map(|path| path.metadata())) {
            (Ok(kept), Ok(Ok(live))) => kept.ino() == live.ino(),
            (Ok(_), _) => false,
            (Err(_), _) => true,
        };
        let bytes = match by_inode {
            Ok(by_inode) if is_same || !(self.loses_all || self.dice.once_in(2)) => {
                self.mixed(found(&by_inode), &found(live))
            }
            _ => found(kept_name),
        };
        write_with_holes(into, &bytes);
    }

    /// The bytes that were synced, with none, all or any of the pages that were not.
    fn mixed(&mut self, mut kept: Vec<u8>, live: &[u8]) -> Vec<u8> {
        let mode = if self.loses_all { 0 } else { self.dice.below(3) };
        if mode == 0 {
            return kept;
        }
        if mode == 1 || live.len() < kept.len() {
            return live.to_vec();
        }
        if self.dice.once_in(2) {
            kept.resize(live.len(), 0);
        }
        for (kept, live) in kept.chunks_mut(PAGE_BYTES).zip(live.chunks(PAGE_BYTES)) {
            if self.dice.once_in(2) {
                kept.copy_from_slice(&live[..kept.len()]);
            }
        }
        kept
    }
}

/// What `power/disk.c` calls what stands in a directory: `f:` before names of files, `d:` before those of directories.
fn names_in_live(directory: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(directory) else { return BTreeSet::new() };
    let name = |entry: fs::DirEntry| {
        let kind = if entry.file_type().unwrap().is_dir() { "d:" } else { "f:" };
        format!("{kind}{}", entry.file_name().to_str().unwrap())
    };
    entries.map(|entry| name(entry.unwrap())).collect()
}

fn names_in(directory: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(directory) else { return BTreeSet::new() };
    entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned()).collect()
}

/// Journals are long files with little in them.
fn write_with_holes(path: &Path, bytes: &[u8]) {
    // The server insists that nobody else may read its key.
    let file = File::options().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for (number, page) in (0..).zip(bytes.chunks(PAGE_BYTES)) {
        if page.iter().any(|byte| *byte != 0) {
            file.write_all_at(page, number * PAGE_BYTES as u64).unwrap();
        }
    }
}
