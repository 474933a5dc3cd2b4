//! Curves as SVG.

use std::fmt::Write as _;

/// Width and height of a panel's plane, and what is around it.
const SIZE: [f64; 2] = [300.0, 170.0];
const MARGIN: [f64; 2] = [60.0, 40.0];

/// One curve and what it is.
pub(crate) struct Panel {
    /// What is measured, with its unit.
    pub(crate) title: String,
    /// What grows.
    pub(crate) along: String,
    /// How much there was of it, and what was measured.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Panels, two in a row, each from 0 on.
pub(crate) fn svg(panels: &[Panel]) -> String {
    let (width, height) = (SIZE[0] + MARGIN[0] + 20.0, SIZE[1] + 2.0 * MARGIN[1]);
    let rows = u32::try_from(panels.len().div_ceil(2)).map_or(1.0, f64::from);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {:.0}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        2.0 * width,
        rows * height
    );
    let (mut left, mut top) = (0.0, 0.0);
    for panel in panels {
        draw(&mut text, panel, [left, top]);
        (left, top) = if left > 0.0 { (0.0, top + height) } else { (width, top) };
    }
    text.push_str("</svg>\n");
    text
}

fn draw(text: &mut String, panel: &Panel, [left, top]: [f64; 2]) {
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MIN_POSITIVE, f64::max);
    let right = most(&mut panel.points.iter().map(|point| point.0));
    // Room above, so that a flat curve looks flat.
    let high = 1.25 * most(&mut panel.points.iter().map(|point| point.1));
    let place = |(x, y): (f64, f64)| {
        (left + MARGIN[0] + x / right * SIZE[0], top + MARGIN[1] + (1.0 - y / high) * SIZE[1])
    };
    let (x0, y0) = place((0.0, 0.0));
    let (x1, y1) = place((right, high));
    let mut line = |it: String| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{it}");
    };
    line(format!("<text x=\"{x0:.1}\" y=\"{:.1}\" font-weight=\"bold\">{}</text>", y1 - 12.0, panel.title));
    line(format!(
        "<path d=\"M{x0:.1} {y1:.1}V{y0:.1}H{x1:.1}\" fill=\"none\" stroke=\"black\"/>\
         <text x=\"{x1:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        y0 + 30.0,
        panel.along
    ));
    for share in [0.0, 0.5, 1.0] {
        let (_, y) = place((0.0, high * share));
        let figure = high * share;
        let decimals = if high < 10.0 { 2 } else { usize::from(high < 100.0) };
        line(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{figure:.decimals$}</text>",
            x0 - 6.0,
            y + 4.0
        ));
    }
    let points: Vec<String> =
        panel.points.iter().map(|point| place(*point)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    line(format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2\"/>",
        points.join(" ")
    ));
    for point in &panel.points {
        let (x, y) = place(*point);
        line(format!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#1f5fa8\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:.0}</text>",
            y0 + 14.0,
            point.0
        ));
    }
}
