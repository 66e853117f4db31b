use std::collections::BTreeSet;
use std::pin::pin;

use domain::audience::AppKey;
use domain::ids::AccountId;
use engine::jobs::{self, Found, Kind, Outcome};
use serde_json::json;
use store::tables::jobs::JobStatus;
use store::{Log, Position};
use tokio_util::sync::CancellationToken;

use super::world::{World, app, csv, gzip, projecting};

#[tokio::test]
async fn everything_below_a_prefix_is_imported_in_one_segment() {
    let world = World::new();
    let app = app("a");
    world.object("in/a.csv", format!("\u{feff}{}", csv(0, 700)).as_bytes());
    world.object("in/b.csv.gz", &gzip(csv(700, 300).as_bytes()));
    world
        .object("in/sub/c.csv", b"Address,ChannelType\r\nx@example.com,EMAIL\r\ny,NONE\r\nz@example.com\r\n");
    world.object("in/sub/other.json", b"{\"Id\":\"other\"}\n");
    world.object("inside/d.csv", csv(5_000, 5).as_bytes());
    let state = world.imported(&app, "j", json!({"Format": "CSV", "S3Url": "s3://bucket/in/"})).await;
    assert_eq!(state.status, JobStatus::Completed, "{state:?}");
    assert_eq!((state.processed, state.failed, state.pieces), (1_001, 3, 11));
    assert_eq!(state.channels, [("EMAIL".to_owned(), 1_001)]);
    assert!(state.failures[0].starts_with("s3://bucket/in/sub/c.csv line 3: "), "{:?}", state.failures);
    assert!(state.failures[2].starts_with("s3://bucket/in/sub/other.json: "), "{:?}", state.failures);
    assert_eq!(world.members(&app, "j").await, 1_001);
    let id = domain::import::endpoint_id(domain::channels::ChannelType::Email, "e999@example.com");
    let endpoint = world.endpoint(&app, &id).await.unwrap();
    assert_eq!(endpoint["Attributes"], json!({"Ride": ["Bus, fast", "Train"]}));
    assert_eq!(endpoint["Location"], json!({"Country": "DE"}));

    // The same once more: nobody is doubled.
    let state = world.imported(&app, "again", json!({"Format": "CSV", "S3Url": "s3://bucket/in"})).await;
    assert_eq!((state.processed, state.failed), (1_001, 3));
    world.put_endpoint(&app, "new", &json!({"ChannelType": "SMS", "Address": "+49"})).await;
    assert_eq!(world.members(&app, "again").await, 1_001);
}

#[tokio::test]
async fn lines_of_json_are_imported_packed_or_not() {
    let world = World::new();
    let app = app("a");
    let lines = concat!(
        "{\"Id\":\"E1\",\"ChannelType\":\"SMS\",\"Address\":\"+4901\",\"EndpointStatus\":\"INACTIVE\"}\n",
        "broken\n",
        "{\"ChannelType\":\"SMS\",\"Address\":\"+4902\",\"User\":{\"UserId\":\"u\"}}\n",
        "{\"Id\":\"E3\",\"OptOut\":\"PERHAPS\"}\n",
        "{\"User\":{\"UserId\":\"u\"}}\n{\"User\":{\"UserId\":\"nobody\"}}",
    );
    world.object("x", &gzip(lines.as_bytes()));
    let state = world.imported(&app, "j", json!({"Format": "JSON", "S3Url": "s3://bucket/x"})).await;
    assert_eq!(state.status, JobStatus::Completed);
    assert_eq!((state.processed, state.failed, state.pieces), (3, 3, 1), "{state:?}");
    assert_eq!(world.endpoint(&app, "e1").await.unwrap()["EndpointStatus"], json!("ACTIVE"));
    assert!(world.endpoint(&app, "e3").await.is_none());
    assert_eq!(world.members(&app, "j").await, 2);
}

#[tokio::test]
async fn a_file_of_users_stands_for_the_endpoints_that_they_have_later() {
    let world = World::new();
    let app = app("a");
    let endpoint = |address: &str, user: &str| json!({"ChannelType": "EMAIL", "Address": address, "User": {"UserId": user}});
    world.put_endpoint(&app, "e1", &endpoint("1@example.com", "u1")).await;
    world.put_endpoint(&app, "e2", &endpoint("2@example.com", "u2")).await;
    world.object("users.csv", b"User.UserId\nu1\nu2 nobody\n");
    let definition = json!({"Format": "CSV", "S3Url": "s3://bucket/users.csv", "RegisterEndpoints": false});
    let state = world.imported(&app, "j", definition).await;
    assert_eq!((state.status, state.processed, state.failed), (JobStatus::Completed, 2, 1));
    assert_eq!(world.members(&app, "j").await, 2);
    world.put_endpoint(&app, "e3", &endpoint("3@example.com", "u1")).await;
    assert_eq!(world.members(&app, "j").await, 3);
}

#[tokio::test]
async fn a_segment_of_many_users_is_read_page_by_page() {
    let world = World::new();
    let app = app("a");
    let endpoint = |number: usize| {
        let user = json!({"UserId": format!("u{}", number / 2)});
        json!({"Id": number.to_string(), "ChannelType": "CUSTOM", "Address": number.to_string(), "User": user}).to_string()
    };
    let lines: Vec<String> = (0..5_000).map(endpoint).collect();
    world.object("endpoints", lines.join("\n").as_bytes());
    let definition = json!({"Format": "JSON", "S3Url": "s3://bucket/endpoints", "DefineSegment": false, "RegisterEndpoints": true});
    assert_eq!(world.imported(&app, "endpoints", definition).await.processed, 5_000);
    let users: Vec<String> = (0..2_400).map(|user| format!("u{user}")).collect();
    world.object("users.csv", format!("User.UserId\n{}\n", users.join("\n")).as_bytes());
    let definition = json!({"Format": "CSV", "S3Url": "s3://bucket/users.csv", "RegisterEndpoints": false});
    assert_eq!(world.imported(&app, "j", definition).await.processed, 2_400);
    assert_eq!(world.members(&app, "j").await, 4_800);
}

#[tokio::test]
async fn without_registering_rows_only_name_what_exists() {
    let world = World::new();
    let app = app("a");
    world.put_endpoint(&app, "e1", &json!({"ChannelType": "EMAIL", "Address": "1@example.com"})).await;
    world.object("ids.csv", b"Id,Attributes.A\nE1,x\ne2,y\n");
    let definition = json!({"Format": "CSV", "S3Url": "s3://bucket/ids.csv", "RegisterEndpoints": false});
    let state = world.imported(&app, "j", definition).await;
    assert_eq!((state.processed, state.failed), (1, 1), "{state:?}");
    assert_eq!(world.members(&app, "j").await, 1);
    assert_eq!(world.endpoint(&app, "e1").await.unwrap()["Attributes"], json!({}));

    // Registering without a segment changes the endpoint, and makes no members.
    let definition = json!({"Format": "CSV", "S3Url": "s3://bucket/ids.csv", "RegisterEndpoints": true, "DefineSegment": false});
    world.imported(&app, "k", definition).await;
    assert_eq!(world.endpoint(&app, "e1").await.unwrap()["Attributes"], json!({"A": ["x"]}));
}

#[tokio::test]
async fn what_cannot_be_read_fails_the_job_and_the_rest_is_imported() {
    let world = World::new();
    let app = app("a");
    let failing = async |job: &str, url: &str, processed: u64, text: &str| {
        let state = world.imported(&app, job, json!({"Format": "CSV", "S3Url": url})).await;
        assert_eq!((state.status, state.processed), (JobStatus::Failed, processed), "{state:?}");
        assert!(state.failures.iter().any(|failure| failure.contains(text)), "{:?}", state.failures);
        assert!(state.failed >= 1);
    };
    world.object("in/a.csv", b"Colour\nred\n");
    let packed = gzip(csv(0, 2_000).as_bytes());
    world.object("in/b.csv.gz", &packed[..packed.len() / 2]);
    world.object("in/c.csv", csv(10_000, 10).as_bytes());
    world.object("json/a", b"{\"Id\":\"1\"}");
    failing("missing", "s3://bucket/none.csv", 0, "no object").await;
    failing("bucket", "s3://none/none.csv", 0, "no object").await;
    failing("url", "s3://bucket/../x", 0, "not a URL").await;
    failing("header", "s3://bucket/in/a.csv", 0, "Colour").await;
    failing("format", "s3://bucket/json/a", 0, "format").await;
    failing("formats", "s3://bucket/json", 0, "format").await;
    world.imported(&app, "all", json!({"Format": "CSV", "S3Url": "s3://bucket/in"})).await;
    let state = world.state(&app, Kind::Import, "all").await;
    assert_eq!((state.status, state.failed), (JobStatus::Failed, 2), "{state:?}");
    assert!(state.processed > 10 && state.processed < 2_000, "{}", state.processed);
    let id = domain::import::endpoint_id(domain::channels::ChannelType::Email, "e10009@example.com");
    assert!(world.endpoint(&app, &id).await.is_some());
}

#[tokio::test]
async fn failures_are_counted_and_the_first_hundred_kept() {
    let world = World::new();
    let app = app("a");
    let mut lines = "nonsense\n".repeat(250);
    lines.insert_str(0, "{\"Id\":\"\u{1F600}\",\"OptOut\":\"no\"}\n{\"Id\":\"1\"}\n");
    world.object("x", lines.as_bytes());
    let state = world.imported(&app, "j", json!({"Format": "JSON", "S3Url": "s3://bucket/x"})).await;
    assert_eq!(
        (state.status, state.failed, state.failures.len()),
        (JobStatus::Completed, 251, 100),
        "{state:?}"
    );
}

#[tokio::test]
async fn no_more_than_some_pieces_run_ahead_of_the_projection() {
    let world = World::new();
    let app = app("a");
    world.object("x", csv(0, 60_000).as_bytes());
    world.import(&app, "j", json!({"Format": "CSV", "S3Url": "s3://bucket/x"})).await;
    let stop = CancellationToken::new();
    let end = || world.log.end(engine::SHARD).0;
    {
        let mut run = pin!(jobs::run_import(&world.engine, &app, "j", &stop));
        tokio::select! {
            outcome = &mut run => panic!("{outcome:?}"),
            filled = world.log.wait_beyond(engine::SHARD, Position(255)) => filled.unwrap(),
        }
        // Nothing is projected: time for many more reads brings no more pieces.
        for _ in 0..200 {
            tokio::select! {
                biased;
                outcome = &mut run => panic!("{outcome:?}"),
                waited = tokio::task::spawn_blocking(|| ()) => waited.unwrap(),
            }
        }
        assert_eq!(end(), 256);
        stop.cancel();
        assert_eq!(run.await.unwrap(), Outcome::Stopped);
    }
    let go_on = CancellationToken::new();
    let ended = projecting(&world.engine, jobs::run_import(&world.engine, &app, "j", &go_on)).await;
    assert_eq!(ended.unwrap(), Outcome::Ended);
    let state = world.state(&app, Kind::Import, "j").await;
    assert_eq!((state.status, state.processed, state.pieces), (JobStatus::Completed, 60_000, 600));
    assert_eq!(end(), 600);
}

#[tokio::test]
async fn jobs_are_carried_out_one_after_the_other_and_not_behind_other_rows() {
    use engine::due::Next;
    use store::tables::due::{Due, Task};
    let world = World::new();
    let app = app("a");
    let mut batch = store::Batch::default();
    let scheduled = world.context.now();
    for number in 0..200 {
        let due = Due {
            app: app.clone(),
            task: Task::CampaignStart { campaign: format!("c{number:03}") },
            scheduled,
        };
        batch.put(due.key(engine::SHARD, scheduled), store::value::encode(&due));
    }
    store::Kv::commit(&*world.kv, batch, store::Durability::Durable).await.unwrap();
    world.object("x", csv(0, 10).as_bytes());
    for job in ["j1", "j2"] {
        world.import(&app, job, json!({"Format": "CSV", "S3Url": "s3://bucket/x"})).await;
    }
    world.export(&app, "x1", "s3://bucket/out", None).await;
    let stop = CancellationToken::new();
    let running = async |kind| jobs::running(&world.engine, app.account.as_str(), kind).await.unwrap();
    assert_eq!((running(Kind::Import).await, running(Kind::Export).await), (2, 1));
    assert_eq!(jobs::running(&world.engine, "another", Kind::Import).await.unwrap(), 0);
    for left in [2, 1, 0] {
        let step =
            async { jobs::step(&world.engine, &stop).await.map(|next| assert_eq!(next, Next::Progress)) };
        let step = async { step.await.map(|()| Outcome::Ended) };
        projecting(&world.engine, step).await.unwrap();
        assert_eq!(running(Kind::Import).await + running(Kind::Export).await, left);
    }
    assert_eq!(jobs::step(&world.engine, &stop).await.unwrap(), Next::Wait(None));
    for job in ["j1", "j2"] {
        assert_eq!(world.state(&app, Kind::Import, job).await.status, JobStatus::Completed);
    }
    // The other worker sees its own rows, and the job rows do not stop it.
    assert_eq!(engine::due::step(&world.engine).await.unwrap(), Next::Progress);
}

#[tokio::test]
async fn a_job_does_not_wait_for_those_of_other_accounts() {
    let world = World::new();
    world.object("x", csv(0, 10).as_bytes());
    let apps = ["1", "2", "3"].map(|account| AppKey { account: account.into(), app: "a".into() });
    let mut busy = BTreeSet::new();
    let next = async |busy: &BTreeSet<AccountId>| match jobs::next(&world.engine, busy).await.unwrap() {
        Found::Job(job) => Some(job),
        Found::Wait(until) => {
            assert_eq!(until, None);
            None
        }
    };
    assert!(next(&busy).await.is_none());
    for app in &apps {
        for job in ["j1", "j2"] {
            world.import(app, job, json!({"Format": "CSV", "S3Url": "s3://bucket/x"})).await;
        }
    }
    world.engine.jobs.notify_one();
    let first = next(&busy).await.unwrap();
    busy.insert(first.account().clone());
    let second = next(&busy).await.unwrap();
    assert_ne!(first.account(), second.account());
    busy.insert(second.account().clone());
    let stop = CancellationToken::new();
    let both = async {
        let (first, second) = futures::future::join(
            jobs::carry_out(&world.engine, &first, &stop),
            jobs::carry_out(&world.engine, &second, &stop),
        )
        .await;
        first.and(second)
    };
    assert_eq!(projecting(&world.engine, both).await.unwrap(), Outcome::Ended);
    // Of the two accounts each has a job left, of the third both.
    let third = next(&busy).await.unwrap();
    busy.insert(third.account().clone());
    assert!(next(&busy).await.is_none());
    busy.remove(first.account());
    assert_eq!(next(&busy).await.unwrap().account(), first.account());
}

#[tokio::test]
async fn the_start_of_an_object_is_judged_before_a_job_is_made() {
    use domain::import::Format;
    use engine::objects::parse_s3_url;
    let world = World::new();
    let error =
        async |url: &str, format| jobs::start_error(&world.engine, &parse_s3_url(url).unwrap(), format).await;
    world.object("good.csv", csv(0, 1).as_bytes());
    world.object("bad.csv", b"Colour\nred\n");
    world.object("bad.json.gz", &gzip(b"name,colour\nx,red\n"));
    world.object("empty", b"");
    assert_eq!(error("s3://bucket/good.csv", Format::Csv).await, None);
    assert!(error("s3://bucket/bad.csv", Format::Csv).await.unwrap().contains("Colour"));
    assert!(error("s3://bucket/good.csv", Format::Json).await.unwrap().contains("Unexpected character"));
    assert!(error("s3://bucket/bad.json.gz", Format::Json).await.unwrap().contains("Unexpected character"));
    for later in ["s3://bucket/none", "s3://none/x", "s3://bucket/", "s3://bucket/empty"] {
        assert_eq!(error(later, Format::Json).await, None, "{later}");
    }
}
