//! Tables of the best blocks: for a terminal and as CSV.

use neuro_stats::{BlockMap, overhead};

use crate::ColorLevel;
use crate::escape::{csv, terminal};
use crate::number::full;
use crate::precision::{Precision, is_uncertain};
use crate::range::ColorRange;
use crate::terminal::style::{Ink, paint};

/// The `top` best blocks, one line each: rank, block, delta with interval, score, overhead and path. Where the interval
/// includes 0 the line ends with a remark, since colour never carries meaning alone.
#[must_use]
pub fn top_table(map: &BlockMap, top: usize, color: ColorLevel) -> String {
    let (range, precision) = (ColorRange::of(map), Precision::of(map));
    let header = ["#", "block", "delta", "interval", "score", "overhead", "path"].map(str::to_owned);
    let mut lines = vec![(header, None, false)];
    for (rank, cell) in map.ranked(top).into_iter().enumerate() {
        let (Some(delta), Ok(path)) = (cell.delta, cell.block.path(map.depth)) else { continue };
        let columns = [
            (rank + 1).to_string(),
            cell.block.to_string(),
            precision.signed(delta),
            cell.interval.as_ref().map_or_else(|| "-".to_owned(), |bounds| precision.interval(bounds)),
            cell.score.map_or_else(|| "-".to_owned(), |value| precision.score(value)),
            format!("{:+.1} %", 100.0 * overhead(&path)),
            path.to_string(),
        ];
        lines.push((columns, Some(range.position(delta)), cell.interval.is_some() && is_uncertain(map, cell)));
    }
    if lines.len() == 1 {
        return format!("no block is measured on probe {}\n", terminal(&map.probe));
    }

    let mut widths = [0; 7];
    for (columns, ..) in &lines {
        for (width, column) in widths.iter_mut().zip(columns) {
            *width = (*width).max(column.chars().count());
        }
    }
    let mut table = String::new();
    for (columns, position, uncertain) in &lines {
        let mut line = String::new();
        for (index, (column, &width)) in columns.iter().zip(&widths).enumerate() {
            // Numbers to the right; block, interval and path to the left.
            let padded =
                if matches!(index, 1 | 3 | 6) { format!("{column:<width$}") } else { format!("{column:>width$}") };
            line.push_str(if index == 0 { "" } else { "  " });
            match position {
                Some(position) if index == 2 => line.push_str(&paint(&padded, Ink::on_delta(*position), color)),
                None => line.push_str(&paint(&padded, Ink::FAINT, color)),
                _ => line.push_str(&padded),
            }
        }
        if *uncertain {
            line.push_str("  (includes 0)");
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// Every cell of the map as CSV, in the order of the triangle: `probe,group,i,j,path,score,delta,low,high,questions`. What is not
/// measured stays empty. Numbers are written in full.
#[must_use]
pub fn csv_table(map: &BlockMap) -> String {
    let number = |value: Option<f64>| value.map(full).unwrap_or_default();
    let mut table = "probe,group,i,j,path,score,delta,low,high,questions\n".to_owned();
    let (probe, group) = (csv(&map.probe), csv(map.group.as_deref().unwrap_or_default()));
    for cell in &map.cells {
        let path = cell.block.path(map.depth).map(|path| path.to_string()).unwrap_or_default();
        let (low, high) =
            (cell.interval.as_ref().map(|bounds| bounds.low), cell.interval.as_ref().map(|bounds| bounds.high));
        table.push_str(&format!(
            "{probe},{group},{},{},{},{},{},{},{},{}\n",
            cell.block.start,
            cell.block.end,
            csv(&path),
            number(cell.score),
            number(cell.delta),
            number(low),
            number(high),
            cell.screened.or(cell.score.map(|_| map.n)).map(|seen| seen.to_string()).unwrap_or_default(),
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{map_of, screened, six_layers, small};

    #[test]
    fn the_best_come_first_with_interval_and_path() {
        insta::assert_snapshot!(top_table(&six_layers(), 4, ColorLevel::Plain), @r"
        #  block    delta  interval          score  overhead  path
        1  (1, 4)  +0.750  [+0.720, +0.780]  0.950   +50.0 %  0..3,1..5
        2  (1, 3)  +0.400  [+0.370, +0.430]  0.600   +33.3 %  0..2,1..5
        3  (2, 4)  +0.400  [+0.370, +0.430]  0.600   +33.3 %  0..3,2..5
        4  (5, 6)  +0.040  [+0.010, +0.070]  0.240   +16.7 %  0..5,5
        ");
    }

    #[test]
    fn color_changes_no_text() {
        let colored = top_table(&six_layers(), 2, ColorLevel::TrueColor);
        assert!(colored.contains("\u{1b}["));
        assert!(colored.lines().count() == 3 && colored.contains("+0.750"));
    }

    #[test]
    fn nothing_measured_is_said() {
        assert_eq!(top_table(&map_of(3, |_| None), 4, ColorLevel::Plain), "no block is measured on probe math\n");
    }

    #[test]
    fn csv_keeps_missing_cells_empty() {
        let csv = csv_table(&six_layers());
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 1 + 22);
        assert_eq!(lines[1], "math,,0,0,0..5,0.2,0,,,40");
        assert!(lines.contains(&"math,,2,6,\"0..5,2..5\",,,,,"), "{csv}");
        assert!(lines.iter().any(|line| line.starts_with("math,,1,4,\"0..3,1..5\",0.95,0.75,0.72,0.78")), "{csv}");
    }

    #[test]
    fn who_dropped_out_is_in_the_csv_and_in_no_ranking() {
        let map = screened();
        let csv = csv_table(&map);
        assert!(csv.lines().any(|line| line.starts_with("math,,0,3,") && line.ends_with(",,,2")), "{csv}");
        assert!(csv.lines().any(|line| line.starts_with("math,,1,4,") && line.ends_with(",40")), "{csv}");
        let table = top_table(&map, 99, ColorLevel::Plain);
        // The header, five blocks that start at 1, two at 4 and one at 5.
        assert_eq!(table.lines().count(), 1 + 5 + 2 + 1, "{table}");
    }

    #[test]
    fn small_deltas_get_the_decimals_they_need() {
        insta::assert_snapshot!(top_table(&small(), 3, ColorLevel::Plain), @r"
        #  block     delta  interval               score  overhead  path
        1  (0, 1)  +0.0004  [+0.0003, +0.0005]    0.2004   +20.0 %  0,0..4
        2  (0, 2)  +0.0003  [+0.0001, +0.0004]    0.2003   +40.0 %  0..1,0..4
        3  (0, 3)  +0.0002  [+0.00003, +0.00028]  0.2002   +60.0 %  0..2,0..4
        ");
    }

    #[test]
    fn absurd_numbers_stay_short() {
        let map = map_of(3, |_| Some(-1e308));
        assert!(top_table(&map, 9, ColorLevel::Plain).lines().all(|line| line.len() < 100));
        assert!(csv_table(&map).lines().all(|line| line.len() < 100));
    }
}
