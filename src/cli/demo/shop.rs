//! What the shop's services know and answer.

use super::service::{Answer, Request};
use serde_json::{Value, json};

/// The services, each instance with its port.
pub const INSTANCES: [(&str, u16); 6] =
    [("users", 9101), ("catalog", 9111), ("catalog", 9112), ("cart", 9121), ("orders", 9131), ("orders", 9132)];

/// What `demo` prints once the shop is open.
pub const WELCOME: &str = "\
The shop is open at http://127.0.0.1:8080; Ctrl-C closes it. Try:

  curl http://127.0.0.1:8080/v1/products
  curl http://127.0.0.1:8080/v1/products/7
  curl -X POST -d '{\"product\": 7}' http://127.0.0.1:8080/v1/cart/items
  curl http://127.0.0.1:8080/v1/orders/1001/full
  curl -i -X DELETE http://127.0.0.1:8080/v1/users/42

Metrics and the state of all endpoints: http://127.0.0.1:9901/metrics and /upstreams
";

/// The answer of one instance.
pub fn answer(service: &'static str, port: u16, request: &Request) -> Answer {
    let parts: Vec<&str> = request.path.split('/').filter(|part| !part.is_empty()).collect();
    let (status, mut body) = match (service, &*request.method, parts.as_slice()) {
        (_, "GET", ["healthz"]) => (200, json!({ "status": "ok" })),
        ("users", "GET", ["users", id]) => (200, json!({ "id": id, "name": "Ada Lovelace", "city": "London" })),
        ("catalog", "GET", ["products"]) => (200, json!({ "products": products() })),
        ("catalog", "GET", ["products", id]) => find(id),
        ("cart", "GET", ["cart"]) => (200, json!({ "items": [{ "product": 7, "count": 1 }] })),
        ("cart", "POST", ["cart", "items"]) => match serde_json::from_slice::<Value>(&request.body) {
            Ok(item) => (201, json!({ "added": item })),
            Err(_) => (400, json!({ "error": "the body is not JSON" })),
        },
        ("orders", "GET", ["orders", id]) => {
            (200, json!({ "id": id, "customer": 42, "items": [{ "product": 7, "count": 2 }], "total": "39.80" }))
        }
        _ => (404, json!({ "error": "no such thing", "path": request.path })),
    };
    if let Some(object) = body.as_object_mut() {
        object.insert("served_by".into(), format!("{service}:{port}").into());
    }
    Answer { status, body }
}

fn products() -> Value {
    json!([
        { "id": 7, "name": "Teapot", "price": "19.90", "stock": 12 },
        { "id": 8, "name": "Tea, 100 g", "price": "6.50", "stock": 0 },
    ])
}

fn find(id: &str) -> (u16, Value) {
    let found = products()
        .as_array()
        .into_iter()
        .flatten()
        .find(|product| product["id"].as_u64().map(|number| number.to_string()).as_deref() == Some(id))
        .cloned();
    match found {
        Some(product) => (200, product),
        None => (404, json!({ "error": "no such product" })),
    }
}
