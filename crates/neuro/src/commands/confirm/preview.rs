//! `neuro confirm --dry-run`: who would be confirmed, on what, what that could show, and how long it would take.

use std::path::Path;

use neuro_scan::{ConfirmPlan, ConfirmRequest, Plan, PlanSummary, Subject, confirm_plan, estimate};
use serde_json::{Value, json};

use crate::printer::Printer;
use crate::results::JSON_SCHEMA;

/// Prints the plan; writes nothing.
///
/// # Errors
/// When a confirmation would be refused, the model fails, or stdout cannot be written.
pub(super) fn print(
    subject: &Subject,
    run: &Path,
    request: &ConfirmRequest,
    out: &Path,
    json: bool,
    printer: &Printer,
) -> anyhow::Result<()> {
    let plan = confirm_plan(subject, run, request, out)?;
    let summary = |part: &Plan| -> anyhow::Result<PlanSummary> {
        let estimated_seconds = Some(estimate(subject, part)?.as_secs_f64());
        Ok(PlanSummary { estimated_seconds, ..part.summary() })
    };
    let (main, side) = (summary(&plan.main)?, plan.side.as_ref().map(summary).transpose()?);
    if json {
        printer.json(&document(&plan, &main, side.as_ref()))
    } else {
        printer.line(text(&plan, &main, side.as_ref()))
    }
}

fn document(plan: &ConfirmPlan, main: &PlanSummary, side: Option<&PlanSummary>) -> Value {
    let fixed = &plan.finalists;
    json!({
        "schema": JSON_SCHEMA,
        "tool": fixed.tool,
        "probe": fixed.probe,
        "questions": plan.questions,
        "finalists": fixed.finalists,
        "controls": fixed.controls,
        "settings": fixed.settings,
        "earlier": plan.earlier,
        "visible": plan.visible,
        "skipped": plan.skipped,
        "main": main,
        "side": side,
        "estimated_seconds": seconds(main) + side.map_or(0.0, seconds),
    })
}

fn seconds(summary: &PlanSummary) -> f64 {
    summary.estimated_seconds.unwrap_or_default()
}

fn text(plan: &ConfirmPlan, main: &PlanSummary, side: Option<&PlanSummary>) -> String {
    let fixed = &plan.finalists;
    let mut lines = Vec::new();
    let mut line = |what: &str, said: String| lines.push(format!("{what:<14}{said}"));
    for (place, finalist) in fixed.finalists.iter().enumerate() {
        line(if place == 0 { "finalists" } else { "" }, format!("{}: {}", finalist.path, finalist.why));
    }
    let controls: usize = fixed.controls.values().map(Vec::len).sum();
    let shams: usize = fixed.finalists.iter().map(|finalist| finalist.shams.len()).sum();
    line("beside them", format!("the baseline, {controls} random paths, {shams} shams"));
    let seed = fixed.settings.get("seed").map(Value::to_string).unwrap_or_default();
    line("fresh", format!("{} questions of probe {}, seed {seed}", plan.questions, fixed.probe));
    let visible = match plan.visible {
        Some(visible) => format!("a true gain of {visible:.3} or more passes the test in four of five cases"),
        None => "no gain is known to pass the test in four of five cases".to_owned(),
    };
    line("could show", format!("{visible}, by what the search's answers let expect"));
    if plan.earlier > 0 {
        let (number, times) = (plan.earlier + 1, 2.0_f64.powf(plan.earlier as f64));
        line("again", format!("confirmation {number} of this run, so p counts {times} times"));
    }
    for skipped in &plan.skipped {
        line("left out", format!("{}: {}", skipped.probe, skipped.reason));
    }
    let mut text = lines.join("\n");
    text.push_str(&format!("\n\nfirst, all of these on the confirmed probe\n{main}"));
    if let Some(side) = side {
        text.push_str(&format!("\nthen baseline and finalists on second judges and guards\n{side}"));
    }
    text.trim_end().to_owned()
}
