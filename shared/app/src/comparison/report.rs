//! The figures of a comparison, for people and on one line for programs.

use std::fmt;
use std::time::Duration;

use super::{Difference, Figures};

/// The figures, as the command prints them.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The figures.
    pub figures: &'a Figures,
    /// Of each side: lines that are not blank, the refused ones, and the late events.
    pub totals: [(u64, u64, u64); 2],
}

impl Report<'_> {
    /// The figures on one line, as the last line of stderr.
    #[must_use]
    pub fn line(&self) -> String {
        let Figures { rows, rows_differing, ticks, ticks_differing, cells, cells_differing, .. } =
            self.figures;
        let greatest = self.figures.greatest.as_ref().map_or(0, Difference::hundredths);
        let [(events, refused_a, _), (_, refused_b, _)] = self.totals;
        format!(
            "events={events} refused={refused_a},{refused_b} rows={rows_differing}/{rows} ticks={ticks_differing}/{ticks} \
             cells={cells_differing}/{cells} mean={:+.4} greatest={:.2}",
            self.figures.mean(),
            f64::from(greatest) / 100.0
        )
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = self.figures;
        let [(_, refused_a, late_a), (_, refused_b, late_b)] = self.totals;
        writeln!(f, "cells that differ   {} of {}", figures.cells_differing, figures.cells)?;
        writeln!(f, "ticks that differ   {} of {}", figures.ticks_differing, figures.ticks)?;
        writeln!(f, "rows that differ    {} of {}", figures.rows_differing, figures.rows)?;
        writeln!(f, "mean difference     {:+.4} (B minus A)", figures.mean())?;
        if let Some(Difference { city, at, product, cell, a: Some(a), b: Some(b) }) = &figures.greatest {
            let (a, b) = (f64::from(*a), f64::from(*b));
            writeln!(f, "greatest difference {a:.2} and {b:.2}: {city} {product} {cell} at {at}")?;
        }
        writeln!(f, "\n                          A          B")?;
        let hours =
            |ms: i64| format!("{:.2} h", Duration::from_millis(ms.unsigned_abs()).as_secs_f64() / 3_600.0);
        for (name, [a, b]) in [("surging", figures.surging_ms), ("at a limit", figures.limited_ms)] {
            writeln!(f, "time {name:<11} {:>10} {:>10}", hours(a), hours(b))?;
        }
        writeln!(f, "refused lines    {refused_a:>10} {refused_b:>10}")?;
        writeln!(f, "late events      {late_a:>10} {late_b:>10}")?;
        writeln!(f, "\nTimes are summed over cells and products.")
    }
}
