//! How long an expression may go on: rounds of its macros are counted while it is evaluated.
//!
//! An expression is an operator's own, but what it goes over comes from requests: a query of two thousand names, or a
//! token's list of as many, in two macros one inside the other are millions of rounds, and a worker serves nobody else
//! meanwhile. Every round of `all`, `exists`, `exists_one`, `map` and `filter` therefore asks for a variable that no
//! expression can name; once it is used up it is not there any more, and the evaluation ends without a value.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::CelBool;
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Rounds of all macros of one evaluation together: some ten milliseconds at most.
pub const MOST: u32 = 10_000;

/// The variable each round asks for.
const ROUND: &str = "round#";

/// What is left of one evaluation's rounds.
pub struct Steps(AtomicU32);

impl Default for Steps {
    fn default() -> Self {
        Self(AtomicU32::new(MOST))
    }
}

impl VariableResolver for Steps {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let left = (variable == ROUND).then(|| self.0.load(Relaxed))?.checked_sub(1)?;
        self.0.store(left, Relaxed);
        Some(CowVal::owned(CelBool::from(true)))
    }
}

/// Has every round of a macro ask whether it may be: where it goes on as long as something holds, in that condition;
/// else in the step, in the form that the library recognises as one that only appends.
pub fn count(comprehension: &mut ComprehensionExpr) {
    let accumulator = Expr::Ident(comprehension.accu_var.clone());
    if !matches!(comprehension.loop_cond.expr, Expr::Literal(_)) {
        return ask(&mut comprehension.loop_cond, Expr::Literal(LiteralValue::Boolean(false.into())));
    }
    match &mut comprehension.loop_step.expr {
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            if let Some(guard) = call.args.first_mut() {
                ask(guard, Expr::Literal(LiteralValue::Boolean(false.into())));
            }
        }
        _ => ask(&mut comprehension.loop_step, accumulator),
    }
}

/// `x` becomes `round# ? x : otherwise`, which is never taken: without the variable there is no value at all.
fn ask(expression: &mut IdedExpr, otherwise: Expr) {
    let id = expression.id;
    let asked = std::mem::take(expression);
    let args = vec![IdedExpr { id, expr: Expr::Ident(ROUND.into()) }, asked, IdedExpr { id, expr: otherwise }];
    expression.id = id;
    expression.expr = Expr::Call(CallExpr { func_name: operators::CONDITIONAL.into(), target: None, args });
}
