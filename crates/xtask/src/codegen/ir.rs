//! The intermediate form: the few kinds of Rust items that are printed, sorted into files.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail, ensure};

use super::service::{Model, Reference, Shape};
use super::{Source, names, overrides, resources};

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Protocol {
    RestJson,
    Json10,
}

/// The file of shapes that several resources use.
pub(crate) const SHARED: &str = "shared";
/// The file of the error codes, and of shapes that only errors use.
pub(crate) const ERRORS: &str = "errors";

pub(crate) struct Service {
    pub(crate) files: BTreeMap<String, File>,
    pub(crate) errors: Vec<ErrorCode>,
}

#[derive(Default)]
pub(crate) struct File {
    pub(crate) operations: Vec<Operation>,
    pub(crate) structs: Vec<Struct>,
    pub(crate) enums: Vec<Enum>,
}

pub(crate) struct Operation {
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) mutating: bool,
    pub(crate) input: String,
    /// None where the answer has no body.
    pub(crate) output: Option<String>,
    pub(crate) input_from: InputFrom,
}

pub(crate) enum InputFrom {
    /// The body is the input.
    Document,
    /// Each member has its place in the request.
    Bindings(Vec<(String, Binding)>),
}

/// Where a member of an input stands in a REST request; names are the wire's.
pub(crate) enum Binding {
    Label(String),
    Query(String),
    QueryList(String),
    Payload,
}

pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
}

pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) wire_name: String,
    pub(crate) kind: Type,
    pub(crate) required: bool,
}

#[derive(Clone)]
pub(crate) enum Type {
    /// A type of the standard library or of `crates/model/src/values.rs`.
    Plain(&'static str),
    Named(String),
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    /// `map<string, list<string>>`, read leniently.
    Attributes,
}

pub(crate) struct Enum {
    pub(crate) name: String,
    /// Variant and value on the wire.
    pub(crate) variants: Vec<(String, String)>,
}

pub(crate) struct ErrorCode {
    pub(crate) variant: String,
    pub(crate) name: String,
    pub(crate) status: u16,
}

pub(crate) fn lower(model: &Model, source: &Source) -> anyhow::Result<Service> {
    let mut files: BTreeMap<String, File> = BTreeMap::new();
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, operation) in &model.operations {
        let resource = resources::resource(source.protocol, name, &operation.http.request_uri)?;
        let lowered = lower_operation(model, source, name)?;
        let roots =
            operation.input.iter().map(|input| input.shape.as_str()).chain(output_shape(model, name)?);
        for root in roots {
            collect_users(model, root, resource, &mut users)?;
        }
        files.entry(resource.to_owned()).or_default().operations.push(lowered);
    }
    let mut errors = Vec::new();
    for (name, shape) in model.shapes.iter().filter(|(_, shape)| shape.exception) {
        errors.push(lower_error(name, shape)?);
        for member in members(shape).map(|(_, member)| member) {
            collect_users(model, &member.shape, ERRORS, &mut users)?;
        }
    }
    files.entry(ERRORS.to_owned()).or_default();
    for (name, resources) in &users {
        let mut resources = resources.iter();
        let file = match (resources.next(), resources.next()) {
            (Some(resource), None) => resource,
            _ => SHARED,
        };
        let file = files.entry(file.to_owned()).or_default();
        let shape = model.shape(name)?;
        match &shape.values {
            Some(values) => file.enums.push(lower_enum(name, values)?),
            None => file.structs.push(lower_struct(model, source.protocol, name, shape)?),
        }
    }
    Ok(Service { files, errors })
}

/// The shape of the response body: the payload member's, or the output's own.
fn output_shape<'m>(model: &'m Model, operation: &str) -> anyhow::Result<Option<&'m str>> {
    let Some(output) = &model.operations[operation].output else { return Ok(None) };
    let shape = model.shape(&output.shape)?;
    let Some(payload) = &shape.payload else { return Ok(Some(&output.shape)) };
    let count = members(shape).count();
    ensure!(count == 1, "{}: members beside the payload are not supported", output.shape);
    Ok(members(shape).find(|(name, _)| *name == payload).map(|(_, member)| member.shape.as_str()))
}

/// Notes the resource as a user of the structs and enums that can be reached from a shape.
fn collect_users<'m>(
    model: &'m Model,
    name: &'m str,
    resource: &'static str,
    users: &mut BTreeMap<&'m str, BTreeSet<&'m str>>,
) -> anyhow::Result<()> {
    let shape = model.shape(name)?;
    let same = overrides::same_as(name);
    if same != name {
        ensure!(model.shape(same)?.values == shape.values, "{name} and {same} have different values");
        return collect_users(model, same, resource, users);
    }
    let printed = shape.kind == "structure" || shape.values.is_some();
    if printed && !users.entry(name).or_default().insert(resource) {
        return Ok(());
    }
    let elements = [&shape.member, &shape.key, &shape.value].into_iter().flatten();
    for reference in members(shape).map(|(_, member)| member).chain(elements) {
        collect_users(model, &reference.shape, resource, users)?;
    }
    Ok(())
}

fn members(shape: &Shape) -> impl Iterator<Item = (&String, &Reference)> {
    shape.members.iter().flatten()
}

fn lower_operation(model: &Model, source: &Source, name: &str) -> anyhow::Result<Operation> {
    let operation = &model.operations[name];
    let http = &operation.http;
    let input = &operation.input.as_ref().with_context(|| format!("{name} has no input"))?.shape;
    let reads = ["Describe", "Get", "List"].iter().any(|verb| name.starts_with(verb));
    let (resource, mutating, input_from) = match source.protocol {
        Protocol::RestJson => {
            let bindings = bindings(model, input).with_context(|| input.clone())?;
            let resource = overrides::arn_resource(name).map(str::to_owned);
            let resource = resource.unwrap_or_else(|| arn_resource(&http.request_uri));
            (resource, http.method != "GET", InputFrom::Bindings(bindings))
        }
        Protocol::Json10 => ("*".to_owned(), !reads, InputFrom::Document),
    };
    Ok(Operation {
        name: name.to_owned(),
        method: http.method.clone(),
        path: http.request_uri.clone(),
        status: http.response_code.unwrap_or(200),
        action: format!("{}:{name}", source.action_prefix),
        resource,
        mutating,
        input: overrides::rust_name(input).to_owned(),
        output: output_shape(model, name)?.map(|shape| overrides::rust_name(shape).to_owned()),
        input_from,
    })
}

/// The resource part of the ARN as most operations have it: it follows the path, except that the kind of a template is in
/// upper case.
fn arn_resource(path: &str) -> String {
    let path = path.trim_start_matches("/v1/").trim_start_matches("tags/");
    match path.rsplit_once('/') {
        Some((template @ "templates/{template-name}", kind)) => format!("{template}/{}", kind.to_uppercase()),
        _ => path.to_owned(),
    }
}

fn bindings(model: &Model, input: &str) -> anyhow::Result<Vec<(String, Binding)>> {
    let shape = model.shape(input)?;
    let mut bindings = Vec::new();
    for (name, member) in members(shape) {
        let wire_name = member.location_name.clone().unwrap_or_else(|| name.clone());
        let is_list = model.shape(&member.shape)?.kind == "list";
        let required = shape.required.contains(name);
        let binding = match member.location.as_deref() {
            Some("uri") if required => Binding::Label(wire_name),
            Some("querystring") if required && is_list => Binding::QueryList(wire_name),
            Some("querystring") if !required && !is_list => Binding::Query(wire_name),
            None if required && shape.payload.as_ref() == Some(name) => Binding::Payload,
            _ => bail!("the binding of {name} is not supported"),
        };
        bindings.push((names::identifier(&names::snake_case(name)), binding));
    }
    Ok(bindings)
}

fn lower_struct(model: &Model, protocol: Protocol, name: &str, shape: &Shape) -> anyhow::Result<Struct> {
    let mut fields = Vec::new();
    for (member_name, member) in members(shape) {
        let is_in_body = member.location.is_none();
        let wire_name = member.location_name.clone().filter(|_| is_in_body);
        fields.push(Field {
            name: names::snake_case(member_name),
            wire_name: wire_name.unwrap_or_else(|| member_name.clone()),
            kind: lower_type(model, protocol, &member.shape)?,
            required: shape.required.contains(member_name),
        });
    }
    Ok(Struct { name: overrides::rust_name(name).to_owned(), fields })
}

fn lower_type(model: &Model, protocol: Protocol, name: &str) -> anyhow::Result<Type> {
    if overrides::is_lenient_map(name) {
        return Ok(Type::Attributes);
    }
    let shape = model.shape(name)?;
    let element = |reference: &Option<Reference>| {
        let reference = reference.as_ref().with_context(|| format!("{name} has no element"))?;
        lower_type(model, protocol, &reference.shape).map(Box::new)
    };
    Ok(match shape.kind.as_str() {
        "structure" => Type::Named(overrides::rust_name(name).to_owned()),
        "string" if shape.values.is_some() => {
            Type::Named(overrides::rust_name(overrides::same_as(name)).to_owned())
        }
        "string" => Type::Plain("String"),
        "boolean" => Type::Plain("bool"),
        "integer" => Type::Plain("i32"),
        "long" => Type::Plain("i64"),
        "double" => Type::Plain("f64"),
        "blob" => Type::Plain("Blob"),
        "timestamp" => match (shape.timestamp_format.as_deref(), protocol) {
            (Some("iso8601"), _) => Type::Plain("IsoTimestamp"),
            (None, Protocol::Json10) => Type::Plain("EpochSeconds"),
            (format, _) => bail!("the timestamp format {format:?} of {name} is not supported"),
        },
        "list" => Type::List(element(&shape.member)?),
        "map" => Type::Map(element(&shape.key)?, element(&shape.value)?),
        kind => bail!("{name} is a {kind}, which is not supported"),
    })
}

fn lower_enum(name: &str, values: &[String]) -> anyhow::Result<Enum> {
    let mut variants = Vec::new();
    for value in values {
        let variant = match overrides::variant(value) {
            Some(variant) => variant.to_owned(),
            None => names::variant(value)?,
        };
        variants.push((variant, value.clone()));
    }
    let distinct: BTreeSet<&String> = variants.iter().map(|(variant, _)| variant).collect();
    ensure!(distinct.len() == variants.len(), "two values of {name} have the same Rust name");
    Ok(Enum { name: overrides::rust_name(name).to_owned(), variants })
}

fn lower_error(name: &str, shape: &Shape) -> anyhow::Result<ErrorCode> {
    let variant = name.strip_suffix("Exception").with_context(|| format!("{name} is not an exception"))?;
    let modelled = shape.error.as_ref().map(|error| error.http_status_code);
    let status = modelled.unwrap_or(if shape.fault { 500 } else { 400 });
    Ok(ErrorCode { variant: variant.to_owned(), name: name.to_owned(), status })
}
