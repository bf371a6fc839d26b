//! Rewrites a parsed template so that nothing it makes escapes the meter.
//!
//! minijinja bounds instructions, but `{% set x = x ~ x %}` doubles a string in two of them, and there is no hook for operators.
//! So the tree is copied with growing operators replaced by filters of ours, and with everything made, compared or passed on sent
//! through one that measures it. Those filters have names that no template can write. Fixed text becomes an expression, because
//! only expressions pass our formatter, which meters the output.
//!
//! The tree is minijinja's unstable interface: its version is pinned, and a new one is a change of this file.

use minijinja::machinery::ast::{self, BinOpKind, CallArg, Expr, Spanned, Stmt};
use minijinja::value::Value;
use minijinja::{Error, ErrorKind};

/// Charges a new value with all its parts, and turns lazy iterators into lists.
pub(super) const MADE: &str = "value-made";
/// As [`MADE`], for a selection from values that exist already: charges only the list itself.
pub(super) const TAKEN: &str = "value-taken";
/// Counts the parts of a value that is about to be compared or searched through.
pub(super) const READ: &str = "value-read";
/// The operators that can make something bigger than their operands.
pub(super) const ADD: &str = "operator+";
pub(super) const MULTIPLY: &str = "operator*";
pub(super) const REMAINDER: &str = "operator%";
pub(super) const CONCATENATE: &str = "operator~";
/// `value[start:stop:step]`: minijinja's is lazy, and its negative steps can overflow.
pub(super) const SLICE: &str = "operator[:]";
/// What a loop goes through: as in Python, `none` is an error.
pub(super) const LOOPED: &str = "value-looped";

/// Filters that select from their input without looking into its items. Charging them in full would make a loop over a long
/// conversation quadratic.
const SELECTING: [&str; 16] = [
    "length",
    "count",
    "default",
    "d",
    "first",
    "last",
    "list",
    "items",
    "reverse",
    "select",
    "reject",
    "selectattr",
    "rejectattr",
    "attr",
    "safe",
    "bool",
];
/// Tests that compare whole values.
const COMPARING: [&str; 15] =
    ["in", "eq", "equalto", "==", "ne", "!=", "lt", "lessthan", "<", "le", "<=", "gt", "greaterthan", ">", "ge"];

type Result<T> = std::result::Result<T, Error>;

/// The guarded copy of a whole template.
pub(super) fn guard<'s>(template: &Stmt<'s>) -> Result<Stmt<'s>> {
    statement(template)
}

fn statements<'s>(body: &[Stmt<'s>]) -> Result<Vec<Stmt<'s>>> {
    body.iter().map(statement).collect()
}

fn statement<'s>(statement: &Stmt<'s>) -> Result<Stmt<'s>> {
    Ok(match statement {
        Stmt::Template(node) => {
            Stmt::Template(Spanned::new(ast::Template { children: statements(&node.children)? }, node.span()))
        }
        Stmt::EmitExpr(node) => {
            Stmt::EmitExpr(Spanned::new(ast::EmitExpr { expr: expression(&node.expr)? }, node.span()))
        }
        Stmt::EmitRaw(node) => {
            let text = Expr::Const(Spanned::new(ast::Const { value: Value::from(node.raw) }, node.span()));
            Stmt::EmitExpr(Spanned::new(ast::EmitExpr { expr: text }, node.span()))
        }
        Stmt::ForLoop(node) => Stmt::ForLoop(Spanned::new(
            ast::ForLoop {
                target: target(&node.target)?,
                iter: through(LOOPED, expression(&node.iter)?),
                filter_expr: optional(node.filter_expr.as_ref())?,
                recursive: node.recursive,
                body: statements(&node.body)?,
                else_body: statements(&node.else_body)?,
            },
            node.span(),
        )),
        Stmt::IfCond(node) => Stmt::IfCond(Spanned::new(
            ast::IfCond {
                expr: expression(&node.expr)?,
                true_body: statements(&node.true_body)?,
                false_body: statements(&node.false_body)?,
            },
            node.span(),
        )),
        Stmt::WithBlock(node) => Stmt::WithBlock(Spanned::new(
            ast::WithBlock {
                assignments: node
                    .assignments
                    .iter()
                    .map(|(name, value)| Ok((target(name)?, expression(value)?)))
                    .collect::<Result<_>>()?,
                body: statements(&node.body)?,
            },
            node.span(),
        )),
        Stmt::Set(node) => Stmt::Set(Spanned::new(
            ast::Set { target: target(&node.target)?, expr: expression(&node.expr)? },
            node.span(),
        )),
        Stmt::SetBlock(node) => Stmt::SetBlock(Spanned::new(
            ast::SetBlock {
                target: target(&node.target)?,
                filter: node.filter.as_ref().map(block_filter).transpose()?,
                body: statements(&node.body)?,
            },
            node.span(),
        )),
        Stmt::AutoEscape(node) => Stmt::AutoEscape(Spanned::new(
            ast::AutoEscape { enabled: expression(&node.enabled)?, body: statements(&node.body)? },
            node.span(),
        )),
        Stmt::FilterBlock(node) => Stmt::FilterBlock(Spanned::new(
            ast::FilterBlock { filter: block_filter(&node.filter)?, body: statements(&node.body)? },
            node.span(),
        )),
        Stmt::Block(node) => Stmt::Block(Spanned::new(
            ast::Block { name: node.name, required: node.required, body: statements(&node.body)? },
            node.span(),
        )),
        Stmt::Macro(node) => Stmt::Macro(Spanned::new(macro_declaration(node)?, node.span())),
        Stmt::CallBlock(node) => Stmt::CallBlock(Spanned::new(
            ast::CallBlock {
                call: Spanned::new(call(&node.call)?, node.call.span()),
                macro_decl: Spanned::new(macro_declaration(&node.macro_decl)?, node.macro_decl.span()),
            },
            node.span(),
        )),
        Stmt::Do(node) => {
            Stmt::Do(Spanned::new(ast::Do { call: Spanned::new(call(&node.call)?, node.call.span()) }, node.span()))
        }
        Stmt::Continue(node) => Stmt::Continue(Spanned::new(ast::Continue, node.span())),
        Stmt::Break(node) => Stmt::Break(Spanned::new(ast::Break, node.span())),
        Stmt::Import(_) | Stmt::FromImport(_) | Stmt::Extends(_) | Stmt::Include(_) => {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "it includes or imports another template, and there is none",
            ));
        }
    })
}

/// What `for` and `set` assign to: names, and tuples or lists of them, which are no values.
fn target<'s>(expr: &Expr<'s>) -> Result<Expr<'s>> {
    let targets = |items: &[Expr<'s>]| items.iter().map(target).collect::<Result<Vec<_>>>();
    Ok(match expr {
        Expr::Tuple(node) => Expr::Tuple(Spanned::new(ast::Tuple { items: targets(&node.items)? }, node.span())),
        Expr::List(node) => Expr::List(Spanned::new(ast::List { items: targets(&node.items)? }, node.span())),
        other => expression(other)?,
    })
}

fn macro_declaration<'s>(node: &ast::Macro<'s>) -> Result<ast::Macro<'s>> {
    Ok(ast::Macro {
        name: node.name,
        args: expressions(&node.args)?,
        defaults: expressions(&node.defaults)?,
        body: statements(&node.body)?,
    })
}

/// The filter of a block keeps its place at the top: minijinja finds the captured text through it.
fn block_filter<'s>(filter: &Expr<'s>) -> Result<Expr<'s>> {
    match filter {
        Expr::Filter(node) => Ok(Expr::Filter(Spanned::new(
            ast::Filter {
                name: node.name,
                expr: node.expr.as_ref().map(block_filter).transpose()?,
                args: arguments(&node.args)?,
            },
            node.span(),
        ))),
        other => expression(other),
    }
}

fn optional<'s>(expr: Option<&Expr<'s>>) -> Result<Option<Expr<'s>>> {
    expr.map(expression).transpose()
}

fn expressions<'s>(exprs: &[Expr<'s>]) -> Result<Vec<Expr<'s>>> {
    exprs.iter().map(expression).collect()
}

fn expression<'s>(expr: &Expr<'s>) -> Result<Expr<'s>> {
    Ok(match expr {
        Expr::Var(node) => Expr::Var(Spanned::new(ast::Var { id: node.id }, node.span())),
        Expr::Const(node) => Expr::Const(Spanned::new(ast::Const { value: node.value.clone() }, node.span())),
        Expr::Slice(node) => {
            let bound = |bound: &Option<Expr<'s>>| -> Result<CallArg<'s>> {
                let none = || Expr::Const(Spanned::new(ast::Const { value: Value::from(()) }, node.span()));
                Ok(CallArg::Pos(optional(bound.as_ref())?.unwrap_or_else(none)))
            };
            let args = vec![bound(&node.start)?, bound(&node.stop)?, bound(&node.step)?];
            Expr::Filter(Spanned::new(
                ast::Filter { name: SLICE, expr: Some(expression(&node.expr)?), args },
                node.span(),
            ))
        }
        Expr::UnaryOp(node) => {
            #[expect(clippy::needless_match, reason = "the type is not Copy")]
            let op = match node.op {
                ast::UnaryOpKind::Not => ast::UnaryOpKind::Not,
                ast::UnaryOpKind::Neg => ast::UnaryOpKind::Neg,
            };
            Expr::UnaryOp(Spanned::new(ast::UnaryOp { op, expr: expression(&node.expr)? }, node.span()))
        }
        Expr::BinOp(node) => binary(node)?,
        Expr::Compare(node) => {
            let ops = node
                .ops
                .iter()
                .map(|right| Ok(ast::CompareOp { op: right.op, expr: read(&right.expr)? }))
                .collect::<Result<_>>()?;
            Expr::Compare(Spanned::new(ast::Compare { expr: read(&node.expr)?, ops }, node.span()))
        }
        Expr::IfExpr(node) => Expr::IfExpr(Spanned::new(
            ast::IfExpr {
                test_expr: expression(&node.test_expr)?,
                true_expr: expression(&node.true_expr)?,
                false_expr: optional(node.false_expr.as_ref())?,
            },
            node.span(),
        )),
        Expr::Filter(node) => {
            let selecting = SELECTING.contains(&node.name);
            let input = |expr| if selecting { expression(expr) } else { read(expr) };
            let filter = ast::Filter {
                name: node.name,
                expr: node.expr.as_ref().map(input).transpose()?,
                args: arguments(&node.args)?,
            };
            through(if selecting { TAKEN } else { MADE }, Expr::Filter(Spanned::new(filter, node.span())))
        }
        Expr::Test(node) => {
            let input = if COMPARING.contains(&node.name) { read(&node.expr)? } else { expression(&node.expr)? };
            Expr::Test(Spanned::new(
                ast::Test { name: node.name, expr: input, args: arguments(&node.args)? },
                node.span(),
            ))
        }
        Expr::GetAttr(node) => {
            Expr::GetAttr(Spanned::new(ast::GetAttr { expr: expression(&node.expr)?, name: node.name }, node.span()))
        }
        Expr::GetItem(node) => Expr::GetItem(Spanned::new(
            ast::GetItem { expr: expression(&node.expr)?, subscript_expr: expression(&node.subscript_expr)? },
            node.span(),
        )),
        Expr::Call(node) => through(MADE, Expr::Call(Spanned::new(call(node)?, node.span()))),
        Expr::List(node) => {
            through(TAKEN, Expr::List(Spanned::new(ast::List { items: expressions(&node.items)? }, node.span())))
        }
        Expr::Tuple(node) => {
            through(TAKEN, Expr::Tuple(Spanned::new(ast::Tuple { items: expressions(&node.items)? }, node.span())))
        }
        Expr::Map(node) => through(
            TAKEN,
            Expr::Map(Spanned::new(
                ast::Map { keys: expressions(&node.keys)?, values: expressions(&node.values)? },
                node.span(),
            )),
        ),
    })
}

fn binary<'s>(node: &Spanned<ast::BinOp<'s>>) -> Result<Expr<'s>> {
    let filter = match node.op {
        BinOpKind::Add => ADD,
        BinOpKind::Mul => MULTIPLY,
        BinOpKind::Rem => REMAINDER,
        BinOpKind::Concat => CONCATENATE,
        op => {
            let short_circuit = matches!(op, BinOpKind::ScAnd | BinOpKind::ScOr);
            let operand = |expr| if short_circuit { expression(expr) } else { read(expr) };
            let (left, right) = (operand(&node.left)?, operand(&node.right)?);
            return Ok(Expr::BinOp(Spanned::new(ast::BinOp { op, left, right }, node.span())));
        }
    };
    let args = vec![CallArg::Pos(expression(&node.right)?)];
    let operator = ast::Filter { name: filter, expr: Some(expression(&node.left)?), args };
    Ok(Expr::Filter(Spanned::new(operator, node.span())))
}

/// The callee keeps its shape: minijinja tells functions from methods by it.
fn call<'s>(node: &ast::Call<'s>) -> Result<ast::Call<'s>> {
    Ok(ast::Call { expr: expression(&node.expr)?, args: arguments(&node.args)? })
}

fn arguments<'s>(args: &[CallArg<'s>]) -> Result<Vec<CallArg<'s>>> {
    args.iter()
        .map(|argument| {
            Ok(match argument {
                CallArg::Pos(expr) => CallArg::Pos(read(expr)?),
                CallArg::Kwarg(name, expr) => CallArg::Kwarg(name, read(expr)?),
                CallArg::PosSplat(expr) => CallArg::PosSplat(read(expr)?),
                CallArg::KwargSplat(expr) => CallArg::KwargSplat(read(expr)?),
            })
        })
        .collect()
}

/// An expression whose value is about to be read as a whole. Constants are as small as the template.
fn read<'s>(expr: &Expr<'s>) -> Result<Expr<'s>> {
    let guarded = expression(expr)?;
    Ok(if matches!(guarded, Expr::Const(_)) { guarded } else { through(READ, guarded) })
}

fn through<'s>(filter: &'static str, expr: Expr<'s>) -> Expr<'s> {
    let span = expr.span();
    Expr::Filter(Spanned::new(ast::Filter { name: filter, expr: Some(expr), args: Vec::new() }, span))
}
