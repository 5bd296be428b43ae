//! Makes a program count what it does.
//!
//! A jq program can run for ever and grow without bound, and a thread cannot be stopped from outside. So a program is not
//! run as it is written: behind every place where it can repeat itself or make something larger stands a call of a filter
//! of ours ([`mod@super::natives`]) that passes its input on, or ends the program when its time, its steps or its memory are
//! used up. The definitions of jq's own library go through the same.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Part, Path};

/// Counts a step.
pub const STEP: &str = "!step";
/// Counts a step and the size of the value.
pub const WEIGH: &str = "!weigh";
/// The same, and refuses a value that goes too deep.
pub const DEEP: &str = "!deep";
/// Refuses a long text.
pub const SHORT: &str = "!short";
/// Multiplies, within bounds.
pub const TIMES: &str = "!times";

/// Filters that make much of a text.
const HEAVY: [&str; 6] = ["matches", "split_matches", "split_", "explode", "indices", "encode_uri"];

type T<'s> = Term<&'s str>;

fn call<'s>(name: &'static str) -> T<'s> {
    Term::Call(name, Vec::new())
}

fn then<'s>(first: T<'s>, second: T<'s>) -> T<'s> {
    Term::BinOp(Box::new(first), BinaryOp::Pipe(None), Box::new(second))
}

/// A definition whose calls are counted.
pub fn guarded_definition<'s>(def: Def<&'s str>, natives: &dyn Fn(&str, usize) -> bool) -> Def<&'s str> {
    Def { name: def.name, args: def.args, body: then(call(STEP), guarded(def.body, natives)) }
}

/// The same program, counted. `natives` knows the filters that are no definitions, by name and arity.
pub fn guarded<'s>(term: T<'s>, natives: &dyn Fn(&str, usize) -> bool) -> T<'s> {
    let inner = |term: Box<T<'s>>| Box::new(guarded(*term, natives));
    let each = |terms: Vec<T<'s>>| terms.into_iter().map(|term| guarded(term, natives)).collect::<Vec<_>>();
    match term {
        Term::Id | Term::Num(_) | Term::Var(_) | Term::Break(_) | Term::Arr(None) => term,
        Term::Recurse => then(Term::Recurse, call(STEP)),
        Term::Str(format, parts) => text(format, parts, natives),
        Term::Arr(Some(items)) => then(Term::Arr(Some(inner(items))), call(DEEP)),
        Term::Obj(members) => then(Term::Obj(members.into_iter().map(|m| member(m, natives)).collect()), call(DEEP)),
        Term::Neg(value) => then(Term::Neg(inner(value)), call(STEP)),
        Term::BinOp(left, op, right) => operation(inner(left), op, inner(right), natives),
        Term::Label(name, body) => Term::Label(name, inner(body)),
        Term::Fold(kind, items, to, parts) => {
            let parts = each(parts).into_iter().map(|part| then(call(STEP), part)).collect();
            Term::Fold(kind, inner(items), pattern(to, natives), parts)
        }
        Term::TryCatch(body, caught) => {
            let caught = caught.map(|caught| Box::new(then(call(STEP), *inner(caught))));
            Term::TryCatch(inner(body), caught)
        }
        Term::IfThenElse(cases, rest) => {
            let cases = cases
                .into_iter()
                .map(|(when, body)| (guarded(when, natives), then(call(STEP), guarded(body, natives))));
            Term::IfThenElse(cases.collect(), rest.map(|rest| Box::new(then(call(STEP), *inner(rest)))))
        }
        Term::Def(defs, body) => {
            Term::Def(defs.into_iter().map(|def| guarded_definition(def, natives)).collect(), inner(body))
        }
        Term::Call(name, arguments) => {
            let known = natives(name, arguments.len());
            let called = Term::Call(name, each(arguments));
            match known {
                true if HEAVY.contains(&name) => then(then(call(SHORT), called), call(WEIGH)),
                true => then(called, call(WEIGH)),
                false => called, // counted where it is defined
            }
        }
        Term::Path(of, path) => {
            let part = |part| match part {
                Part::Index(at) => Part::Index(guarded(at, natives)),
                Part::Range(from, to) => {
                    Part::Range(from.map(|from| guarded(from, natives)), to.map(|to| guarded(to, natives)))
                }
            };
            let parts = path.0.into_iter().map(|(own, optional)| (part(own), optional)).collect();
            then(Term::Path(inner(of), Path(parts)), call(STEP))
        }
    }
}

/// What is written in braces without a value means itself: its name must stay as it is.
fn member<'s>((name, value): (T<'s>, Option<T<'s>>), natives: &dyn Fn(&str, usize) -> bool) -> (T<'s>, Option<T<'s>>) {
    match value {
        None => (name, None),
        Some(value) => (guarded(name, natives), Some(guarded(value, natives))),
    }
}

fn text<'s>(
    format: Option<&'s str>,
    parts: Vec<StrPart<&'s str, T<'s>>>,
    natives: &dyn Fn(&str, usize) -> bool,
) -> T<'s> {
    let made = parts.iter().any(|part| matches!(part, StrPart::Term(_)));
    let parts = parts.into_iter().map(|part| match part {
        StrPart::Term(term) => StrPart::Term(guarded(term, natives)),
        other => other,
    });
    let text = Term::Str(format, parts.collect());
    if made { then(text, call(WEIGH)) } else { text }
}

fn pattern<'s>(written: Pattern<&'s str>, natives: &dyn Fn(&str, usize) -> bool) -> Pattern<&'s str> {
    match written {
        Pattern::Var(name) => Pattern::Var(name),
        Pattern::Arr(items) => Pattern::Arr(items.into_iter().map(|item| pattern(item, natives)).collect()),
        Pattern::Obj(members) => {
            Pattern::Obj(members.into_iter().map(|(name, to)| (guarded(name, natives), pattern(to, natives))).collect())
        }
    }
}

/// A step is counted before what follows a pipe, so that calls at the end of a definition stay there; behind everything
/// else. `a op= b` is `b as $x | a |= . op $x`, as the language defines it.
fn operation<'s>(
    left: Box<T<'s>>,
    op: BinaryOp<&'s str>,
    right: Box<T<'s>>,
    natives: &dyn Fn(&str, usize) -> bool,
) -> T<'s> {
    match op {
        BinaryOp::Pipe(to) => {
            let to = to.map(|to| pattern(to, natives));
            Term::BinOp(left, BinaryOp::Pipe(to), Box::new(then(call(STEP), *right)))
        }
        BinaryOp::Comma | BinaryOp::Alt => Term::BinOp(left, op, right),
        BinaryOp::Or | BinaryOp::And | BinaryOp::Cmp(_) => then(Term::BinOp(left, op, right), call(STEP)),
        BinaryOp::Math(math) => then(calculation(left, math, right), call(WEIGH)),
        BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateAlt => then(Term::BinOp(left, op, right), call(DEEP)),
        BinaryOp::UpdateMath(math) => {
            const OPERAND: &str = "$!operand";
            let made = then(calculation(Box::new(Term::Id), math, Box::new(Term::Var(OPERAND))), call(WEIGH));
            let update = then(Term::BinOp(left, BinaryOp::Update, Box::new(made)), call(DEEP));
            Term::BinOp(right, BinaryOp::Pipe(Some(Pattern::Var(OPERAND))), Box::new(update))
        }
    }
}

fn calculation<'s>(left: Box<T<'s>>, op: Math, right: Box<T<'s>>) -> T<'s> {
    match op {
        Math::Mul => Term::Call(TIMES, vec![*left, *right]),
        Math::Div => Term::BinOp(Box::new(then(*left, call(SHORT))), BinaryOp::Math(op), right),
        Math::Add | Math::Sub | Math::Rem => Term::BinOp(left, BinaryOp::Math(op), right),
    }
}
