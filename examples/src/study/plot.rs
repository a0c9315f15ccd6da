//! A line chart as SVG: time to the right, parts from 0 to 1 upwards.

use std::fmt::Write;

use super::replay::Outcome;
use super::report::jain;

/// A line of the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// For the legend.
    pub name: String,
    /// Seconds and values from 0 to 1.
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 50.0;
const BOTTOM: f64 = 380.0;
const TOP: f64 = 40.0;
const RIGHT: f64 = 700.0;
const COLOURS: [&str; 8] =
    ["#1b6ca8", "#d1495b", "#3a7d44", "#edae49", "#6c4ab6", "#00798c", "#8d6a9f", "#555555"];

/// Dominant shares of all frameworks, Jain's index, and the use of CPUs and memory, over time.
pub fn series(outcome: &Outcome) -> Vec<Series> {
    let mut lines: Vec<Series> = Vec::new();
    let mut add = |name: &str, at: f64, value: f64| {
        let found = lines.iter().position(|line| line.name == name);
        let place = found.unwrap_or_else(|| {
            lines.push(Series { name: name.to_owned(), points: Vec::new() });
            lines.len() - 1
        });
        lines[place].points.push((at, value));
    };
    for sample in &outcome.samples {
        let at = sample.at.as_secs_f64();
        for share in &sample.shares {
            add(&share.framework, at, share.share);
        }
        add("Jain index", at, jain(sample));
        for name in ["cpus", "mem"] {
            if let Some(used) = sample.used.get(name) {
                add(&format!("{name} used"), at, *used);
            }
        }
    }
    lines
}

/// The chart.
pub fn svg(title: &str, lines: &[Series]) -> String {
    let end = lines.iter().flat_map(|line| &line.points).map(|(at, _)| *at).fold(1.0, f64::max);
    let x = |at: f64| LEFT + (RIGHT - LEFT) * at / end;
    let y = |value: f64| BOTTOM - (BOTTOM - TOP) * value.clamp(0.0, 1.0);
    let mut svg = String::new();
    // Writing into a string cannot fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text>\n",
        escaped(title)
    );
    for tenth in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{0:.1}\" y2=\"{0:.1}\" stroke=\"#dddddd\"/>\n\
             <text x=\"{1}\" y=\"{0:.1}\" text-anchor=\"end\">{tenth}</text>\n\
             <text x=\"{2:.1}\" y=\"{3}\" text-anchor=\"middle\">{4:.0} s</text>\n",
            y(tenth),
            LEFT - 6.0,
            x(end * tenth),
            BOTTOM + 18.0,
            end * tenth
        );
    }
    for (number, line) in lines.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let dashes = if number < COLOURS.len() { "" } else { " stroke-dasharray=\"6 3\"" };
        let points: Vec<String> = line
            .points
            .iter()
            .map(|(at, value)| format!("{:.1},{:.1}", x(*at), y(*value)))
            .collect();
        let row = TOP + 18.0 * number as f64;
        let _ = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"{dashes} points=\"{}\"/>\n\
             <rect x=\"{}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>\n\
             <text x=\"{}\" y=\"{}\">{}</text>\n",
            points.join(" "),
            RIGHT + 16.0,
            row,
            RIGHT + 36.0,
            row + 7.0,
            escaped(&line.name)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plot_has_a_line_for_each_series_and_escapes_names() {
        let lines = [
            Series { name: "a<b".to_owned(), points: vec![(0.0, 0.0), (10.0, 1.0)] },
            Series { name: "c".to_owned(), points: Vec::new() },
        ];
        let chart = svg("shares & more", &lines);
        assert_eq!(chart.matches("<polyline").count(), 2);
        assert!(chart.contains("a&lt;b") && chart.contains("shares &amp; more"));
        assert!(chart.contains("points=\"50.0,380.0 700.0,40.0\""), "{chart}");
    }
}
