//! From an unmodified AWS SDK to a message in a mailbox.

use std::collections::BTreeSet;

use aws_sdk_pinpoint::types::{
    AddressConfiguration, ChannelType, DirectMessageConfiguration, EmailMessage, MessageRequest, SimpleEmail,
    SimpleEmailPart,
};

use crate::support::{World, app, campaign, ended, metric, people};

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_arrives_in_the_sandbox() {
    let world = World::new();
    let server = world.serve().await;
    let sdk = server.sdk();
    let app = app(&sdk).await;
    people(&sdk, &app, 250).await;
    let campaign = campaign(&sdk, &app).await;
    let activity = ended(&sdk, &app, &campaign).await;
    assert_eq!((metric(&activity, "SUCCESS"), activity.successful_endpoint_count), (250, Some(250)));

    let page = server.get("/counterpoint/v1/sandbox/messages?page-size=1000&channel=EMAIL").await;
    let messages = page["Messages"].as_array().unwrap();
    let recipients: BTreeSet<&str> = messages.iter().map(|message| message["To"].as_str().unwrap()).collect();
    assert_eq!((messages.len(), recipients.len(), page["Total"].as_u64()), (250, 250, Some(250)));
    let page = server.get("/counterpoint/v1/sandbox/messages?recipient=person-7@example.com").await;
    let message = &page["Messages"][0];
    assert_eq!(message["Subject"], "News for s1");
    assert_eq!(message["Text"].as_str().unwrap().trim_end(), "Hello person-7@example.com");
    assert_eq!(message["Html"].as_str().unwrap().trim_end(), "<p>Hello person-7@example.com</p>");
    assert_eq!(message["From"], "Shop <shop@example.com>");

    // The same delivery, as an auditor asks for it.
    let deliveries = server.get(&format!("/counterpoint/v1/apps/{app}/endpoints/person-7/deliveries")).await;
    let delivery = &deliveries["Item"][0];
    assert_eq!(
        (&delivery["Status"], &delivery["CampaignId"]),
        (&"SUCCESS".into(), &campaign.as_str().into())
    );
    assert_eq!(delivery["DeliveryId"], message["DeliveryId"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_message_is_answered_with_its_outcome() {
    let world = World::new();
    let server = world.serve().await;
    let sdk = server.sdk();
    let app = app(&sdk).await;
    let part = |text: &str| SimpleEmailPart::builder().data(text).build();
    let simple = SimpleEmail::builder().subject(part("Your code")).text_part(part("It is 4711")).build();
    let email = EmailMessage::builder().simple_email(simple).build();
    let address = || AddressConfiguration::builder().channel_type(ChannelType::Email).build();
    let request = MessageRequest::builder()
        .addresses("ann@example.com", address())
        .addresses("bounce@example.com", address())
        .message_configuration(DirectMessageConfiguration::builder().email_message(email).build())
        .build();
    let output = sdk.send_messages().application_id(&app).message_request(request).send().await.unwrap();
    let result = output.message_response.unwrap().result.unwrap();
    let taken = &result["ann@example.com"];
    assert_eq!(
        (taken.delivery_status.as_ref().unwrap().as_str(), taken.status_code),
        ("SUCCESSFUL", Some(200))
    );
    let refused = &result["bounce@example.com"];
    assert_eq!(
        (refused.delivery_status.as_ref().unwrap().as_str(), refused.status_code),
        ("PERMANENT_FAILURE", Some(400))
    );
    assert!(refused.status_message.as_ref().unwrap().contains("550"), "{refused:?}");
    let page = server.get("/counterpoint/v1/sandbox/messages").await;
    assert_eq!(page["Total"], 1);
    assert_eq!(page["Messages"][0]["DeliveryId"].as_str(), taken.message_id.as_deref());
    server.stop().await;
}
