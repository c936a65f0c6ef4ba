//! The OpenAPI document, made of the handlers and of the shapes that they read and answer.

use std::sync::LazyLock;

use axum::response::{IntoResponse as _, Response};
use hyper::header::CONTENT_TYPE;
use utoipa::openapi::schema::{AdditionalProperties, Object, Schema, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Document, Ref, RefOr};
use utoipa::{Modify, OpenApi};

use super::parameters::EntryShape;
use super::responses::{TooManyRequests, Unauthorized, Unavailable, UsersHidden};
use super::{read, write};
use crate::web::reply::ErrorShape;

/// Describes all of the API; a test compares it with the routes and with real answers.
static TEXT: LazyLock<String> =
    LazyLock::new(|| Api::openapi().to_pretty_json().expect("the document is maps, lists and texts"));

/// This document
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    operation_id = "getOpenApi",
    responses((status = 200, description = "This document.", body = Object))
)]
pub(super) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "timpush_exporter",
        version = "1",
        description = "What is watched and how far its pushes came. No request here causes one to the upstream. Times \
                       are RFC 3339 in UTC. Passwords and a limit of requests are asked for where --web.config.file \
                       says so.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/")),
    security((), ("password" = [])),
    paths(
        read::status,
        read::watches,
        write::add,
        write::remove_task,
        read::pair,
        write::remove_pair,
        openapi
    ),
    components(schemas(ErrorShape, EntryShape), responses(Unauthorized, TooManyRequests, Unavailable, UsersHidden)),
    modifiers(&ForAll)
)]
struct Api;

/// What holds for every operation and every shape.
struct ForAll;

impl Modify for ForAll {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_default();
        flatten(components);
        for (name, schema) in &mut components.schemas {
            // What a generic shape holds stands in it whole.
            if let (Some(data), RefOr::T(Schema::Object(success))) = (name.strip_prefix("Success_"), schema) {
                success.properties.insert("data".to_owned(), Ref::from_schema_name(data).into());
            }
        }
        components.schemas.values_mut().for_each(close);
        components.add_security_scheme("password", password());
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
                operation.tags = None; // They would name our modules.
                for (status, name) in FOR_ALL {
                    let response = Ref::from_response_name(name).into();
                    operation.responses.responses.insert(status.to_owned(), response);
                }
            }
        }
    }
}

/// All fields of a shape are there, null where there is nothing to say, and no others.
fn close(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = schema {
        let left_out = |name: &&String| !object.required.contains(name);
        let nullable = object.properties.iter().filter(|(_, property)| is_nullable(property));
        let more: Vec<String> = nullable.map(|(name, _)| name).filter(left_out).cloned().collect();
        object.required.extend(more);
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
}

fn is_nullable(schema: &RefOr<Schema>) -> bool {
    let holds_null = |one: &SchemaType| match one {
        SchemaType::Type(one) => *one == Type::Null,
        SchemaType::Array(many) => many.contains(&Type::Null),
        SchemaType::AnyValue => false,
    };
    match schema {
        RefOr::T(Schema::Object(object)) => holds_null(&object.schema_type),
        RefOr::T(Schema::Array(array)) => holds_null(&array.schema_type),
        RefOr::T(Schema::OneOf(either)) => either.items.iter().any(is_nullable),
        _ => false,
    }
}

/// A shape that holds the fields of another stands as "all of" the two, and each would refuse the fields of the other: it
/// becomes one.
fn flatten(components: &mut Components) {
    let whole = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        let RefOr::T(Schema::AllOf(parts)) = schema else { continue };
        let mut flat = Object::new();
        flat.description = parts.description.take();
        for part in &parts.items {
            let part = match part {
                RefOr::Ref(named) => whole.get(named.ref_location.trim_start_matches(SCHEMAS)),
                part => Some(part),
            };
            if let Some(RefOr::T(Schema::Object(part))) = part {
                flat.properties.extend(part.properties.clone());
                flat.required.extend(part.required.clone());
            }
        }
        *schema = RefOr::T(flat.into());
    }
}

/// Where a reference finds the shapes.
const SCHEMAS: &str = "#/components/schemas/";

/// What every operation may answer, whoever asks.
const FOR_ALL: [(&str, &str); 3] =
    [("401", "Unauthorized"), ("429", "TooManyRequests"), ("503", "Unavailable")];

fn password() -> SecurityScheme {
    let mut basic = Http::new(HttpAuthScheme::Basic);
    let text = "A name and password of basic_auth_users in the file that --web.config.file names; without them nobody is \
                asked.";
    basic.description = Some(text.to_owned());
    SecurityScheme::Http(basic)
}
