//! The steps of the tour, through AWS's SDK.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use aws_sdk_pinpoint::Client;
use aws_sdk_pinpoint::types::{
    ActivityResponse, AttributeDimension, CampaignEmailMessage, CreateApplicationRequest,
    EmailChannelRequest, EmailTemplateRequest, Format, ImportJobRequest, JobStatus, MessageConfiguration,
    MetricDimension, Schedule, SegmentDimensions, SegmentLocation, SetDimension, Template,
    TemplateConfiguration, WriteCampaignRequest, WriteSegmentRequest,
};

use crate::screen::{line, progress};

/// The sample data, with its formats.
pub(crate) const FILES: [(&str, Format); 2] = [("people.csv", Format::Csv), ("people.ndjson", Format::Json)];

const TEMPLATE: &str = "spring-letter";
const ROLE: &str = "arn:aws:iam::123456789012:role/import";
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Why somebody in the audience is due nothing: by a rule of the campaign, or by choice.
const WITHHELD: [&str; 4] =
    ["TREATMENT_HOLDOUT", "ENDPOINT_OPT_OUT", "ENDPOINT_INACTIVE", "ENDPOINT_CHANNEL_MISMATCH"];
/// Looks before the tour gives up: five minutes.
const LOOKS_MAX: usize = 3_000;

const TEXT: &str = "\
Dear {{User.UserAttributes.FirstName}} {{User.UserAttributes.LastName}},

spring has come to {{Location.City}}. You have ordered {{Metrics.orders}} times with us,
and your plan is {{Attributes.plan}}: the new catalogue is waiting for you.

The Example Shop";

const HTML: &str = "\
<html><body><p>Dear {{User.UserAttributes.FirstName}} {{User.UserAttributes.LastName}},</p>
<p>spring has come to <b>{{Location.City}}</b>. You have ordered {{Metrics.orders}} times with us, and your plan is
<i>{{Attributes.plan}}</i>: the new catalogue is waiting for you.</p><p>The Example Shop</p></body></html>";

/// A segment in words and dimensions.
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    dimensions: SegmentDimensions,
}

pub(crate) fn segments() -> [Definition; 2] {
    let values =
        |values: &[&str]| Some(values.iter().map(|&value| value.to_owned()).collect::<Vec<String>>());
    let attribute = |listed: &[&str]| AttributeDimension::builder().set_values(values(listed)).build();
    let countries = SetDimension::builder().set_values(values(&["DE", "FR", "ES", "IT", "GB", "US"])).build();
    let readers = SegmentDimensions::builder()
        .attributes("newsletter", attribute(&["weekly", "monthly"]))
        .location(SegmentLocation::builder().country(countries).build());
    let regulars = SegmentDimensions::builder().attributes("plan", attribute(&["pro"])).metrics(
        "orders",
        MetricDimension::builder().comparison_operator("GREATER_THAN_OR_EQUAL").value(5.0).build(),
    );
    [
        Definition { name: "Readers of the newsletter in six countries", dimensions: readers.build() },
        Definition { name: "Regular customers with the plan pro", dimensions: regulars.build() },
    ]
}

pub(crate) async fn create_app(sdk: &Client) -> anyhow::Result<String> {
    let request = CreateApplicationRequest::builder().name("Example Shop").build();
    let output = sdk.create_app().create_application_request(request).send().await?;
    output.application_response.and_then(|app| app.id).context("an application has an id")
}

pub(crate) async fn import(sdk: &Client, app: &str, file: &str, format: Format) -> anyhow::Result<()> {
    let request = ImportJobRequest::builder()
        .format(format)
        .s3_url(format!("s3://samples/{file}"))
        .role_arn(ROLE)
        .register_endpoints(true)
        .define_segment(false)
        .build();
    let output = sdk.create_import_job().application_id(app).import_job_request(request).send().await?;
    let job = output.import_job_response.and_then(|job| job.id).context("a job has an id")?;
    for _ in 0..LOOKS_MAX {
        let output = sdk.get_import_job().application_id(app).job_id(&job).send().await?;
        let state = output.import_job_response.context("a job")?;
        match state.job_status {
            Some(JobStatus::Completed) => {
                let (taken, failed) = (state.total_processed.unwrap_or(0), state.total_failures.unwrap_or(0));
                line(&format!("{file:<14} {taken:>6} endpoints, {failed} lines refused"));
                ensure!(taken > 0 && failed == 0, "the samples hold {failed} lines that are refused");
                return Ok(());
            }
            Some(JobStatus::Failed) => bail!("the import of {file} failed: {:?}", state.failures),
            _ => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
    bail!("the import of {file} does not end")
}

pub(crate) async fn create_segment(
    sdk: &Client,
    app: &str,
    definition: &Definition,
) -> anyhow::Result<String> {
    let request = WriteSegmentRequest::builder()
        .name(definition.name)
        .dimensions(definition.dimensions.clone())
        .build();
    let output = sdk.create_segment().application_id(app).write_segment_request(request).send().await?;
    output.segment_response.and_then(|segment| segment.id).context("a segment has an id")
}

pub(crate) async fn enable_email(sdk: &Client, app: &str) -> anyhow::Result<()> {
    let request = EmailChannelRequest::builder()
        .from_address("The Example Shop <shop@example.com>")
        .identity("arn:aws:ses:us-east-1:123456789012:identity/example.com")
        .build();
    sdk.update_email_channel().application_id(app).email_channel_request(request).send().await?;
    Ok(())
}

pub(crate) async fn create_template(sdk: &Client) -> anyhow::Result<()> {
    let request = EmailTemplateRequest::builder()
        .subject("{{User.UserAttributes.FirstName}}, spring in {{Location.City}}")
        .text_part(TEXT)
        .html_part(HTML)
        .build();
    sdk.create_email_template().template_name(TEMPLATE).email_template_request(request).send().await?;
    line(&format!("template {TEMPLATE}"));
    Ok(())
}

pub(crate) async fn create_campaign(sdk: &Client, app: &str, segment: &str) -> anyhow::Result<String> {
    let template = Template::builder().name(TEMPLATE).build();
    let email = CampaignEmailMessage::builder().from_address("The Example Shop <shop@example.com>").build();
    let request = WriteCampaignRequest::builder()
        .name("Spring letter")
        .segment_id(segment)
        .holdout_percent(10)
        .schedule(Schedule::builder().start_time("IMMEDIATE").build())
        .message_configuration(MessageConfiguration::builder().email_message(email).build())
        .template_configuration(TemplateConfiguration::builder().email_template(template).build())
        .build();
    let output = sdk.create_campaign().application_id(app).write_campaign_request(request).send().await?;
    let campaign =
        output.campaign_response.and_then(|campaign| campaign.id).context("a campaign has an id")?;
    line(&format!("campaign {campaign}"));
    Ok(campaign)
}

/// Draws the campaign's progress until it has ended.
pub(crate) async fn watch(
    sdk: &Client,
    app: &str,
    campaign: &str,
    audience: u64,
) -> anyhow::Result<ActivityResponse> {
    for _ in 0..LOOKS_MAX {
        let output = sdk.get_campaign_activities().application_id(app).campaign_id(campaign).send().await?;
        let activities =
            output.activities_response.and_then(|activities| activities.item).unwrap_or_default();
        if let Some(activity) = activities.into_iter().next() {
            let done: u64 = outcomes(&activity).iter().map(|(_, count)| count).sum();
            progress("decided", done, audience);
            if activity.state.as_deref() == Some("COMPLETED") {
                return Ok(activity);
            }
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    bail!("the campaign does not end")
}

/// What became of the audience, by name: everybody once.
fn outcomes(activity: &ActivityResponse) -> Vec<(&str, u64)> {
    let metrics = activity.execution_metrics.iter().flatten();
    let numbers = metrics.filter_map(|(name, count)| Some((name.as_str(), count.parse().ok()?)));
    let mut outcomes: Vec<(&str, u64)> = numbers.filter(|(name, _)| *name != "ENDPOINT_PRODUCED").collect();
    outcomes.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(*count));
    outcomes
}

/// Prints the account of the campaign; answers whether everybody is accounted for, and all that was due arrived.
pub(crate) fn report(activity: &ActivityResponse, audience: u64, arrived: u64, seconds: f64) -> bool {
    let outcomes = outcomes(activity);
    let total: u64 = outcomes.iter().map(|(_, count)| count).sum();
    for (name, count) in &outcomes {
        line(&format!("{name:<30} {count:>6}"));
    }
    let sent = activity.successful_endpoint_count.unwrap_or(0) as u64;
    line(&format!("{:<30} {total:>6} of {audience}", "accounted for"));
    let withheld = outcomes.iter().filter(|(name, _)| WITHHELD.contains(name)).map(|(_, count)| count);
    let due = audience - withheld.sum::<u64>().min(audience);
    line(&format!("{:<30} {arrived:>6} of {due} that were due, in {seconds:.1} s", "in the mailboxes"));
    due > 0 && arrived == due && sent == due && total == audience
}
