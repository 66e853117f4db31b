"""What an application written against Amazon Pinpoint does, with boto3; only the endpoint's URL is not AWS's."""

import time

import boto3
from botocore.exceptions import ClientError

pinpoint = boto3.client("pinpoint")

app = pinpoint.create_app(CreateApplicationRequest={"Name": "walkthrough", "tags": {"team": "shop"}})
app = app["ApplicationResponse"]
assert app["tags"] == {"team": "shop"}, app
app_id = app["Id"]

try:
    pinpoint.get_app(ApplicationId="0" * 32)
    raise AssertionError("an application that does not exist was found")
except pinpoint.exceptions.NotFoundException as error:
    assert error.response["Message"] == "Application not found", error.response

try:
    pinpoint.put_events(ApplicationId=app_id, EventsRequest={"BatchItem": {
        "e": {"Endpoint": {}, "Events": {str(n): {"EventType": "t", "Timestamp": "2026-11-01T00:00:00Z"} for n in range(101)}}}})
    raise AssertionError("101 events were taken")
except ClientError as error:
    assert error.response["Error"]["Code"] == "BadRequestException", error.response

for name, country in [("grace", "US"), ("edsger", "NL"), ("tony", "GB")]:
    pinpoint.update_endpoint(ApplicationId=app_id, EndpointId=f"{name}/mail", EndpointRequest={
        "ChannelType": "EMAIL", "Address": f"{name}@example.com", "Location": {"Country": country},
        "User": {"UserId": name, "UserAttributes": {"FirstName": [name.capitalize()]}}})
found = pinpoint.get_endpoint(ApplicationId=app_id, EndpointId="grace/mail")["EndpointResponse"]
assert found["User"]["UserAttributes"] == {"FirstName": ["Grace"]}, found

answer = pinpoint.put_events(ApplicationId=app_id, EventsRequest={"BatchItem": {"grace/mail": {
    "Endpoint": {}, "Events": {"1": {"EventType": "_session.start", "Timestamp": "2026-11-01T10:00:00.000Z"},
                               "2": {"EventType": "", "Timestamp": "2026-11-01T10:00:00.000Z"}}}}})
results = answer["EventsResponse"]["Results"]["grace/mail"]["EventsItemResponse"]
assert results["1"]["StatusCode"] == 202 and results["2"]["StatusCode"] == 400, results

segment = pinpoint.create_segment(ApplicationId=app_id, WriteSegmentRequest={"Name": "americans", "Dimensions": {
    "Location": {"Country": {"DimensionType": "INCLUSIVE", "Values": ["US"]}}}})["SegmentResponse"]
assert segment["Version"] == 1, segment

pinpoint.update_email_channel(ApplicationId=app_id, EmailChannelRequest={
    "FromAddress": "shop@example.com", "Identity": "arn:aws:ses:us-east-1:123456789012:identity/example.com"})
pinpoint.create_email_template(TemplateName="hello", EmailTemplateRequest={
    "Subject": "Hello {{User.UserAttributes.FirstName}}", "HtmlPart": "<p>Hello from {{Location.Country}}</p>"})
campaign = pinpoint.create_campaign(ApplicationId=app_id, WriteCampaignRequest={
    "Name": "hello", "SegmentId": segment["Id"], "SegmentVersion": 1, "Schedule": {"StartTime": "IMMEDIATE"},
    "TemplateConfiguration": {"EmailTemplate": {"Name": "hello"}}})["CampaignResponse"]
for _ in range(600):
    state = pinpoint.get_campaign(ApplicationId=app_id, CampaignId=campaign["Id"])["CampaignResponse"]["State"]
    if state["CampaignStatus"] == "COMPLETED":
        break
    time.sleep(0.05)
assert state["CampaignStatus"] == "COMPLETED", state
activities = pinpoint.get_campaign_activities(ApplicationId=app_id, CampaignId=campaign["Id"])
activity = activities["ActivitiesResponse"]["Item"][0]
assert activity["SuccessfulEndpointCount"] == 1 and activity["Result"] == "SUCCESS", activity

sent = pinpoint.send_users_messages(ApplicationId=app_id, SendUsersMessageRequest={
    "Users": {"edsger": {}}, "MessageConfiguration": {"EmailMessage": {"SimpleEmail": {
        "Subject": {"Data": "For you"}, "TextPart": {"Data": "Considered helpful"}}}}})
result = sent["SendUsersMessageResponse"]["Result"]["edsger"]["edsger/mail"]
assert result["DeliveryStatus"] == "SUCCESSFUL", result

pinpoint.delete_app(ApplicationId=app_id)
print("done")
