//! Audience: endpoint upserts, imports and segment counts beside bare fjall, and what a restart costs.

use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::bodies;
use crate::ingest::{create_app, drained, register};
use crate::report::Report;
use crate::server::{Server, directory};

/// Endpoints that are written through `UpdateEndpointsBatch`.
const UPSERTS: u64 = 200_000;
/// Different values of bare fjall's rows, made beforehand.
const BARE_VALUES: u64 = 10_000;
/// Endpoints of one import: what it reads is limited to 1 GiB.
const IMPORT_ENDPOINTS_MAX: u64 = 4_000_000;

pub(crate) async fn run(imports: u64, report: &mut Report) -> anyhow::Result<()> {
    let home = directory()?;
    let objects = directory()?;
    let settings = [("COUNTERPOINT_OBJECTS__DIRECTORY", objects.path().display().to_string())];
    let server = Server::start(home.path(), &settings).await?;
    report.section("Idle");
    report.line("resident MB on an empty directory", server.usage()?.0);
    report.line("binary MB", std::fs::metadata(crate::server::binary()?)?.len() as f64 / 1e6);

    report.section("UpdateEndpointsBatch");
    let upserts = create_app(&server.target).await?;
    register(&server.target, &upserts, UPSERTS).await?;
    let start = Instant::now();
    register(&server.target, &upserts, UPSERTS).await?;
    let rate = UPSERTS as f64 / start.elapsed().as_secs_f64();
    report.line("updates of existing endpoints/s", rate);
    let bare = bare_fjall(UPSERTS, true)?;
    report.line("bare fjall read-modify-writes/s", bare);
    report.line("share of bare fjall, updates", rate / bare);

    report.section("CSV import");
    let app = create_app(&server.target).await?;
    let before = server.usage()?.0;
    let mut seconds = 0.0;
    for first in (0..imports).step_by(IMPORT_ENDPOINTS_MAX as usize) {
        let numbers = first..imports.min(first + IMPORT_ENDPOINTS_MAX);
        write_csv(&objects.path().join("bench"), numbers)?;
        seconds += import(&server, &app).await?;
    }
    let rate = imports as f64 / seconds;
    report.line("endpoints", imports as f64);
    report.line("endpoints/s", rate);
    let bare = bare_fjall(imports, false)?;
    report.line("bare fjall upserts/s", bare);
    report.line("share of bare fjall, import", rate / bare);
    report.line("resident MB before", before);
    report.line("resident MB after", server.usage()?.0);
    // The index grows with the endpoints. What an import needs beside it shows when those are imported that are there.
    for endpoints in [imports / 10, imports.min(IMPORT_ENDPOINTS_MAX)] {
        write_csv(&objects.path().join("bench"), 0..endpoints)?;
        server.watch_peak()?;
        import(&server, &app).await?;
        report.line(&format!("peak MB while {endpoints} of them are imported again"), server.peak_mb()?);
    }

    count(&server, &app, report).await?;
    restart(server, home.path(), &settings, imports, report).await
}

/// The segment of the target: three attribute dimensions and the country.
async fn count(server: &Server, app: &str, report: &mut Report) -> anyhow::Result<()> {
    let body = serde_json::json!({"Dimensions": {
        "Attributes": {"plan": {"Values": ["pro", "team"]}, "newsletter": {"Values": ["weekly"]}, "tier": {"Values": ["t0", "t1"]}},
        "Location": {"Country": {"Values": ["DE", "FR"]}},
    }})
    .to_string();
    let path = format!("/counterpoint/v1/apps/{app}/segments/count");
    let mut best = f64::MAX;
    let mut answer = serde_json::Value::Null;
    for _ in 0..20 {
        let start = Instant::now();
        answer = server.target.call("POST", &path, &body).await?;
        best = best.min(start.elapsed().as_secs_f64() * 1_000.0);
    }
    report.section("Segment count");
    report.line("members", answer["Count"].as_f64().context("a count")?);
    report.line("whole call ms, best of 20", best);
    Ok(())
}

async fn restart(
    server: Server,
    home: &Path,
    settings: &[(&str, String)],
    endpoints: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    server.kill().await?;
    let server = Server::start(home, settings).await?;
    report.section("Restart after a kill");
    report.line("calls accepted after s", server.ready_after.as_secs_f64());
    let start = Instant::now();
    loop {
        let status = server.status().await?;
        if status["index"]["ready"] == true {
            break;
        }
        ensure!(start.elapsed() < Duration::from_mins(5), "the index does not become ready: {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    report.line("index ready after s", (server.ready_after + start.elapsed()).as_secs_f64());
    let resident = server.usage()?.0;
    report.line("resident MB", resident);
    report.line("resident bytes per endpoint", resident * 1_048_576.0 / (endpoints + UPSERTS) as f64);
    server.kill().await
}

async fn import(server: &Server, app: &str) -> anyhow::Result<f64> {
    let request = serde_json::json!({
        "Format": "CSV", "S3Url": "s3://bench/people.csv", "RoleArn": "arn:aws:iam::123456789012:role/import",
        "RegisterEndpoints": true, "DefineSegment": false,
    });
    let start = Instant::now();
    let job =
        server.target.call("POST", &format!("/v1/apps/{app}/jobs/import"), &request.to_string()).await?;
    let path = format!("/v1/apps/{app}/jobs/import/{}", job["Id"].as_str().context("a job has an id")?);
    loop {
        let job = server.target.call("GET", &path, "").await?;
        match job["JobStatus"].as_str() {
            Some("COMPLETED") => break,
            Some("FAILED") => anyhow::bail!("the import failed: {job}"),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    drained(server).await?;
    Ok(seconds)
}

fn write_csv(folder: &Path, numbers: Range<u64>) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = std::io::BufWriter::new(std::fs::File::create(folder.join("people.csv"))?);
    writeln!(
        file,
        "Id,Address,ChannelType,Attributes.plan,Attributes.interest,Attributes.tier,Attributes.store,Attributes.newsletter,Metrics.orders,Metrics.value,Demographic.AppVersion,Demographic.Locale,Demographic.Make,Demographic.Model,Demographic.Platform,Demographic.Timezone,Location.Country,Location.City"
    )?;
    for number in numbers {
        let endpoint = bodies::endpoint(number);
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(items) => items[0].as_str().unwrap_or_default().to_owned(),
            other => other.to_string(),
        };
        let cells = [
            "/Id",
            "/Address",
            "/ChannelType",
            "/Attributes/plan",
            "/Attributes/interest",
            "/Attributes/tier",
            "/Attributes/store",
            "/Attributes/newsletter",
            "/Metrics/orders",
            "/Metrics/value",
            "/Demographic/AppVersion",
            "/Demographic/Locale",
            "/Demographic/Make",
            "/Demographic/Model",
            "/Demographic/Platform",
            "/Demographic/Timezone",
            "/Location/Country",
            "/Location/City",
        ];
        let row: Vec<String> =
            cells.iter().map(|cell| endpoint.pointer(cell).map(text).unwrap_or_default()).collect();
        writeln!(file, "{}", row.join(","))?;
    }
    file.flush()?;
    Ok(())
}

/// Rows of the size of an endpoint into fjall alone, 100 a batch, durable about every ten milliseconds as the server's log
/// is. Answers rows per second.
fn bare_fjall(count: u64, reads: bool) -> anyhow::Result<f64> {
    let home = directory()?;
    let database = fjall::Database::builder(home.path()).open()?;
    let rows = database.keyspace("rows", fjall::KeyspaceCreateOptions::default)?;
    // Endpoints, because a row of one letter would be compressed to nothing: there would be nothing to flush and to compact.
    let values: Vec<Vec<u8>> =
        (0..BARE_VALUES).map(|number| bodies::endpoint(number).to_string().into_bytes()).collect();
    let key = |number: u64| format!("{:041x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let write = |is_update: bool| -> anyhow::Result<f64> {
        let start = Instant::now();
        let mut synced = Instant::now();
        for first in (0..count).step_by(100) {
            let mut batch = database.batch();
            for number in first..(first + 100).min(count) {
                let mut value = values[(number % BARE_VALUES) as usize].clone();
                if is_update {
                    let old = rows.get(key(number))?.context("the row was written before")?;
                    value[0] = old[0].wrapping_add(1);
                }
                batch.insert(&rows, key(number), value);
            }
            batch.commit()?;
            if synced.elapsed() > Duration::from_millis(10) {
                database.persist(fjall::PersistMode::SyncData)?;
                synced = Instant::now();
            }
        }
        database.persist(fjall::PersistMode::SyncData)?;
        Ok(count as f64 / start.elapsed().as_secs_f64())
    };
    let first = write(false)?;
    if reads { write(true) } else { Ok(first) }
}
