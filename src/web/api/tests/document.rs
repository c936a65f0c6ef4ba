//! The document describes every route and every field of real answers, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::routes;
use super::{ask, error, post, start};
use crate::http::tests::send;
use crate::http::{MIN_COST, PasswordHash, RateLimit, Security, Users};
use crate::web::tests::Running;

/// The document, and the parts of it that an answer has shown.
struct Document {
    root: Value,
    shown: BTreeSet<String>,
}

impl Document {
    fn schema(&self, schema: &Value) -> (String, Value) {
        match schema["$ref"].as_str() {
            Some(name) => (name.to_owned(), self.root.pointer(&name[1..]).unwrap().clone()),
            None => (String::new(), schema.clone()),
        }
    }

    /// Every field of `value` is in `schema`, and of the type it says.
    fn check(&mut self, value: &Value, schema: &Value, place: &str) {
        let (name, schema) = self.schema(schema);
        let place = if name.is_empty() { place.to_owned() } else { name };
        if let Some(either) = schema["oneOf"].as_array() {
            if !value.is_null() {
                let shape = either.iter().find(|one| one["$ref"].is_string()).unwrap();
                self.check(value, shape, &place);
            }
            return;
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            many => many.as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect(),
        };
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(types.contains(&found), "{place} is {found}, described as {types:?}");
        if let Some(words) = schema["enum"].as_array() {
            assert!(words.contains(value), "{place}: {value} is not among {words:?}");
        }
        match value {
            Value::Array(items) => {
                items.iter().for_each(|item| self.check(item, &schema["items"], &format!("{place}[]")))
            }
            Value::Object(fields) if schema["properties"].is_object() => {
                for (key, field) in fields {
                    let below = &schema["properties"][key];
                    assert!(!below.is_null(), "{place}.{key} is not described");
                    self.shown.insert(format!("{place}.{key}"));
                    self.check(field, below, &format!("{place}.{key}"));
                }
            }
            _ => {}
        }
    }
}

/// As it is served.
async fn document(running: &Running) -> Value {
    serde_json::from_str(ask(running, "GET /api/v1/openapi.json").await.text()).unwrap()
}

#[tokio::test]
async fn the_document_describes_every_route_and_every_field_and_nothing_else() {
    let (running, _) = start(true).await;
    let root = document(&running).await;
    let described: BTreeSet<String> = root["paths"].as_object().unwrap().keys().cloned().collect();
    let routed: BTreeSet<String> = routes().iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(described, routed);
    let mut document = Document { root: root.clone(), shown: BTreeSet::new() };
    for (path, item) in root["paths"].as_object().unwrap() {
        let real = path.replace("{app}", "shop").replace("{task}", "t%2F1").replace("{user}", "u");
        let allow = ask(&running, &format!("PATCH {real}")).await;
        let allowed: BTreeSet<String> = allow
            .header("allow")
            .unwrap()
            .split(',')
            .filter(|method| !matches!(*method, "HEAD" | "OPTIONS"))
            .map(str::to_lowercase)
            .collect();
        assert_eq!(item.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), allowed, "{path}");
        for (method, operation) in item.as_object().unwrap() {
            let answer = match method.as_str() {
                "post" => post(&running, r#"{"app":"shop","task":"t","users":["u "]}"#).await,
                method => ask(&running, &format!("{} {real}", method.to_uppercase())).await,
            };
            assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
            let value: Value = serde_json::from_str(answer.text()).unwrap();
            let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            document.check(&value, schema, &format!("{method} {path}"));
            let names = |wanted: &str| -> BTreeSet<String> {
                let all = operation["parameters"].as_array().into_iter().flatten();
                all.filter(|p| p["in"] == wanted).map(|p| p["name"].as_str().unwrap().to_owned()).collect()
            };
            let parts = path.split('{').skip(1).map(|part| part.split('}').next().unwrap().to_owned());
            assert_eq!(names("path"), parts.collect(), "{method} {path}");
        }
    }
    let refused = ask(&running, "GET /api/v1/nowhere").await;
    let value: Value = serde_json::from_str(refused.text()).unwrap();
    document.check(&value, &json!({"$ref": "#/components/schemas/Error"}), "");
    for (name, schema) in root["components"]["schemas"].as_object().unwrap() {
        let fields = schema["properties"].as_object().unwrap().keys();
        for field in fields.filter(|_| name != "Entry") {
            let place = format!("#/components/schemas/{name}.{field}");
            assert!(document.shown.contains(&place), "no answer shows {place}");
        }
    }
}

/// Passwords and a limit, which the web configuration may ask for.
#[tokio::test]
async fn what_is_refused_at_the_door_is_described_for_every_operation() {
    let (running, _) = start(true).await;
    let root = document(&running).await;
    let mut document = Document { root: root.clone(), shown: BTreeSet::new() };
    let hash = PasswordHash::parse(&bcrypt::hash("wonder", MIN_COST).unwrap()).unwrap();
    let users = Users::new([("alice".into(), hash)].into());
    let rate = Some(RateLimit::new(Duration::from_secs(3600), 0));
    for (status, security) in
        [(401, Security { users, ..Security::default() }), (429, Security { rate, ..Security::default() })]
    {
        running.app.publish_security(security);
        for (path, item) in root["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let answer = ask(&running, &format!("{} {path}", method.to_uppercase())).await;
                assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
                let (_, described) = document.schema(&operation["responses"][status.to_string()]);
                let value: Value = serde_json::from_str(answer.text()).unwrap();
                let content = &described["content"]["application/json"]["schema"];
                document.check(&value, content, &format!("{method} {path} {status}"));
                for header in described["headers"].as_object().into_iter().flatten().map(|(name, _)| name) {
                    assert!(
                        answer.header(&header.to_lowercase()).is_some(),
                        "{method} {path} {status}: {header}"
                    );
                }
            }
        }
    }
    assert_eq!(root["security"], json!([{}, {"password": []}]), "none, or that one");
    assert_eq!(root["components"]["securitySchemes"]["password"]["scheme"], "basic");
}

#[tokio::test]
async fn what_names_users_is_described_as_refused_to_others() {
    let (running, _) = start(true).await;
    let root = document(&running).await;
    for (path, item) in root["paths"].as_object().unwrap() {
        let what = format!("GET {}", path.replace(['{', '}'], ""));
        let answer = send(running.address, &what, "via: 1.1 proxy\r\n", "").await;
        let described = &item["get"]["responses"]["403"];
        let hidden = json!({"$ref": "#/components/responses/UsersHidden"});
        assert_eq!(answer.status == 403, *described == hidden, "{what}");
    }
}

#[tokio::test]
async fn the_document_names_the_parameters_and_keys_that_are_read() {
    let (running, _) = start(true).await;
    let root = document(&running).await;
    let unknown = error(&ask(&running, "GET /api/v1/watches?x=").await).2;
    let parameters = root["paths"]["/api/v1/watches"]["get"]["parameters"].as_array().unwrap();
    let names: Vec<&str> = parameters.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert!(unknown.ends_with(&names.join(" ")), "{unknown}");
    let unknown = error(&post(&running, r#"{"app":"shop","task":"t","users":["u"],"x":1}"#).await).2;
    let known: BTreeSet<&str> = unknown.split("known here: ").nth(1).unwrap().split(' ').collect();
    let entry = root["components"]["schemas"]["Entry"]["properties"].as_object().unwrap();
    assert_eq!(known, entry.keys().map(String::as_str).collect());
}
