//! An update merged into an endpoint (spec/10-endpoints-users.md §2, §3, §6).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    ATTRIBUTE_NAMES_MAX, Address, AppKey, AttributeKind, Audience, NotLoaded, Row, TOO_MANY_ENDPOINTS,
    cohort, folded_address, is_blocked,
};
use crate::channels::ChannelType;
use crate::endpoints::{
    Demographic, ENDPOINT_BYTES_MAX, ENDPOINTS_PER_USER_MAX, Endpoint, EndpointStatus, EndpointUpdate,
    Invalid, Location, OptOut, Text, USER_BYTES_MAX, User, Values,
};
use crate::ids::{EndpointId, RequestId, UserId, folded};
use crate::time::Timestamp;

/// With what a record arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub at: Timestamp,
    pub request_id: RequestId,
    /// Endpoints that do not exist are made. False: the account had as many as it may when the record was written.
    pub may_create: bool,
}

/// Says that an endpoint is there and active, and nothing else of it: the empty `Endpoint` of `PutEvents` (spec/20 §1). Makes
/// it where there is none; one that exists keeps its status, date and request id.
pub fn touch(
    audience: &mut Audience,
    key: &AppKey,
    id: &EndpointId,
    arrival: &Arrival,
) -> Result<Result<(), Invalid>, NotLoaded> {
    if !audience.summary.deleted
        && let Some(ordinal) = audience.endpoint(&id.folded())?.map(|endpoint| endpoint.ordinal)
    {
        audience.touch(ordinal, arrival.at);
        return Ok(Ok(()));
    }
    update(audience, key, id, &mut EndpointUpdate::default(), arrival)
}

/// Applies an update to the endpoint `id`, or refuses it as a whole with the text that the client reads. What is merged is
/// taken out of the update; with [`NotLoaded`] it is as it was.
pub fn update(
    audience: &mut Audience,
    key: &AppKey,
    id: &EndpointId,
    update: &mut EndpointUpdate,
    arrival: &Arrival,
) -> Result<Result<(), Invalid>, NotLoaded> {
    if audience.summary.deleted {
        return Ok(Err(Invalid::new("Application not found")));
    }
    let folded = id.folded();
    let existing = audience.endpoint(&folded)?;
    if existing.is_none() && !arrival.may_create {
        return Ok(Err(Invalid::new(TOO_MANY_ENDPOINTS)));
    }
    if existing.is_none() {
        audience.require_ordinal(audience.summary.next_ordinal)?;
    }
    require_rows(audience, &folded, existing, update)?;
    let existing = existing.cloned();
    let plan = match plan(audience, key, id, &folded, existing, update, arrival)? {
        Ok(plan) => plan,
        Err(refusal) => return Ok(Err(refusal)),
    };
    plan.carry_out(audience, &folded)?;
    Ok(Ok(()))
}

/// Asks for the users and addresses of both the endpoint and the update, and for who holds the address: before anything is
/// merged, and together, to save rounds.
fn require_rows(
    audience: &Audience,
    folded: &str,
    existing: Option<&Endpoint>,
    update: &EndpointUpdate,
) -> Result<(), NotLoaded> {
    let old_user = existing.and_then(|endpoint| endpoint.user_id.as_ref()).map(UserId::as_str);
    let sent_user = update.user.as_ref().and_then(|user| user.user_id.as_deref()).filter(|id| !id.is_empty());
    let users = old_user.into_iter().chain(sent_user).filter(|id| !audience.users.is_loaded(*id));
    let users = users.map(|id| Row::User(id.into()));
    let old_address = existing.and_then(held_address);
    let claimed = claimed_address(existing, update);
    let addresses =
        old_address.iter().chain(claimed.iter().filter(|claimed| old_address.as_ref() != Some(claimed)));
    let addresses = addresses.filter(|address| !audience.addresses.is_loaded(*address));
    let missing: Vec<Row> = users.chain(addresses.cloned().map(Row::Address)).collect();
    if !missing.is_empty() {
        return Err(NotLoaded(missing));
    }
    if let Some(address) = claimed
        && let Some(holder) = audience.holder(&address)?
    {
        audience.endpoint(holder)?;
    }
    // Whoever gives way to a user's 16th endpoint is one of the others.
    let user =
        if update.user.as_ref().is_some_and(|user| user.user_id.is_some()) { sent_user } else { old_user };
    let Some(user) = user.map(|id| audience.user(id)).transpose()?.flatten() else { return Ok(()) };
    if user.endpoints.len() < ENDPOINTS_PER_USER_MAX || user.endpoints.contains(folded) {
        return Ok(());
    }
    let others = user.endpoints.iter().filter(|other| !audience.endpoints.is_loaded(other.as_str()));
    let missing: Vec<Row> = others.map(|other| Row::Endpoint(other.as_str().into())).collect();
    if missing.is_empty() { Ok(()) } else { Err(NotLoaded(missing)) }
}

/// The address that the endpoint will claim once the update is merged.
fn claimed_address(existing: Option<&Endpoint>, update: &EndpointUpdate) -> Option<Address> {
    if update.endpoint_status == Some(EndpointStatus::Inactive) {
        return None;
    }
    let channel = update.channel_type.or(existing.and_then(|endpoint| endpoint.channel_type))?;
    let kept = existing.and_then(|endpoint| endpoint.address.as_deref());
    let address = update.address.as_deref().or(kept).filter(|address| !address.is_empty())?;
    Some(Address::new(channel, address))
}

/// Rows that an update needs for all that is known before its endpoint is read: the endpoint itself, the user and the address
/// that the update names.
pub fn rows_named(endpoint_id: &str, update: &EndpointUpdate) -> Vec<Row> {
    let sent_user = update.user.as_ref().and_then(|user| user.user_id.as_deref()).filter(|id| !id.is_empty());
    let claimed = claimed_address(None, update);
    std::iter::once(Row::Endpoint(folded(endpoint_id).into()))
        .chain(sent_user.map(|id| Row::User(id.into())))
        .chain(claimed.map(Row::Address))
        .collect()
}

/// Everything that an accepted update changes; made first, so that a refusal changes nothing.
struct Plan {
    endpoint: Endpoint,
    is_new: bool,
    old_user: Option<UserId>,
    old_address: Option<Address>,
    /// For the user, if there is one.
    user_attributes: BTreeMap<Text, Values>,
    /// The user's endpoint that gives way to this one.
    displaced: Option<String>,
    new_names: Vec<(AttributeKind, String)>,
}

fn plan(
    audience: &Audience,
    key: &AppKey,
    id: &EndpointId,
    folded: &Arc<str>,
    existing: Option<Endpoint>,
    update: &mut EndpointUpdate,
    arrival: &Arrival,
) -> Result<Result<Plan, Invalid>, NotLoaded> {
    let is_new = existing.is_none();
    let old_user = existing.as_ref().and_then(|endpoint| endpoint.user_id.clone());
    let old_address = existing.as_ref().and_then(held_address);
    let last_active = existing.as_ref().map(Endpoint::last_active);
    let mut endpoint = existing.unwrap_or_else(|| fresh(audience, key, id, folded, arrival));
    let mut new_names = Vec::new();
    let mut user_attributes = merge(audience, &mut endpoint, update, arrival, &mut new_names);
    endpoint.last_effective_date = last_active.filter(|last_active| *last_active > endpoint.effective_date);
    if endpoint.user_id.is_none() {
        merge_values(&mut endpoint.loose_user_attributes, std::mem::take(&mut user_attributes));
    }
    if let Err(refusal) = check(audience, &endpoint, update, &new_names) {
        return Ok(Err(refusal));
    }
    if let Err(refusal) = check_user(audience, &endpoint, &user_attributes)? {
        return Ok(Err(refusal));
    }
    let displaced = match displaced(audience, folded, &endpoint)? {
        Ok(displaced) => displaced,
        Err(refusal) => return Ok(Err(refusal)),
    };
    Ok(Ok(Plan { endpoint, is_new, old_user, old_address, user_attributes, displaced, new_names }))
}

fn fresh(audience: &Audience, key: &AppKey, id: &EndpointId, folded: &str, arrival: &Arrival) -> Endpoint {
    Endpoint {
        id: id.clone(),
        ordinal: audience.summary.next_ordinal,
        cohort: cohort(key, folded, arrival.at),
        created: arrival.at,
        effective_date: arrival.at,
        request_id: arrival.request_id.clone(),
        status: EndpointStatus::Active,
        opt_out: OptOut::None,
        channel_type: None,
        address: None,
        user_id: None,
        attributes: BTreeMap::new(),
        metrics: BTreeMap::new(),
        demographic: Demographic::default(),
        location: Location::default(),
        loose_user_attributes: BTreeMap::new(),
        last_effective_date: None,
    }
}

/// The address that an endpoint claims: only an active one does.
fn held_address(endpoint: &Endpoint) -> Option<Address> {
    if endpoint.status == EndpointStatus::Active { folded_address(endpoint) } else { None }
}

/// Moves members into the endpoint; returns the user attributes to merge into the user.
fn merge(
    audience: &Audience,
    endpoint: &mut Endpoint,
    update: &mut EndpointUpdate,
    arrival: &Arrival,
    new_names: &mut Vec<(AttributeKind, String)>,
) -> BTreeMap<Text, Values> {
    // Destructured in full: a new member has to be decided here.
    let EndpointUpdate {
        id: _,
        address,
        attributes,
        channel_type,
        demographic,
        effective_date,
        endpoint_status,
        location,
        metrics,
        opt_out,
        request_id: _,
        user,
    } = update;
    let mut capture = |kind: AttributeKind, name: &str| {
        if is_blocked(&audience.summary.blocked, kind, name) {
            return false;
        }
        let is_new = !audience.summary.names.contains(kind, name);
        if is_new && !new_names.iter().any(|(of, other)| *of == kind && other == name) {
            new_names.push((kind, name.to_owned()));
        }
        true
    };
    let mut attributes = attributes.take().unwrap_or_default();
    attributes.retain(|name, values| {
        if values.is_empty() {
            endpoint.attributes.remove(name);
        }
        !values.is_empty() && capture(AttributeKind::Endpoint, name)
    });
    put_all(&mut endpoint.attributes, attributes);
    let mut metrics = metrics.take().unwrap_or_default();
    metrics.retain(|name, _| capture(AttributeKind::Metric, name));
    put_all(&mut endpoint.metrics, metrics);
    let mut user_attributes = BTreeMap::new();
    if let Some(user) = user {
        user_attributes = user.user_attributes.take().unwrap_or_default();
        user_attributes.retain(|name, values| values.is_empty() || capture(AttributeKind::User, name));
        if let Some(id) = &user.user_id {
            endpoint.user_id = (!id.is_empty()).then(|| UserId::new(id));
        }
    }
    if let Some(address) = address.take() {
        endpoint.address = (!address.is_empty()).then_some(address);
    }
    endpoint.channel_type = channel_type.or(endpoint.channel_type);
    endpoint.status = endpoint_status.unwrap_or(EndpointStatus::Active);
    endpoint.opt_out = opt_out.unwrap_or(endpoint.opt_out);
    endpoint.effective_date = effective_date.unwrap_or(arrival.at);
    endpoint.request_id = arrival.request_id.clone();
    if let Some(sent) = demographic {
        merge_demographic(&mut endpoint.demographic, sent);
    }
    if let Some(sent) = location {
        merge_location(&mut endpoint.location, sent);
    }
    user_attributes
}

/// Moves entries; a map that is empty takes the other as it is.
fn put_all<V>(kept: &mut BTreeMap<Text, V>, sent: BTreeMap<Text, V>) {
    if kept.is_empty() {
        *kept = sent;
    } else {
        kept.extend(sent);
    }
}

fn replace<T>(kept: &mut Option<T>, sent: &mut Option<T>) {
    if sent.is_some() {
        *kept = sent.take();
    }
}

fn merge_demographic(kept: &mut Demographic, sent: &mut Demographic) {
    let Demographic { app_version, locale, make, model, model_version, platform, platform_version, timezone } =
        sent;
    replace(&mut kept.app_version, app_version);
    replace(&mut kept.locale, locale);
    replace(&mut kept.make, make);
    replace(&mut kept.model, model);
    replace(&mut kept.model_version, model_version);
    replace(&mut kept.platform, platform);
    replace(&mut kept.platform_version, platform_version);
    replace(&mut kept.timezone, timezone);
}

fn merge_location(kept: &mut Location, sent: &mut Location) {
    let Location { city, country, latitude, longitude, postal_code, region } = sent;
    replace(&mut kept.city, city);
    replace(&mut kept.country, country);
    replace(&mut kept.latitude, latitude);
    replace(&mut kept.longitude, longitude);
    replace(&mut kept.postal_code, postal_code);
    replace(&mut kept.region, region);
}

/// What makes the merged endpoint unacceptable (spec/97 §6.2 has the texts).
fn check(
    audience: &Audience,
    endpoint: &Endpoint,
    update: &EndpointUpdate,
    new_names: &[(AttributeKind, String)],
) -> Result<(), Invalid> {
    if endpoint.address.is_some() && endpoint.channel_type.is_none() {
        return Err(Invalid::new("Missing ChannelType"));
    }
    let needs_address = !endpoint.channel_type.is_some_and(ChannelType::needs_no_address);
    if update.opt_out.is_some() && endpoint.address.is_none() && needs_address {
        return Err(Invalid::new("Missing Address"));
    }
    if audience.summary.names.len() + new_names.len() > ATTRIBUTE_NAMES_MAX && !new_names.is_empty() {
        return Err(Invalid::new(format!(
            "Too many custom attributes: an application keeps at most {ATTRIBUTE_NAMES_MAX} names"
        )));
    }
    if endpoint.bytes() > ENDPOINT_BYTES_MAX {
        return Err(Invalid::new(format!("Endpoint is larger than {ENDPOINT_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Whether the endpoint's user can take the attributes that move to it.
fn check_user(
    audience: &Audience,
    endpoint: &Endpoint,
    sent: &BTreeMap<Text, Values>,
) -> Result<Result<(), Invalid>, NotLoaded> {
    let Some(user_id) = &endpoint.user_id else { return Ok(Ok(())) };
    if sent.is_empty() && endpoint.loose_user_attributes.is_empty() {
        return Ok(Ok(()));
    }
    let mut user = audience.user(user_id.as_str())?.cloned().unwrap_or_default();
    merge_values(&mut user.attributes, endpoint.loose_user_attributes.clone());
    merge_values(&mut user.attributes, sent.clone());
    if user.bytes() > USER_BYTES_MAX {
        return Ok(Err(Invalid::new(format!("User attributes are larger than {USER_BYTES_MAX} bytes"))));
    }
    Ok(Ok(()))
}

/// Which endpoint of the user gives way when this one becomes the 16th, if any has to (spec/10 §6).
fn displaced(
    audience: &Audience,
    folded: &str,
    endpoint: &Endpoint,
) -> Result<Result<Option<String>, Invalid>, NotLoaded> {
    let Some(user_id) = &endpoint.user_id else { return Ok(Ok(None)) };
    let Some(user) = audience.user(user_id.as_str())? else { return Ok(Ok(None)) };
    if user.endpoints.contains(folded) || user.endpoints.len() < ENDPOINTS_PER_USER_MAX {
        return Ok(Ok(None));
    }
    let refusal = Invalid::new(format!("Exceeded maximum endpoint per user count: {ENDPOINTS_PER_USER_MAX}"));
    if !endpoint.channel_type.is_some_and(ChannelType::gives_way) {
        return Ok(Err(refusal));
    }
    let mut oldest: Option<(Timestamp, &String)> = None;
    for other_id in &user.endpoints {
        let Some(other) = audience.endpoint(other_id)? else { continue };
        let older = oldest.is_none_or(|(date, _)| other.effective_date < date);
        if other.channel_type.is_some_and(ChannelType::gives_way) && older {
            oldest = Some((other.effective_date, other_id));
        }
    }
    let Some((_, oldest)) = oldest else { return Ok(Err(refusal)) };
    // What is asked here is there when the plan is carried out.
    if let Some(address) = audience.endpoint(oldest)?.and_then(held_address) {
        audience.holder(&address)?;
    }
    Ok(Ok(Some(oldest.clone())))
}

impl Plan {
    /// Writes what was planned. Everything it reads was loaded by [`plan`].
    fn carry_out(mut self, audience: &mut Audience, folded: &Arc<str>) -> Result<(), NotLoaded> {
        if self.is_new {
            audience.give_ordinal(self.endpoint.ordinal, folded);
            let summary = audience.summary_mut();
            summary.next_ordinal += 1;
            summary.endpoints += 1;
        }
        if !self.new_names.is_empty() {
            audience.summary_mut().names.extend(self.new_names.drain(..));
            audience.names_changed = true;
        }
        self.hand_over_address(audience, folded)?;
        if let Some(displaced) = self.displaced.take()
            && let Some(mut other) = audience.endpoint(&displaced)?.cloned()
        {
            if let Some(user) = other.user_id.take() {
                audience.unlink(&displaced, user.as_str())?;
            }
            let displaced: Arc<str> = displaced.as_str().into();
            // It may come back with another address, and must not lose that with this one.
            if let Some(address) = held_address(&other)
                && audience.holder(&address)? == Some(&displaced)
            {
                audience.put_holder(&address, None);
            }
            other.status = EndpointStatus::Inactive;
            audience.put_endpoint(&displaced, Some(other));
        }
        self.link_user(audience, folded)?;
        audience.put_endpoint(folded, Some(self.endpoint));
        Ok(())
    }

    /// The address rule: who claims an address makes its former holder inactive (spec/10 §3).
    fn hand_over_address(&self, audience: &mut Audience, folded: &Arc<str>) -> Result<(), NotLoaded> {
        let claimed = held_address(&self.endpoint);
        if let Some(address) = &self.old_address
            && claimed.as_ref() != self.old_address.as_ref()
            && audience.holder(address)? == Some(folded)
        {
            audience.put_holder(address, None);
        }
        let Some(address) = claimed else { return Ok(()) };
        let holder = audience.holder(&address)?.cloned();
        if holder.as_ref() == Some(folded) {
            return Ok(());
        }
        if let Some(holder) = holder
            && let Some(mut other) = audience.endpoint(&holder)?.cloned()
        {
            other.status = EndpointStatus::Inactive;
            audience.put_endpoint(&holder, Some(other));
        }
        audience.put_holder(&address, Some(Arc::clone(folded)));
        Ok(())
    }

    /// Moves the endpoint between users and merges user attributes where they belong.
    fn link_user(&mut self, audience: &mut Audience, folded: &str) -> Result<(), NotLoaded> {
        if let Some(old) = &self.old_user
            && self.endpoint.user_id.as_ref() != Some(old)
        {
            audience.unlink(folded, old.as_str())?;
        }
        let Some(user_id) = self.endpoint.user_id.clone() else { return Ok(()) };
        let known = audience.user(user_id.as_str())?;
        let is_linked = known.is_some_and(|user| user.endpoints.contains(folded));
        if is_linked && self.user_attributes.is_empty() {
            return Ok(());
        }
        let mut user = known.cloned().unwrap_or_else(User::default);
        user.endpoints.insert(folded.to_owned());
        merge_values(&mut user.attributes, std::mem::take(&mut self.endpoint.loose_user_attributes));
        merge_values(&mut user.attributes, std::mem::take(&mut self.user_attributes));
        audience.put_user(user_id.as_str(), user);
        Ok(())
    }
}

/// Values replace values, name by name; an empty list removes the name.
fn merge_values(kept: &mut BTreeMap<Text, Values>, sent: BTreeMap<Text, Values>) {
    for (name, values) in sent {
        if values.is_empty() {
            kept.remove(&name);
        } else {
            kept.insert(name, values);
        }
    }
}
