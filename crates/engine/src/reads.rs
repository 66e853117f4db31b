//! Endpoints and users as request handlers read them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use domain::audience::{AppKey, Ordinals};
use domain::endpoints::{Endpoint, User};
use domain::ids::UserId;
use store::tables::audiences::{endpoint_key, ordinals_key, user_key};
use store::tables::outbox::{Outcome, outcome_key};
use store::value::decode;
use store::{Key, Kv, KvError};

/// An endpoint with its user.
pub type Found = (Endpoint, Option<User>);

/// The endpoint of a folded id.
pub async fn endpoint(kv: &dyn Kv, app: &AppKey, folded: &str) -> Result<Option<Found>, KvError> {
    let Some(row) = kv.get(&endpoint_key(app, folded)).await? else { return Ok(None) };
    let endpoint: Endpoint = decode(&row.value)?;
    let user = match &endpoint.user_id {
        Some(id) => user(kv, app, id).await?,
        None => None,
    };
    Ok(Some((endpoint, user)))
}

/// A user; `None` when no endpoint names it.
pub async fn user(kv: &dyn Kv, app: &AppKey, id: &UserId) -> Result<Option<User>, KvError> {
    let row = kv.get(&user_key(app, id.as_str())).await?;
    Ok(row.map(|row| decode(&row.value)).transpose()?)
}

/// A user with all its endpoints, in order of their ids.
pub async fn user_endpoints(
    kv: &dyn Kv,
    app: &AppKey,
    id: &UserId,
) -> Result<Option<(User, Vec<Endpoint>)>, KvError> {
    let Some(user) = user(kv, app, id).await? else { return Ok(None) };
    let keys: Vec<Key> = user.endpoints.iter().map(|folded| endpoint_key(app, folded)).collect();
    let rows = kv.get_many(&keys).await?;
    let endpoints = rows.into_iter().flatten().map(|row| decode(&row.value));
    let endpoints = endpoints.collect::<Result<Vec<Endpoint>, _>>()?;
    Ok(Some((user, endpoints)))
}

/// The folded ids of the endpoints that have the ordinals, in their order.
pub(crate) async fn ids_of_ordinals(
    kv: &dyn Kv,
    app: &AppKey,
    ordinals: &[u32],
) -> Result<Vec<Option<Arc<str>>>, KvError> {
    let numbers: BTreeSet<u32> = ordinals.iter().map(|ordinal| Ordinals::row_of(*ordinal)).collect();
    let keys: Vec<Key> = numbers.iter().map(|number| ordinals_key(app, *number)).collect();
    let mut rows: HashMap<u32, Ordinals> = HashMap::with_capacity(keys.len());
    for (number, row) in numbers.into_iter().zip(kv.get_many(&keys).await?) {
        if let Some(row) = row {
            rows.insert(number, decode(&row.value)?);
        }
    }
    let id_of = |ordinal: &u32| rows.get(&Ordinals::row_of(*ordinal))?.get(*ordinal).map(Arc::from);
    Ok(ordinals.iter().map(id_of).collect())
}

/// What became of a delivery; `None` while that is not known. `named`: the endpoint's id, or the bare address.
pub async fn outcome(
    kv: &dyn Kv,
    app: &AppKey,
    named: &str,
    delivery: &str,
) -> Result<Option<Outcome>, KvError> {
    let row = kv.get(&outcome_key(app, named, delivery)).await?;
    Ok(row.map(|row| decode(&row.value)).transpose()?)
}
