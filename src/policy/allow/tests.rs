//! Rules: what is refused when they are compiled, who passes, and what a refusal tells.

use super::*;
use crate::consumer::{Consumer, Consumers, CurrentConsumers};
use crate::fetch::Fetcher;
use crate::observe::metrics::{Metrics, MetricsSettings};
use crate::policy::Progress;
use crate::policy::auth::{Anonymous, AuthPlan, Credentials};
use crate::request::Caller;
use crate::value::{Problems, Sources};
use http::HeaderMap;
use serde_json::{Value, json};

fn written(json: Value) -> AllowConfig {
    let text = |value: &Value| Spanned::nowhere(value.as_str().unwrap().to_owned());
    let each = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let mut config = AllowConfig::default();
    for (key, value) in json.as_object().unwrap() {
        let names = || Some(crate::value::OneOrMany(each(value).iter().map(text).collect()));
        let rules = || Some(crate::value::OneOrMany(each(value).into_iter().map(rule).collect()));
        match key.as_str() {
            "scope" => config.scope = names(),
            "group" => config.group = names(),
            "consumer" => config.consumer = names(),
            "claim" => {
                let mut claims = crate::value::Named::default();
                for (path, values) in value.as_object().unwrap() {
                    let values = each(values).into_iter().map(Spanned::nowhere).collect();
                    claims.insert(Spanned::nowhere(path.clone()), crate::value::OneOrMany(values)).unwrap();
                }
                config.claim = Some(claims);
            }
            "when" => config.when = Some(text(value)),
            "any" => config.any = rules(),
            "all" => config.all = rules(),
            "not" => config.not = Some(Box::new(rule(value.clone()))),
            other => panic!("{other}"),
        }
    }
    config
}

fn rule(json: Value) -> Spanned<AllowConfig> {
    Spanned::nowhere(written(json))
}

/// The chain of a route with this rule, or the problems.
fn attached(json: Value, auth: Option<&Auth>) -> Result<super::super::Chain, Vec<String>> {
    let (mut problems, sources, fetcher) = (Problems::new(), Sources::default(), Arc::new(Fetcher::default()));
    let limits = Arc::default();
    let (mut tended, mut identity, mut chain) = (Vec::new(), Vec::new(), ChainBuilder::default());
    let metrics = Metrics::new(MetricsSettings { workers: 1, max_routes: 1, reasons: Reason::SLUGS });
    let mut setup = Setup {
        problems: &mut problems,
        metrics: &metrics,
        sources: &sources,
        fetcher: &fetcher,
        tended: &mut tended,
        identity: &mut identity,
        limits: &limits,
        shared: None,
        redacted: &mut Vec::new(),
    };
    let mut consumers = Consumers::default();
    consumers.add(Consumer { id: "acme".into(), groups: Box::default(), plan: None }, &[]).unwrap();
    AllowConfig::attach(&rule(json), auth, &CurrentConsumers::new(consumers), (&mut chain, &mut setup));
    if problems.is_empty() {
        Ok(chain.build())
    } else {
        Err(problems.iter().map(|problem| problem.message.clone()).collect())
    }
}

fn auth() -> Auth {
    Auth::new(AuthPlan {
        providers: Box::default(),
        anonymous: Anonymous::Passes,
        credentials: Credentials::Removed,
        consumers: Arc::default(),
    })
}

fn caller() -> Caller {
    let consumer = Consumer { id: "acme".into(), groups: Box::default(), plan: None };
    Caller {
        id: "acme".into(),
        consumer: Some(Arc::new(consumer)),
        groups: ["partners".into()].into(),
        scopes: ["orders:read".into(), "orders:write".into()].into(),
        claims: json!({ "tenant": { "id": "t1-secret" }, "level": 7 }),
        ..Caller::default()
    }
}

/// What a rule decides: nothing where it lets pass.
fn decided(json: Value, caller: Option<Caller>) -> Option<Box<Reply>> {
    let chain = attached(json.clone(), Some(&auth())).unwrap_or_else(|problems| panic!("{json}: {problems:?}"));
    let mut cx = RequestCx::at(0);
    cx.identity.caller = caller.map(Arc::new);
    let mut headers = HeaderMap::new();
    let mut view = RequestView { method: "GET", host: "h", path: "/a", query: None, headers: &mut headers };
    match chain.on_request(&mut Progress::default(), &mut cx, &mut view) {
        Decision::Continue => None,
        Decision::Reply(reply) => Some(reply),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_passes() {
    let cases = [
        (json!({ "scope": "orders:read" }), true),
        (json!({ "scope": ["orders:read", "orders:write"] }), true),
        (json!({ "scope": ["orders:read", "orders:delete"] }), false),
        (json!({ "scope": "orders" }), false),
        (json!({ "scope": "Orders:Read" }), false),
        (json!({ "group": ["staff", "partners"] }), true),
        (json!({ "group": "staff" }), false),
        (json!({ "consumer": "acme" }), true),
        (json!({ "claim": { "tenant.id": ["t1-secret", "t2"], "level": 7 } }), true),
        (json!({ "claim": { "tenant.id": "t1-secret", "level": 8 } }), false),
        (json!({ "scope": "orders:read", "group": "staff" }), false),
        (json!({ "any": [{ "group": "staff" }, { "scope": "orders:read" }] }), true),
        (json!({ "any": [{ "group": "staff" }, { "scope": "orders:delete" }] }), false),
        (json!({ "all": [{ "group": "partners" }, { "scope": "orders:read" }] }), true),
        (json!({ "not": { "group": "staff" } }), true),
        (json!({ "not": { "group": "partners" } }), false),
        (json!({ "not": { "not": { "group": "partners" } } }), true),
        (
            json!({ "any": [{ "not": { "group": "partners" } }, { "all": [{ "any": [{ "scope": "orders:read" }] }] }] }),
            true,
        ),
        (json!({ "when": "claims.level == 7" }), true),
        (json!({ "when": "claims.level == 8" }), false),
        (json!({ "when": "claims.missing == 8" }), false),
        (json!({ "not": { "when": "claims.missing == 8" } }), false),
        (json!({ "not": { "not": { "when": "claims.missing == 8" } } }), false),
        (json!({ "not": { "all": [{ "group": "staff" }, { "when": "claims.missing == 8" }] } }), false),
        (json!({ "any": [{ "when": "claims.missing == 8" }, { "group": "partners" }] }), true),
    ];
    for (json, passes) in cases {
        assert_eq!(decided(json.clone(), Some(caller())).is_none(), passes, "{json}");
    }
    // A caller whom no consumer stands behind is none of the consumers, whatever it is called.
    let stranger = Caller { consumer: None, ..caller() };
    assert!(decided(json!({ "consumer": "acme" }), Some(stranger)).is_some());
}

#[test]
fn a_refusal_names_what_is_missing_and_not_what_is_there() {
    let refused = |json: Value| decided(json, Some(caller())).unwrap();
    let member = |reply: &Reply| reply.extra.as_ref().and_then(|extra| extra.members.get("missing").cloned());
    let challenges = |reply: &Reply| -> Vec<String> {
        let fields = reply.extra.iter().flat_map(|extra| &extra.fields);
        fields.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    };
    let scope = refused(json!({ "scope": ["orders:read", "orders:delete"] }));
    assert_eq!(
        (scope.reason, &*scope.detail),
        (Reason::InsufficientScope, "The credential lacks the scope orders:delete.")
    );
    assert_eq!(member(&scope), Some(json!({ "scope": ["orders:delete"] })));
    let expected = r#"www-authenticate: Bearer error="insufficient_scope", scope="orders:read orders:delete""#;
    assert_eq!(challenges(&scope), [expected]);

    let both = refused(json!({ "scope": "orders:delete", "group": ["staff", "admins"] }));
    assert_eq!(both.reason, Reason::Forbidden);
    assert_eq!(
        both.detail,
        "The credential lacks the scope orders:delete. The caller is not in the groups staff or admins."
    );
    assert_eq!(member(&both), Some(json!({ "scope": ["orders:delete"], "group": ["staff", "admins"] })));
    assert_eq!(challenges(&both), Vec::<String>::new());

    let claim = refused(json!({ "claim": { "tenant.id": "t2-of-somebody-else" } }));
    assert_eq!((claim.reason, member(&claim)), (Reason::Forbidden, Some(json!({ "claim": ["tenant.id"] }))));
    for json in [
        json!({ "claim": { "tenant.id": "t2-of-somebody-else" } }),
        json!({ "not": { "group": "partners" } }),
        json!({ "when": "claims.tenant.id == 't2-of-somebody-else'" }),
        json!({ "when": "claims.tenant.id > 7" }),
    ] {
        let text = format!("{:?}", refused(json));
        assert!(!text.contains("t1-secret") && !text.contains("t2-of") && !text.contains("partners"), "{text}");
    }
    // Of alternatives the one that lacks least.
    let closest = refused(json!({ "any": [{ "group": "staff", "claim": { "a": 1 } }, { "scope": "orders:delete" }] }));
    assert_eq!(member(&closest), Some(json!({ "scope": ["orders:delete"] })));
    assert_eq!(closest.reason, Reason::InsufficientScope);
}

#[test]
fn nobody_is_asked_who_they_are_where_that_may_help() {
    for json in
        [json!({ "scope": "orders:read" }), json!({ "when": "!caller.anonymous" }), json!({ "group": "partners" })]
    {
        assert_eq!(decided(json.clone(), None).map(|reply| reply.reason), Some(Reason::NoCredentials), "{json}");
    }
    let of_the_request = decided(json!({ "when": "request.method == 'POST'" }), None);
    assert_eq!(of_the_request.map(|reply| reply.reason), Some(Reason::Forbidden));
    assert_eq!(decided(json!({ "when": "request.method == 'GET'" }), None), None);
}

#[test]
fn explain_hears_each_rule() {
    let json = json!({ "scope": "orders:read", "not": { "group": "partners" }, "when": "claims.missing == 1" });
    let chain = attached(json, Some(&auth())).unwrap();
    let mut cx = RequestCx { notes: Some(Box::default()), ..RequestCx::at(0) };
    cx.identity.caller = Some(Arc::new(caller()));
    let mut headers = HeaderMap::new();
    let mut view = RequestView { method: "GET", host: "h", path: "/a", query: None, headers: &mut headers };
    let _ = chain.on_request(&mut Progress::default(), &mut cx, &mut view);
    let notes = cx.notes.unwrap();
    assert_eq!(
        *notes,
        [
            "scope orders:read: holds",
            "group partners: holds",
            "not (group partners): does not hold",
            "when claims.missing == 1: cannot be evaluated: a name it reads is not there; ask for it with `has(…)` first",
        ]
    );
    let described = "allow scope orders:read, and not (group partners), and when claims.missing == 1";
    assert_eq!(chain.describe(), [described]);
}

#[test]
fn what_decides_nothing_is_refused() {
    let cases = [
        (json!({}), "without a condition"),
        (json!({ "any": [] }), "`any` holds no rule"),
        (json!({ "all": [] }), "`all` holds no rule"),
        (json!({ "any": [{}] }), "without a condition"),
        (json!({ "not": {} }), "without a condition"),
        (json!({ "scope": [] }), "`scope` names none"),
        (json!({ "scope": "" }), "empty name"),
        (json!({ "scope": "orders:read orders:write" }), "is not one scope"),
        (json!({ "group": [] }), "`group` names none"),
        (json!({ "consumer": "acem" }), "no consumer `acem`"),
        (json!({ "claim": {} }), "`claim` names none"),
        (json!({ "claim": { "a": [] } }), "one value or a list"),
        (json!({ "claim": { "a": [{ "b": 1 }] } }), "text, a number"),
        (json!({ "claim": { "a": [null] } }), "text, a number"),
        (json!({ "when": "'x'" }), "never true or false"),
        (json!({ "when": "(".repeat(3_000) }), "longer than"),
    ];
    for (json, said) in cases {
        let problems = attached(json.clone(), Some(&auth())).err().unwrap_or_else(|| panic!("{json} is accepted"));
        assert!(problems.iter().any(|problem| problem.contains(said)), "{json}: {problems:?}");
    }
    let deep = (0..40).fold(json!({ "group": "a" }), |inner, _| json!({ "not": inner }));
    assert!(attached(deep, Some(&auth())).err().unwrap()[0].contains("16 deep"));
}

#[test]
fn a_caller_can_be_asked_for_only_where_one_is_established() {
    for json in [json!({ "scope": "a" }), json!({ "not": { "group": "a" } }), json!({ "when": "claims.a == 1" })] {
        let problems = attached(json.clone(), None).err().unwrap_or_else(|| panic!("{json} is accepted"));
        assert!(problems[0].contains("no `auth`"), "{problems:?}");
    }
    assert!(attached(json!({ "when": "request.scheme == 'https'" }), None).is_ok());
}

#[test]
fn deny_by_default_refuses_everybody() {
    let mut chain = ChainBuilder::default();
    DenyAll::attach(&mut chain);
    let (chain, mut cx, mut headers) = (chain.build(), RequestCx::at(0), HeaderMap::new());
    cx.identity.caller = Some(Arc::new(caller()));
    let mut view = RequestView { method: "GET", host: "h", path: "/a", query: None, headers: &mut headers };
    let decision = chain.on_request(&mut Progress::default(), &mut cx, &mut view);
    assert_eq!(decision.refusal().map(|reply| reply.reason), Some(Reason::Forbidden));
}
