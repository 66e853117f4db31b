//! Pinpoint: one line for each operation, grouped as in `model`. A handler is named like its operation, in snake case; the
//! families of channels and templates have one body each, for which a line says the kind.

use std::collections::BTreeMap;

use domain::time::Timestamp;
use model::pinpoint::{self as wire, MessageBody};
use store::tables::definitions::{Definitions, Head};
use store::{Batch, Version};

use crate::context::Cx;
use crate::routes::Routes;

mod apps;
mod campaigns;
mod channels;
mod endpoints;
mod events;
mod jobs;
mod messages;
mod segments;
mod settings;
mod tags;
mod templates;

/// Adds the service's handlers.
#[rustfmt::skip] // a table: one line for each operation
pub fn routes(routes: Routes) -> Routes {
    let routes = template_routes(channel_routes(routes));
    routes
        // apps
        .op(wire::CreateApp, apps::create_app)
        .op(wire::DeleteApp, apps::delete_app)
        .op(wire::GetApp, apps::get_app)
        .op(wire::GetApps, apps::get_apps)
        // campaigns
        .op(wire::CreateCampaign, campaigns::create_campaign)
        .op(wire::DeleteCampaign, campaigns::delete_campaign)
        .op(wire::GetCampaign, campaigns::get_campaign)
        .op(wire::GetCampaignActivities, campaigns::get_campaign_activities)
        .op(wire::GetCampaignVersion, campaigns::get_campaign_version)
        .op(wire::GetCampaignVersions, campaigns::get_campaign_versions)
        .op(wire::GetCampaigns, campaigns::get_campaigns)
        .op(wire::UpdateCampaign, campaigns::update_campaign)
        // endpoints and users
        .op(wire::DeleteEndpoint, endpoints::delete_endpoint)
        .op(wire::DeleteUserEndpoints, endpoints::delete_user_endpoints)
        .op(wire::GetEndpoint, endpoints::get_endpoint)
        .op(wire::GetUserEndpoints, endpoints::get_user_endpoints)
        .op(wire::RemoveAttributes, endpoints::remove_attributes)
        .raw(wire::UpdateEndpoint, endpoints::update_endpoint)
        .raw(wire::UpdateEndpointsBatch, endpoints::update_endpoints_batch)
        // events
        .raw(wire::PutEvents, events::put_events)
        // jobs
        .op(wire::CreateExportJob, jobs::create_export_job)
        .op(wire::CreateImportJob, jobs::create_import_job)
        .op(wire::GetExportJob, jobs::get_export_job)
        .op(wire::GetExportJobs, jobs::get_export_jobs)
        .op(wire::GetImportJob, jobs::get_import_job)
        .op(wire::GetImportJobs, jobs::get_import_jobs)
        .op(wire::GetSegmentExportJobs, jobs::get_segment_export_jobs)
        .op(wire::GetSegmentImportJobs, jobs::get_segment_import_jobs)
        // messages
        .op(wire::SendMessages, messages::send_messages)
        .op(wire::SendUsersMessages, messages::send_users_messages)
        // segments
        .op(wire::CreateSegment, segments::create_segment)
        .op(wire::DeleteSegment, segments::delete_segment)
        .op(wire::GetSegment, segments::get_segment)
        .op(wire::GetSegmentVersion, segments::get_segment_version)
        .op(wire::GetSegmentVersions, segments::get_segment_versions)
        .op(wire::GetSegments, segments::get_segments)
        .op(wire::UpdateSegment, segments::update_segment)
        // settings
        .op(wire::GetApplicationSettings, settings::get_application_settings)
        .op(wire::UpdateApplicationSettings, settings::update_application_settings)
        // tags
        .op(wire::ListTagsForResource, tags::list_tags_for_resource)
        .op(wire::TagResource, tags::tag_resource)
        .op(wire::UntagResource, tags::untag_resource)
}

#[rustfmt::skip]
fn channel_routes(routes: Routes) -> Routes {
    use channels::{Adm, Apns, ApnsSandbox, ApnsVoip, ApnsVoipSandbox, Baidu, Email, Gcm, Sms, Voice, delete, get, update};
    routes
        .op(wire::GetChannels, channels::get_channels)
        .op(wire::DeleteAdmChannel, |cx, input| delete::<Adm>(cx, input.application_id))
        .op(wire::DeleteApnsChannel, |cx, input| delete::<Apns>(cx, input.application_id))
        .op(wire::DeleteApnsSandboxChannel, |cx, input| delete::<ApnsSandbox>(cx, input.application_id))
        .op(wire::DeleteApnsVoipChannel, |cx, input| delete::<ApnsVoip>(cx, input.application_id))
        .op(wire::DeleteApnsVoipSandboxChannel, |cx, input| delete::<ApnsVoipSandbox>(cx, input.application_id))
        .op(wire::DeleteBaiduChannel, |cx, input| delete::<Baidu>(cx, input.application_id))
        .op(wire::DeleteEmailChannel, |cx, input| delete::<Email>(cx, input.application_id))
        .op(wire::DeleteGcmChannel, |cx, input| delete::<Gcm>(cx, input.application_id))
        .op(wire::DeleteSmsChannel, |cx, input| delete::<Sms>(cx, input.application_id))
        .op(wire::DeleteVoiceChannel, |cx, input| delete::<Voice>(cx, input.application_id))
        .op(wire::GetAdmChannel, |cx, input| get::<Adm>(cx, input.application_id))
        .op(wire::GetApnsChannel, |cx, input| get::<Apns>(cx, input.application_id))
        .op(wire::GetApnsSandboxChannel, |cx, input| get::<ApnsSandbox>(cx, input.application_id))
        .op(wire::GetApnsVoipChannel, |cx, input| get::<ApnsVoip>(cx, input.application_id))
        .op(wire::GetApnsVoipSandboxChannel, |cx, input| get::<ApnsVoipSandbox>(cx, input.application_id))
        .op(wire::GetBaiduChannel, |cx, input| get::<Baidu>(cx, input.application_id))
        .op(wire::GetEmailChannel, |cx, input| get::<Email>(cx, input.application_id))
        .op(wire::GetGcmChannel, |cx, input| get::<Gcm>(cx, input.application_id))
        .op(wire::GetSmsChannel, |cx, input| get::<Sms>(cx, input.application_id))
        .op(wire::GetVoiceChannel, |cx, input| get::<Voice>(cx, input.application_id))
        .op(wire::UpdateAdmChannel, |cx, input| update::<Adm>(cx, input.application_id, input.adm_channel_request))
        .op(wire::UpdateApnsChannel, |cx, input| update::<Apns>(cx, input.application_id, input.apns_channel_request))
        .op(wire::UpdateApnsSandboxChannel, |cx, input| update::<ApnsSandbox>(cx, input.application_id, input.apns_sandbox_channel_request))
        .op(wire::UpdateApnsVoipChannel, |cx, input| update::<ApnsVoip>(cx, input.application_id, input.apns_voip_channel_request))
        .op(wire::UpdateApnsVoipSandboxChannel, |cx, input| update::<ApnsVoipSandbox>(cx, input.application_id, input.apns_voip_sandbox_channel_request))
        .op(wire::UpdateBaiduChannel, |cx, input| update::<Baidu>(cx, input.application_id, input.baidu_channel_request))
        .op(wire::UpdateEmailChannel, |cx, input| update::<Email>(cx, input.application_id, input.email_channel_request))
        .op(wire::UpdateGcmChannel, |cx, input| update::<Gcm>(cx, input.application_id, input.gcm_channel_request))
        .op(wire::UpdateSmsChannel, |cx, input| update::<Sms>(cx, input.application_id, input.sms_channel_request))
        .op(wire::UpdateVoiceChannel, |cx, input| update::<Voice>(cx, input.application_id, input.voice_channel_request))
}

#[rustfmt::skip]
fn template_routes(routes: Routes) -> Routes {
    use templates::{Email, InApp, Push, Sms, Versioning, Voice, create, delete, get, update};
    routes
        .op(wire::ListTemplates, templates::list_templates)
        .op(wire::ListTemplateVersions, templates::list_template_versions)
        .op(wire::UpdateTemplateActiveVersion, templates::update_template_active_version)
        .op(wire::CreateEmailTemplate, |cx, input| create::<Email>(cx, input.template_name, input.email_template_request))
        .op(wire::CreateInAppTemplate, |cx, input| create::<InApp>(cx, input.template_name, input.in_app_template_request))
        .op(wire::CreatePushTemplate, |cx, input| create::<Push>(cx, input.template_name, input.push_notification_template_request))
        .op(wire::CreateSmsTemplate, |cx, input| create::<Sms>(cx, input.template_name, input.sms_template_request))
        .op(wire::CreateVoiceTemplate, |cx, input| create::<Voice>(cx, input.template_name, input.voice_template_request))
        .op(wire::DeleteEmailTemplate, |cx, input| delete::<Email>(cx, input.template_name, input.version))
        .op(wire::DeleteInAppTemplate, |cx, input| delete::<InApp>(cx, input.template_name, input.version))
        .op(wire::DeletePushTemplate, |cx, input| delete::<Push>(cx, input.template_name, input.version))
        .op(wire::DeleteSmsTemplate, |cx, input| delete::<Sms>(cx, input.template_name, input.version))
        .op(wire::DeleteVoiceTemplate, |cx, input| delete::<Voice>(cx, input.template_name, input.version))
        .op(wire::GetEmailTemplate, |cx, input| get::<Email>(cx, input.template_name, input.version))
        .op(wire::GetInAppTemplate, |cx, input| get::<InApp>(cx, input.template_name, input.version))
        .op(wire::GetPushTemplate, |cx, input| get::<Push>(cx, input.template_name, input.version))
        .op(wire::GetSmsTemplate, |cx, input| get::<Sms>(cx, input.template_name, input.version))
        .op(wire::GetVoiceTemplate, |cx, input| get::<Voice>(cx, input.template_name, input.version))
        .op(wire::UpdateEmailTemplate, |cx, input| {
            let versioning = Versioning { create_new_version: input.create_new_version, version: input.version };
            update::<Email>(cx, input.template_name, input.email_template_request, versioning)
        })
        .op(wire::UpdateInAppTemplate, |cx, input| {
            let versioning = Versioning { create_new_version: input.create_new_version, version: input.version };
            update::<InApp>(cx, input.template_name, input.in_app_template_request, versioning)
        })
        .op(wire::UpdatePushTemplate, |cx, input| {
            let versioning = Versioning { create_new_version: input.create_new_version, version: input.version };
            update::<Push>(cx, input.template_name, input.push_notification_template_request, versioning)
        })
        .op(wire::UpdateSmsTemplate, |cx, input| {
            let versioning = Versioning { create_new_version: input.create_new_version, version: input.version };
            update::<Sms>(cx, input.template_name, input.sms_template_request, versioning)
        })
        .op(wire::UpdateVoiceTemplate, |cx, input| {
            let versioning = Versioning { create_new_version: input.create_new_version, version: input.version };
            update::<Voice>(cx, input.template_name, input.voice_template_request, versioning)
        })
}

/// The answer of calls that only say that they were taken.
fn accepted(cx: &Cx) -> MessageBody {
    MessageBody { message: Some("Accepted".to_owned()), request_id: Some(cx.request_id.to_string()) }
}

/// Writes a definition of which only the newest version is kept: settings, channels. `read` is what was read of it.
fn replace(
    definitions: &Definitions,
    batch: &mut Batch,
    (id, read): (&str, Option<(Head, Version)>),
    document: String,
    now: Timestamp,
) -> Head {
    let Some((head, row)) = read else {
        return definitions.create(batch, id, document, BTreeMap::new(), now).0;
    };
    batch.delete(definitions.body_key(id, head.latest));
    definitions.add_version(batch, &head, row, document, now).0
}
