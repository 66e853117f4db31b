//! Writes the items as Rust text; `rustfmt` sees to the layout.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::ir::{self, Binding, Enum, ErrorCode, Field, File, InputFrom, Operation, Service, Struct, Type};
use super::{HEADER, Source, names};

/// File names, relative to `crates/model/src`, and contents.
pub(crate) fn service(service: &Service, source: &Source) -> Vec<(String, String)> {
    let mut files = vec![(format!("{}.rs", source.module), root(service))];
    for (name, file) in &service.files {
        let codes = if name == ir::ERRORS { error_codes(&service.errors) } else { String::new() };
        files.push((format!("{}/{name}.rs", source.module), resource(file, &codes, source)));
    }
    files
}

/// The module of the service: what its files hold, and its operations as a table and as types.
fn root(service: &Service) -> String {
    let mut out = format!("{HEADER}\n");
    for name in service.files.keys() {
        line(&mut out, &format!("mod {name};"));
    }
    line(&mut out, "");
    for (name, file) in &service.files {
        if !file.is_empty() || name == ir::ERRORS {
            line(&mut out, &format!("pub use self::{name}::*;"));
        }
    }
    line(&mut out, "use crate::{Operation, OperationSpec, OperationVisitor};\n");
    let mut operations: Vec<&str> = service.operations().map(|operation| operation.name.as_str()).collect();
    operations.sort_unstable();
    line(&mut out, "/// All operations, by name.");
    line(&mut out, "pub static OPERATIONS: &[&OperationSpec] = &[");
    for name in operations {
        line(&mut out, &format!("{name}::SPEC,"));
    }
    line(&mut out, "];\n");
    line(&mut out, "/// Shows every operation to the visitor, resource by resource.");
    line(&mut out, "pub fn visit_operations(visitor: &mut impl OperationVisitor) {");
    for (name, _) in service.files.iter().filter(|(_, file)| !file.operations.is_empty()) {
        line(&mut out, &format!("{name}::visit(visitor);"));
    }
    line(&mut out, "}");
    out
}

fn resource(file: &File, codes: &str, source: &Source) -> String {
    let mut body = String::new();
    if !file.operations.is_empty() {
        body.push_str(&visit(&file.operations));
    }
    for operation in &file.operations {
        body.push_str(&print_operation(operation, source));
    }
    for item in &file.structs {
        body.push_str(&print_struct(item));
    }
    for item in &file.enums {
        body.push_str(&print_enum(item));
    }
    body.push_str(codes);
    format!("{HEADER}\n{}\n{body}", imports(file, !codes.is_empty()))
}

fn imports(file: &File, has_codes: bool) -> String {
    let mut out = String::new();
    let types: Vec<&Type> =
        file.structs.iter().flat_map(|item| &item.fields).map(|field| &field.kind).collect();
    if types.iter().any(|kind| kind.has_map()) {
        line(&mut out, "use std::collections::BTreeMap;");
    }
    if !file.enums.is_empty() || has_codes {
        line(&mut out, "use std::fmt;");
    }
    if !file.enums.is_empty() {
        line(&mut out, "use std::str::FromStr;");
    }
    if !file.structs.is_empty() || !file.enums.is_empty() {
        line(&mut out, "\nuse serde::{Deserialize, Serialize};");
    }

    let mut own = BTreeSet::new();
    own.extend(file.structs.iter().map(|item| item.name.as_str()));
    own.extend(file.enums.iter().map(|item| item.name.as_str()));
    let mut shared = BTreeSet::new();
    let mut crate_names = BTreeSet::new();
    for kind in types {
        kind.names(&mut shared, &mut crate_names);
    }
    for operation in &file.operations {
        shared.insert(operation.input.as_str());
        match &operation.output {
            Some(output) => shared.insert(output),
            None => crate_names.insert("NoOutput"),
        };
    }
    if !file.operations.is_empty() {
        crate_names.extend([
            "DecodeError",
            "Operation",
            "OperationSpec",
            "OperationVisitor",
            "RequestParts",
            "Service",
        ]);
    }
    if !file.enums.is_empty() {
        crate_names.insert("UnknownValue");
    }
    let shared: Vec<&str> = shared.difference(&own).copied().collect();
    line(&mut out, "");
    if !shared.is_empty() {
        line(&mut out, &format!("use super::{}::{{{}}};", ir::SHARED, shared.join(", ")));
    }
    if !crate_names.is_empty() {
        let crate_names: Vec<&str> = crate_names.into_iter().collect();
        line(&mut out, &format!("use crate::{{{}}};", crate_names.join(", ")));
    }
    out
}

fn visit(operations: &[Operation]) -> String {
    let mut out = "pub(super) fn visit(visitor: &mut impl OperationVisitor) {\n".to_owned();
    for operation in operations {
        line(&mut out, &format!("visitor.visit::<{}>();", operation.name));
    }
    line(&mut out, "}\n");
    out
}

fn print_operation(operation: &Operation, source: &Source) -> String {
    let Operation { name, method, path, status, action, resource, mutating, input, output, input_from } =
        operation;
    let output_name = output.as_deref().unwrap_or("NoOutput");
    let (decode, encode) = match input_from {
        InputFrom::Document => ("request.document()".to_owned(), "request.set_payload(input)?;\n".to_owned()),
        InputFrom::Bindings(bindings) => (decode_bindings(input, bindings), encode_bindings(bindings)),
    };
    let mut out = format!(
        "pub struct {name};

        impl Operation for {name} {{
            type Input = {input};
            type Output = {output_name};

            const SPEC: &'static OperationSpec = &OperationSpec {{
                service: Service::{},
                name: {name:?},
                method: {method:?},
                path: {path:?},
                status: {status},
                action: {action:?},
                resource: {resource:?},
                mutating: {mutating},
            }};

            fn decode(request: &RequestParts<'_>) -> Result<Self::Input, DecodeError> {{
                {decode}
            }}

            fn encode_input(input: &Self::Input) -> Result<RequestParts<'static>, serde_json::Error> {{
                let mut request = RequestParts::default();
                {encode}Ok(request)
            }}\n",
        source.variant,
    );
    if output.is_none() {
        out.push_str(
            "
            fn encode(_: &NoOutput) -> Result<Vec<u8>, serde_json::Error> {
                Ok(Vec::new())
            }

            fn decode_output(_: &[u8]) -> Result<NoOutput, DecodeError> {
                Ok(NoOutput {})
            }\n",
        );
    }
    line(&mut out, "}\n");
    out
}

fn decode_bindings(input: &str, bindings: &[(String, Binding)]) -> String {
    let mut out = format!("Ok({input} {{\n");
    for (field, binding) in bindings {
        let value = match binding {
            Binding::Label(name) => format!("request.label({name:?})?"),
            Binding::Query(name) => format!("request.query({name:?})?"),
            Binding::QueryList(name) => format!("request.query_list({name:?})?"),
            Binding::Payload => "request.payload()?".to_owned(),
        };
        line(&mut out, &format!("{field}: {value},"));
    }
    out.push_str("})");
    out
}

fn encode_bindings(bindings: &[(String, Binding)]) -> String {
    let mut out = String::new();
    for (field, binding) in bindings {
        let statement = match binding {
            Binding::Label(name) => format!("request.set_label({name:?}, &input.{field});"),
            Binding::Query(name) | Binding::QueryList(name) => {
                format!("request.set_query({name:?}, &input.{field});")
            }
            Binding::Payload => format!("request.set_payload(&input.{field})?;"),
        };
        line(&mut out, &statement);
    }
    out
}

fn print_struct(item: &Struct) -> String {
    let mut out = "#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]\n".to_owned();
    if item.fields.iter().any(|field| !is_renamed(field)) {
        line(&mut out, "#[serde(rename_all = \"PascalCase\")]");
    }
    line(&mut out, &format!("pub struct {} {{", item.name));
    for field in &item.fields {
        out.push_str(&print_field(field));
    }
    line(&mut out, "}\n");
    out
}

fn print_field(field: &Field) -> String {
    let mut attributes = Vec::new();
    if is_renamed(field) {
        attributes.push(format!("rename = {:?}", field.wire_name));
    }
    if !field.required {
        attributes.push("default, skip_serializing_if = \"Option::is_none\"".to_owned());
    }
    if matches!(field.kind, Type::Attributes) {
        attributes.push("deserialize_with = \"crate::attributes::deserialize\"".to_owned());
    }
    let mut out = String::new();
    if !attributes.is_empty() {
        line(&mut out, &format!("#[serde({})]", attributes.join(", ")));
    }
    let kind = field.kind.rust();
    let kind = if field.required { kind } else { format!("Option<{kind}>") };
    line(&mut out, &format!("pub {}: {kind},", names::identifier(&field.name)));
    out
}

fn is_renamed(field: &Field) -> bool {
    names::pascal_case(&field.name) != field.wire_name
}

fn print_enum(item: &Enum) -> String {
    let name = &item.name;
    let mut variants = String::new();
    let mut all = String::new();
    let mut texts = String::new();
    for (index, (variant, value)) in item.variants.iter().enumerate() {
        if index == 0 {
            line(&mut variants, "#[default]");
        }
        line(&mut variants, &format!("#[serde(rename = {value:?})]\n{variant},"));
        line(&mut all, &format!("Self::{variant},"));
        line(&mut texts, &format!("Self::{variant} => {value:?},"));
    }
    format!(
        "#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum {name} {{
            {variants}
        }}

        impl {name} {{
            pub const ALL: &[Self] = &[{all}];

            pub const fn as_str(self) -> &'static str {{
                match self {{
                    {texts}
                }}
            }}
        }}

        impl fmt::Display for {name} {{
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{
                f.write_str(self.as_str())
            }}
        }}

        impl FromStr for {name} {{
            type Err = UnknownValue;

            fn from_str(text: &str) -> Result<Self, UnknownValue> {{
                let found = Self::ALL.iter().copied().find(|value| value.as_str() == text);
                found.ok_or_else(|| UnknownValue::new({name:?}, text))
            }}
        }}
        \n"
    )
}

fn error_codes(errors: &[ErrorCode]) -> String {
    let mut variants = String::new();
    let mut all = String::new();
    let mut names = String::new();
    let mut statuses = String::new();
    for ErrorCode { variant, name, status: _ } in errors {
        line(&mut variants, &format!("{variant},"));
        line(&mut all, &format!("Self::{variant},"));
        line(&mut names, &format!("Self::{variant} => {name:?},"));
    }
    let distinct: BTreeSet<u16> = errors.iter().map(|error| error.status).collect();
    for status in distinct {
        let with_status = errors.iter().filter(|error| error.status == status);
        let patterns: Vec<String> = with_status.map(|error| format!("Self::{}", error.variant)).collect();
        line(&mut statuses, &format!("{} => {status},", patterns.join(" | ")));
    }
    format!(
        "/// The errors that a client of the service knows.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode {{
            {variants}
        }}

        impl ErrorCode {{
            pub const ALL: &[Self] = &[{all}];

            /// The name on the wire.
            pub const fn name(self) -> &'static str {{
                match self {{
                    {names}
                }}
            }}

            /// The HTTP status.
            pub const fn status(self) -> u16 {{
                match self {{
                    {statuses}
                }}
            }}
        }}

        impl fmt::Display for ErrorCode {{
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {{
                f.write_str(self.name())
            }}
        }}\n"
    )
}

impl Type {
    fn rust(&self) -> String {
        match self {
            Self::Plain(name) => (*name).to_owned(),
            Self::Named(name) => name.clone(),
            Self::List(item) => format!("Vec<{}>", item.rust()),
            Self::Map(key, value) => format!("BTreeMap<{}, {}>", key.rust(), value.rust()),
            Self::Attributes => "BTreeMap<String, Vec<String>>".to_owned(),
        }
    }

    fn has_map(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Named(_) => false,
            Self::List(item) => item.has_map(),
            Self::Map(..) | Self::Attributes => true,
        }
    }

    /// Adds the generated names and those of `crates/model/src/values.rs` that the type is made of.
    fn names<'t>(&'t self, generated: &mut BTreeSet<&'t str>, by_hand: &mut BTreeSet<&'t str>) {
        match self {
            Self::Plain(name) if ["Blob", "EpochSeconds", "IsoTimestamp"].contains(name) => {
                by_hand.insert(name);
            }
            Self::Named(name) => {
                generated.insert(name);
            }
            Self::List(item) => item.names(generated, by_hand),
            Self::Map(key, value) => {
                key.names(generated, by_hand);
                value.names(generated, by_hand);
            }
            Self::Plain(_) | Self::Attributes => {}
        }
    }
}

impl File {
    fn is_empty(&self) -> bool {
        self.operations.is_empty() && self.structs.is_empty() && self.enums.is_empty()
    }
}

impl Service {
    fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.files.values().flat_map(|file| &file.operations)
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}
