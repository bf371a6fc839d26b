//! The confirmation as a section of `report.html`, in front of the maps.

use neuro_path::LayerPath;
use neuro_stats::{Interval, signed_delta};

use super::{COLUMNS, Confirmation, bounds, details, families, p_value};
use crate::escape::markup;
use crate::html::with_code;
use crate::number::typographic;
use crate::{Shrinkage, svg_shrinkage};

/// The page with a section on the confirmation at the beginning of what it holds. A page of another shape gets it in
/// front of its end.
#[must_use]
pub fn html_with_confirmation(page: &str, confirmation: &Confirmation<'_>) -> String {
    const MAIN: &str = "<main>\n";
    let section = section(confirmation);
    match page.find(MAIN).map(|at| at + MAIN.len()).or_else(|| page.rfind("</body>")) {
        Some(at) => format!("{}{section}{}", &page[..at], &page[at..]),
        None => format!("{page}{section}"),
    }
}

/// The finalists that both the search and the confirmation have measured; a block by its short name.
fn shrinkage(confirmation: &Confirmation<'_>) -> Vec<Shrinkage> {
    let fixed = &confirmation.data.finalists;
    let both = |finalist: &neuro_record::Finalist| {
        let found = confirmation.verdicts?.iter().find(|found| found.path == finalist.path)?.effect.as_ref()?;
        let block = LayerPath::parse(&finalist.path, fixed.model.layers).ok().and_then(|path| path.block());
        let search = finalist.search_interval.map(|[low, high]| Interval { low, high });
        Some(Shrinkage {
            name: block.map_or_else(|| finalist.path.clone(), |block| block.to_string()),
            search: (finalist.search_delta?, search),
            confirmed: (found.delta, found.interval),
        })
    };
    fixed.finalists.iter().filter_map(both).collect()
}

fn section(confirmation: &Confirmation<'_>) -> String {
    let fixed = &confirmation.data.finalists;
    let mut html = format!(
        "<section class=\"confirmation\" aria-labelledby=\"confirmation\">\n<h2 id=\"confirmation\">Verdict</h2>\n\
         <p class=\"headline\">{}</p>\n<p class=\"muted\">Finalists were fixed before the questions were drawn, from rows with \
         the SHA-256 <code>{}</code>.</p>\n",
        markup(&confirmation.paragraph()),
        markup(&fixed.search.rows_hash),
    );
    let verdicts = confirmation.verdicts.unwrap_or_default();
    if !verdicts.is_empty() {
        html.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
        for column in COLUMNS {
            html.push_str(&format!("<th scope=\"col\" class=\"text\">{column}</th>"));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for found in verdicts {
            let cells = confirmation.line(found);
            let cells: String =
                cells.iter().map(|cell| format!("<td class=\"text\">{}</td>", typographic(&markup(cell)))).collect();
            html.push_str(&format!("<tr>{cells}</tr>\n"));
        }
        let below = families(verdicts).map(|line| markup(&line)).join(".<br>");
        html.push_str(&format!("</tbody></table></div>\n<p class=\"muted\">{below}.</p>\n"));
    }
    for found in verdicts {
        html.push_str(&format!("<h3>{}: {}</h3>\n<ul>\n", markup(&found.path), found.verdict.name()));
        for line in found.reasons.iter().cloned().chain(details(found)) {
            html.push_str(&format!("<li>{}</li>\n", typographic(&markup(&line.replace(" -> ", " → ")))));
        }
        html.push_str("</ul>\n");
    }
    html.push_str("<h3>Found in the search, and found again</h3>\n");
    if let Some(picture) = svg_shrinkage(&shrinkage(confirmation)) {
        html.push_str(&format!(
            "<figure>\n{picture}<figcaption class=\"muted\">What chose a finalist was partly luck, which fresh questions do not \
             repeat. Bars are intervals of one path alone.</figcaption></figure>\n"
        ));
    }
    html.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for column in ["path", "why", "search delta", "confirmed delta", "interval", "corrected p"] {
        html.push_str(&format!("<th scope=\"col\" class=\"text\">{column}</th>"));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for finalist in &fixed.finalists {
        let found = verdicts.iter().find(|found| found.path == finalist.path);
        let effect = found.and_then(|found| found.effect.as_ref());
        let signed = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), signed_delta);
        let cells = [
            finalist.path.clone(),
            finalist.why.clone(),
            signed(finalist.search_delta),
            signed(effect.map(|effect| effect.delta)),
            bounds(effect),
            found.and_then(|found| found.corrected).map_or_else(|| "-".to_owned(), |corrected| p_value(corrected.p)),
        ];
        let cells: String =
            cells.iter().map(|cell| format!("<td class=\"text\">{}</td>", typographic(&markup(cell)))).collect();
        html.push_str(&format!("<tr>{cells}</tr>\n"));
    }
    html.push_str("</tbody></table></div>\n");
    let skipped: Vec<_> = confirmation.data.questions.iter().flat_map(|sets| &sets.skipped).collect();
    if !skipped.is_empty() {
        html.push_str("<h3>Left out</h3>\n<ul>\n");
        for skipped in skipped {
            html.push_str(&format!("<li>{}: {}</li>\n", markup(&skipped.probe), with_code(&skipped.reason)));
        }
        html.push_str("</ul>\n");
    }
    html.push_str("</section>\n");
    html
}
