//! What happens in a world: actions picked by the seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::audience::AppKey;
use domain::campaigns::Limits;
use domain::events::EventBatch;
use domain::ids::RequestId;
use domain::records::{Body, Deletion, EndpointItem, KeptAnswer, Record};
use store::tables::campaigns::{CampaignState, Status, progresses, state_key};
use store::tables::definitions::{self, Definitions};
use store::tables::due::{Due, Task};
use store::tables::invocations;
use store::tables::outbox::{Lane, Recipient};
use store::value::{decode, encode};
use store::{Batch, Durability, Key, Kv, Table};

use super::{Failure, ROWS_MAX, Violation, World};
use crate::SHARD;
use crate::dispatch::{self, Next, put_direct};
use crate::project::Step;
use crate::{due, expiries};

/// Endpoints, addresses and users of a world: few, so that they meet.
const ENDPOINTS: u64 = 60;
const ADDRESSES: u64 = 50;
const USERS: u64 = 4;
/// Rounds after which a world that does not come to rest is broken.
const SETTLE_ROUNDS: usize = 20_000;
/// The segment that every campaign is sent to.
const SEGMENT: &str = "segment";

impl World {
    /// Makes an application and defines what its campaigns need. Not part of the story: nothing fails.
    pub(super) async fn make_app(&mut self, account: &str) {
        let now = self.context.now();
        let key = AppKey { account: account.into(), app: self.context.ids.hex().as_str().into() };
        let app = key.app.as_str();
        let mut batch = Batch::default();
        let mut define = |definitions: Definitions, id: &str, document: &str| {
            definitions.create(&mut batch, id, document.to_owned(), BTreeMap::default(), now);
        };
        let segment = r#"{"Dimensions":{"Attributes":{"plan":{"Values":["pro","team"]}}}}"#;
        define(definitions::segments(account, app), SEGMENT, segment);
        let channel = r#"{"FromAddress":"shop@example.com","Identity":"arn:i"}"#;
        define(definitions::channels(account, app), "email", channel);
        let written = self.kv.commit(batch, Durability::Durable).await;
        written.expect("the store takes rows that nobody else writes");
        self.live.retain(|app| app.account != key.account);
        self.live.push(key.clone());
        self.apps.push(key);
    }

    /// An application in which something is to happen.
    fn some_app(&mut self) -> AppKey {
        self.live[self.dice.below(self.live.len() as u64) as usize].clone()
    }

    /// One action of the story.
    pub(super) async fn act(&mut self) -> Result<(), Failure> {
        match self.dice.below(100) {
            0..=34 => self.update_endpoint().await,
            35..=44 => self.put_event().await,
            45..=46 => self.delete().await,
            83..=86 => self.send_directly().await,
            47..=49 => self.create_campaign().await,
            50 => self.delete_campaign().await,
            51..=55 => {
                let time = Duration::from_mins(self.dice.below(120));
                self.pass(time);
                Ok(())
            }
            56 => self.break_something().await,
            57 => self.crash().await.map_err(|violation| violation.to_string().into()),
            58..=74 => self.project().await.map(drop),
            75..=82 => self.carry_out_due().await.map(drop),
            87 => self.expire_some().await,
            _ => self.dispatch().await,
        }
    }

    /// An application, now and then by a call that found it before it was deleted.
    fn found_app(&mut self) -> AppKey {
        let number = self.dice.below(20 * self.apps.len() as u64) as usize;
        match self.apps.get(number) {
            Some(app) => app.clone(),
            None => self.some_app(),
        }
    }

    async fn append(&mut self, body: Body<'_>) -> Result<(), Failure> {
        let app = self.found_app();
        let record = Record { account: app.account.as_str(), app: app.app.as_str(), request_id: "r", body };
        self.process().engine.append(&app, &record).await?;
        Ok(())
    }

    async fn update_endpoint(&mut self) -> Result<(), Failure> {
        let id = format!("Endpoint-{}", self.dice.below(ENDPOINTS));
        let mut json = serde_json::json!({});
        if !self.dice.once_in(4) {
            json["Address"] = format!("p{}@example.com", self.dice.below(ADDRESSES)).into();
            json["ChannelType"] = if self.dice.once_in(10) { "SMS" } else { "EMAIL" }.into();
        }
        if self.dice.once_in(5) {
            json["OptOut"] = if self.dice.once_in(2) { "ALL" } else { "NONE" }.into();
        }
        if self.dice.once_in(3) {
            let plan = ["pro", "team", "free"][self.dice.below(3) as usize];
            json["Attributes"] = serde_json::json!({ "plan": [plan] });
        }
        if self.dice.once_in(6) {
            json["EndpointStatus"] = if self.dice.once_in(2) { "ACTIVE" } else { "INACTIVE" }.into();
        }
        if self.dice.once_in(5) {
            json["User"] = serde_json::json!({ "UserId": format!("user-{}", self.dice.below(USERS)) });
        }
        if self.dice.once_in(4) {
            let zone =
                ["Europe/Berlin", "Asia/Tokyo", "America/New_York", "Nowhere"][self.dice.below(4) as usize];
            json["Demographic"] = serde_json::json!({ "Timezone": zone });
        }
        let json = json.to_string();
        self.append(Body::Endpoints { items: vec![EndpointItem { id: &id, json: &json }] }).await
    }

    async fn put_event(&mut self) -> Result<(), Failure> {
        let endpoint = self.dice.below(ENDPOINTS);
        // Few ids: some are repeats.
        let event = self.dice.below(200);
        let json = format!(
            r#"{{"BatchItem":{{"Endpoint-{endpoint}":{{"Endpoint":{{}},"Events":{{"e{event}":{{"EventType":"t{}","Timestamp":"{}"}}}}}}}}}}"#,
            self.dice.below(3),
            self.context.now()
        );
        let (app, request) = (self.found_app(), RequestId::new(self.context.ids.hex()));
        let engine = self.process().engine.clone();
        let batch = EventBatch::parse_known(&json, &engine.names.of(&app).events)?;
        engine.append_events(&app, &request, &json, &batch, true).await?;
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), Failure> {
        let (endpoint, user) = (self.dice.below(ENDPOINTS), self.dice.below(USERS));
        let (endpoint, user) = (format!("endpoint-{endpoint}"), format!("user-{user}"));
        let is_endpoint = self.dice.once_in(2);
        if self.dice.once_in(2) {
            let body = if is_endpoint {
                Body::EndpointDeleted { endpoint: &endpoint }
            } else {
                Body::UserDeleted { user: &user }
            };
            return self.append(body).await;
        }
        // Few calls: some are repeats.
        let call = format!("call-{}", self.dice.below(20));
        let row = invocations::key("key", "Delete", &call, 0);
        let expires = self.context.now().plus(Duration::from_mins(15));
        let answer = KeptAnswer { row: row.as_bytes(), status: 200, body: b"{}", expires };
        let of = if is_endpoint { Deletion::Endpoint(&endpoint) } else { Deletion::User(&user) };
        self.append(Body::AnsweredDeletion { of, answer }).await
    }

    async fn create_campaign(&mut self) -> Result<(), Failure> {
        let id = self.context.ids.hex();
        let now = self.context.now();
        let delay = Duration::from_mins(self.dice.below(180));
        let due = now.plus(delay);
        let document = serde_json::json!({
            "Name": "n", "SegmentId": SEGMENT, "HoldoutPercent": self.dice.below(30),
            "Schedule": {
                "StartTime": due.to_string(),
                "QuietTime": if self.dice.once_in(2) { serde_json::json!({"Start": "20:00", "End": "08:00"}) } else { serde_json::json!({}) },
            },
            "Limits": { "Daily": self.dice.below(3), "Total": 1 + self.dice.below(2) },
            "MessageConfiguration": { "EmailMessage": { "Title": "t", "HtmlBody": "<p>{{Address}}</p>" } },
        });
        let app = self.some_app();
        let definitions = definitions::campaigns(app.account.as_str(), app.app.as_str());
        let mut batch = Batch::default();
        definitions.create(&mut batch, &id, document.to_string(), BTreeMap::default(), now);
        let state = CampaignState {
            status: Status::Scheduled,
            version: 1,
            is_paused: false,
            due: Some(due),
            run: None,
            runs: 0,
            default_limits: Limits::default(),
            default_quiet_time: None,
            fault: None,
        };
        batch.put(state_key(&app, &id), encode(&state));
        let row = Due { app, task: Task::CampaignStart { campaign: id }, scheduled: due };
        batch.put(row.key(SHARD, due), encode(&row));
        self.commit(batch).await?;
        self.told.campaigns += 1;
        Ok(())
    }

    /// A direct message to some endpoints and an address, written as the API does. Nobody waits for it.
    async fn send_directly(&mut self) -> Result<(), Failure> {
        let mut recipients = vec![Recipient::Address(format!("p{}@example.com", self.dice.below(ADDRESSES)))];
        let first = self.dice.below(ENDPOINTS);
        recipients.extend(
            (first..first + self.dice.below(4))
                .map(|number| Recipient::Endpoint { endpoint: format!("endpoint-{number}"), user: None }),
        );
        let document = serde_json::json!({
            "MessageConfiguration": {"EmailMessage": {"SimpleEmail": {
                "Subject": {"Data": "t"}, "HtmlPart": {"Data": "<p>{{Address}}</p>"},
            }}},
        });
        let (app, now, id) = (self.some_app(), self.context.now(), self.context.ids.hex());
        let mut batch = Batch::default();
        let pages = put_direct(&mut batch, &app, &id, document.to_string(), &recipients, now);
        self.commit(batch).await?;
        for page in pages {
            self.process().engine.queues.written(page.lane, page.queue(), now, 1);
        }
        self.told.direct += 1;
        Ok(())
    }

    /// Deletes a campaign as the API does, or stops it as the API does when its segment is deleted: what is not claimed yet
    /// is not sent.
    async fn delete_campaign(&mut self) -> Result<(), Failure> {
        let app = self.some_app();
        let definitions = definitions::campaigns(app.account.as_str(), app.app.as_str());
        let kv = Arc::clone(&self.process().engine.kv);
        let heads = definitions.heads(&*kv).await?;
        if heads.is_empty() {
            return Ok(());
        }
        let chosen = &heads[self.dice.below(heads.len() as u64) as usize];
        let Some((head, row)) = definitions.head(&*kv, &chosen.id).await? else { return Ok(()) };
        let mut batch = Batch::default();
        let key = state_key(&app, &head.id);
        let Some(found) = kv.get(&key).await? else { return Ok(()) };
        let mut state: CampaignState = decode(&found.value)?;
        if self.dice.once_in(2) {
            definitions.delete(&mut batch, &head, row);
            batch.delete(key);
            for (key, _) in kv.scan(progresses(&app, &head.id).prefix(), ROWS_MAX).await? {
                batch.delete(key);
            }
        } else if !state.status.is_over() {
            state.status = Status::Deleted;
            state.due = None;
            batch.check(key.clone(), found.version);
            batch.put(key, encode(&state));
        }
        self.commit(batch).await
    }

    /// Now and then an application is deleted, or the provider is down for hours.
    async fn break_something(&mut self) -> Result<(), Failure> {
        if self.dice.once_in(2) {
            let down = Duration::from_mins(self.dice.below(12 * 60));
            self.outage_until.store(self.context.now().plus(down).0, Ordering::SeqCst);
            return Ok(());
        }
        let app = self.some_app();
        // Nothing happens in it any more, whether or not the process dies before it knows that it is deleted.
        self.make_app(app.account.as_str()).await;
        self.delete_app(&app).await?;
        self.told.deleted += 1;
        Ok(())
    }

    /// Deletes an application as the API does.
    async fn delete_app(&mut self, app: &AppKey) -> Result<(), Failure> {
        let now = self.context.now();
        let mut batch = Batch::default();
        for table in [Table::Channels, Table::Segments, Table::Campaigns, Table::Jobs] {
            let rows = Key::new(table).text(app.account.as_str()).text(app.app.as_str());
            for (key, row) in self.kv.scan(rows.prefix(), ROWS_MAX).await? {
                batch.check(key.clone(), row.version);
                batch.delete(key);
            }
        }
        let due = Due { app: app.clone(), task: Task::PurgeApp, scheduled: now };
        batch.put(due.key(SHARD, now), encode(&due));
        self.commit(batch).await
    }

    /// Commits what a call decided, and wakes the worker as the API does.
    async fn commit(&mut self, batch: Batch) -> Result<(), Failure> {
        let engine = self.process().engine.clone();
        engine.kv.commit(batch, Durability::Durable).await?;
        engine.due.notify_one();
        Ok(())
    }

    async fn project(&mut self) -> Result<Step, Failure> {
        let step = self.process().projector.step().await?;
        if step == Step::Idle && self.dice.once_in(3) {
            self.process().projector.rest();
        }
        Ok(step)
    }

    async fn carry_out_due(&mut self) -> Result<due::Next, Failure> {
        let engine = self.process().engine.clone();
        Ok(due::step(&engine).await?)
    }

    /// Claims of one of the lanes and sends.
    async fn dispatch(&mut self) -> Result<(), Failure> {
        let lane = self.dice.below(Lane::ALL.len() as u64) as usize;
        let Next::Claim(claim) = self.claim(lane).await? else { return Ok(()) };
        let sender = self.process().dispatchers[lane].sender();
        // Now and then the machine dies between the hand-over and its record.
        if self.dice.once_in(15) {
            dispatch::send_unrecorded(&sender, *claim).await?;
            self.crash().await.map_err(|violation| violation.to_string())?;
            return Ok(());
        }
        dispatch::send(&sender, *claim).await?;
        Ok(())
    }

    /// Claims; whether the claim is right is checked before anything else can change the state.
    async fn claim(&mut self, lane: usize) -> Result<Next, Failure> {
        let next = self.process().dispatchers[lane].step().await?;
        if let Next::Claim(claim) = &next {
            self.check_claim(&claim.intent).await.map_err(|violation| violation.to_string())?;
        }
        Ok(next)
    }

    /// Lets everything that is under way come to its end.
    pub(super) async fn settle(&mut self) -> Result<(), Violation> {
        for _ in 0..SETTLE_ROUNDS {
            match self.settle_step().await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(failure) => self.after(failure).await?,
            }
        }
        Err(Violation::Failed("the world does not come to rest".to_owned()))
    }

    /// Lets what is kept for some time only go.
    pub(super) async fn expire(&mut self) -> Result<(), Violation> {
        self.pass(Duration::from_hours(48));
        let engine = self.process().engine.clone();
        while expiries::step(&engine).await? {}
        Ok(())
    }

    /// Removes some of what has expired, with as much of the log folded as there is.
    async fn expire_some(&mut self) -> Result<(), Failure> {
        let engine = self.process().engine.clone();
        expiries::step(&engine).await?;
        Ok(())
    }

    async fn settle_step(&mut self) -> Result<bool, Failure> {
        while self.project().await? == Step::Progress {}
        let due = self.carry_out_due().await?;
        let mut wakes = Vec::new();
        for lane in 0..Lane::ALL.len() {
            match self.claim(lane).await? {
                Next::Wait(wake) => wakes.extend(wake),
                Next::Claim(claim) => {
                    let sender = self.process().dispatchers[lane].sender();
                    dispatch::send(&sender, *claim).await?;
                    return Ok(false);
                }
            }
        }
        let due::Next::Wait(due) = due else { return Ok(false) };
        let Some(wake) = wakes.into_iter().chain(due).min() else { return Ok(true) };
        let now = self.context.now();
        self.pass(wake.since(now).max(Duration::from_millis(1)));
        Ok(false)
    }
}
