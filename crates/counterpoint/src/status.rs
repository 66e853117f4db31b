//! `GET /status` for people and scripts, `GET /metrics` for Prometheus: how far behind each part is.

use std::sync::Arc;

use api::{Answer, Server};
use deliver::sandbox::Mailbox;
use domain::time::Timestamp;
use engine::Engine;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use store::log::embedded::{EmbeddedLog, LogStats};
use store::tables::outbox::Lane;

/// What is asked when somebody looks.
pub(crate) struct Status {
    engine: Engine,
    log: Arc<EmbeddedLog>,
    mailbox: Arc<Mailbox>,
    started: Timestamp,
    /// No message leaves.
    is_held: bool,
}

/// What both answers are made of.
struct Seen {
    now: Timestamp,
    log: LogStats,
    projected: u64,
    lag_ms: u64,
    index_ready: bool,
    /// Of all indexes that are built.
    index_bytes: u64,
    /// Pages of all accounts that wait in the outbox.
    outbox_rows: u64,
    /// By lane: how long the oldest page that may be sent has been waiting.
    oldest_unsent_ms: [Option<u64>; Lane::ALL.len()],
}

impl Status {
    pub(crate) fn new(engine: Engine, log: Arc<EmbeddedLog>, mailbox: Arc<Mailbox>, is_held: bool) -> Self {
        let started = engine.context.now();
        Self { engine, log, mailbox, started, is_held }
    }

    /// Adds both pages, which need no signature, to the server.
    pub(crate) fn add(self: Arc<Self>, server: Server, metrics: PrometheusHandle) -> Server {
        let status = Arc::clone(&self);
        let server = server.open("/status", move || {
            let status = Arc::clone(&status);
            async move { status.page() }
        });
        server.open("/metrics", move || {
            let (status, metrics) = (Arc::clone(&self), metrics.clone());
            async move { status.metrics(&metrics) }
        })
    }

    fn page(&self) -> Answer {
        let Seen { now, log, projected, lag_ms, index_ready, index_bytes, outbox_rows, oldest_unsent_ms } =
            self.look();
        let LogStats { first, end, disk_bytes, raw_bytes, stored_bytes, groups, queued_bytes } = log;
        let document = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": now.since(self.started).as_secs(),
            "log": {
                "first": first.0, "end": end.0, "disk_bytes": disk_bytes, "raw_bytes": raw_bytes,
                "stored_bytes": stored_bytes, "groups": groups, "queued_bytes": queued_bytes,
            },
            "projection": { "next": projected, "behind": end.0.saturating_sub(projected), "lag_ms": lag_ms },
            "index": { "ready": index_ready, "bytes": index_bytes },
            "outbox": {
                "held": self.is_held,
                "rows": outbox_rows,
                "transactional": { "oldest_unsent_ms": oldest_unsent_ms[Lane::Transactional as usize] },
                "campaign": { "oldest_unsent_ms": oldest_unsent_ms[Lane::Campaign as usize] },
            },
            "sandbox": { "messages": self.mailbox.total() },
        });
        Answer::json(document.to_string())
    }

    fn metrics(&self, handle: &PrometheusHandle) -> Answer {
        self.look().gauge();
        handle.run_upkeep();
        Answer::text("text/plain; version=0.0.4", handle.render())
    }

    fn look(&self) -> Seen {
        let now = self.engine.context.now();
        let mut oldest_unsent_ms = [None; Lane::ALL.len()];
        for lane in Lane::ALL {
            let due = self.engine.queues.oldest_due(lane).filter(|due| *due <= now);
            oldest_unsent_ms[lane as usize] = due.map(|due| now.since(due).as_millis() as u64);
        }
        Seen {
            now,
            log: self.log.stats(),
            projected: self.engine.projected().0,
            lag_ms: self.engine.lag_ms(),
            index_ready: self.engine.audiences.are_ready(),
            index_bytes: self.engine.audiences.bytes() as u64,
            outbox_rows: self.engine.queues.rows.total(),
            oldest_unsent_ms,
        }
    }
}

impl Seen {
    fn gauge(&self) {
        let LogStats { first: _, end, disk_bytes, raw_bytes, stored_bytes, groups, queued_bytes } = self.log;
        let gauges = [
            ("counterpoint_log_end_records", end.0),
            ("counterpoint_log_disk_bytes", disk_bytes),
            ("counterpoint_log_raw_bytes", raw_bytes),
            ("counterpoint_log_stored_bytes", stored_bytes),
            ("counterpoint_log_groups", groups),
            ("counterpoint_log_queued_bytes", queued_bytes),
            ("counterpoint_projection_next_records", self.projected),
            ("counterpoint_projection_lag_ms", self.lag_ms),
            ("counterpoint_index_ready", u64::from(self.index_ready)),
            ("counterpoint_index_bytes", self.index_bytes),
            ("counterpoint_outbox_rows", self.outbox_rows),
        ];
        for (name, value) in gauges {
            metrics::gauge!(name).set(value as f64);
        }
        for (lane, name) in [(Lane::Transactional, "transactional"), (Lane::Campaign, "campaign")] {
            let oldest_ms = self.oldest_unsent_ms[lane as usize].unwrap_or(0);
            metrics::gauge!("counterpoint_outbox_oldest_unsent_ms", "lane" => name).set(oldest_ms as f64);
        }
    }
}
