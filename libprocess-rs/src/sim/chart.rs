//! Message sequence charts of a run: who sent what to whom and when it arrived, and what happened
//! to the nodes meanwhile. As text, and as a page with a drawing.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::SocketAddrV4;

use crate::{Envelope, Pid, Time};

/// Between nodes' lines, in pixels.
const LANE: usize = 220;
/// Between events, in pixels.
const ROW: usize = 22;
const TOP: usize = 60;

/// What a run's chart shows, in the order in which it happened. See [`super::World::keep_chart`].
#[derive(Debug, Clone, Default)]
pub struct Chart {
    arrows: Vec<Arrow>,
    marks: Vec<Mark>,
}

/// A message between nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// When it was sent.
    pub sent: Time,
    /// When it arrives; None when it is lost on the way.
    pub arrives: Option<Time>,
    /// The sender.
    pub from: Pid,
    /// The receiver.
    pub to: Pid,
    /// The message's full name.
    pub name: String,
}

/// Something that happened to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Time,
    /// To which node.
    pub node: SocketAddrV4,
    /// `start`, `crash`, `freeze`, ...
    pub what: &'static str,
}

/// One row of a chart.
enum Row<'a> {
    Sent(&'a Arrow),
    Arrived(&'a Arrow),
    Lost(&'a Arrow),
    Marked(&'a Mark),
}

impl Chart {
    pub(super) fn message(&mut self, sent: Time, arrives: Option<Time>, envelope: &Envelope) {
        let Envelope { from, to, name, .. } = envelope;
        let (from, to, name) = (from.clone(), to.clone(), name.to_string());
        self.arrows.push(Arrow { sent, arrives, from, to, name });
    }

    pub(super) fn mark(&mut self, at: Time, node: SocketAddrV4, what: &'static str) {
        self.marks.push(Mark { at, node, what });
    }

    /// The messages.
    pub fn arrows(&self) -> &[Arrow] {
        &self.arrows
    }

    /// What happened to nodes.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// The same without what `keep` is false for.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&Arrow) -> bool) -> Self {
        let arrows = self.arrows.iter().filter(|arrow| keep(arrow)).cloned().collect();
        Self { arrows, marks: self.marks.clone() }
    }

    fn nodes(&self) -> Vec<SocketAddrV4> {
        let ends = self.arrows.iter().flat_map(|a| [a.from.address(), a.to.address()]);
        let nodes: BTreeSet<_> = ends.chain(self.marks.iter().map(|mark| mark.node)).collect();
        nodes.into_iter().collect()
    }

    fn rows(&self) -> Vec<(Time, Row<'_>)> {
        let mut rows: Vec<_> = self.marks.iter().map(|mark| (mark.at, Row::Marked(mark))).collect();
        for arrow in &self.arrows {
            match arrow.arrives {
                Some(arrives) => {
                    rows.push((arrow.sent, Row::Sent(arrow)));
                    rows.push((arrives, Row::Arrived(arrow)));
                }
                None => rows.push((arrow.sent, Row::Lost(arrow))),
            }
        }
        rows.sort_by_key(|(at, _)| *at);
        rows
    }

    /// One line for each thing that happened: seconds since the world's start, sender, receiver,
    /// message; `->` sent, `=>` arrived, `-x` lost.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for (at, row) in self.rows() {
            let seconds = (at - super::START).as_secs_f64();
            // Writing to a string cannot fail.
            let _ = match row {
                Row::Sent(a) => writeln!(text, "{seconds:12.6} {} -> {} {}", a.from, a.to, a.name),
                Row::Arrived(a) => {
                    writeln!(text, "{seconds:12.6} {} => {} {}", a.from, a.to, a.name)
                }
                Row::Lost(a) => writeln!(text, "{seconds:12.6} {} -x {} {}", a.from, a.to, a.name),
                Row::Marked(m) => writeln!(text, "{seconds:12.6} {} {}", m.node, m.what),
            };
        }
        text
    }

    /// A page for a browser: one line down for each node, arrows between them, no scripts.
    pub fn to_html(&self, title: &str) -> String {
        let title = escaped(title);
        let drawing = self.to_svg();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
             <style>body{{font:14px sans-serif;margin:1em;background:#fff;color:#222}}\
             svg text{{font:11px monospace;fill:#222}}</style></head>\n\
             <body><h1>{title}</h1>\n<p>{} messages, of which {} were lost. Time goes down; each row \
             is one event. Dashed red arrows are lost messages.</p>\n{drawing}</body></html>\n",
            self.arrows.len(),
            self.arrows.iter().filter(|arrow| arrow.arrives.is_none()).count(),
        )
    }

    /// The drawing alone.
    pub fn to_svg(&self) -> String {
        let (nodes, rows) = (self.nodes(), self.rows());
        let x = |node: SocketAddrV4| {
            let lane = nodes.binary_search(&node).unwrap_or_default();
            110 + lane * LANE
        };
        let y = |row: usize| TOP + row * ROW;
        let (width, height) = (110 + nodes.len() * LANE, y(rows.len() + 1));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\">\n\
             <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
             markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n"
        );
        for node in &nodes {
            let x = x(*node);
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"30\" text-anchor=\"middle\">{node}</text>\
                 <line x1=\"{x}\" y1=\"40\" x2=\"{x}\" y2=\"{height}\" stroke=\"#bbb\"/>"
            );
        }
        // Where each message's sending is drawn, by its place in the list.
        let mut sent_rows = std::collections::BTreeMap::new();
        for (at, (time, row)) in rows.iter().enumerate() {
            let y = y(at);
            let seconds = (*time - super::START).as_secs_f64();
            let _ = writeln!(svg, "<text x=\"4\" y=\"{}\">{seconds:.6}</text>", y + 4);
            let _ = match row {
                Row::Sent(arrow) => {
                    sent_rows.insert(std::ptr::from_ref(*arrow), y);
                    Ok(())
                }
                Row::Arrived(arrow) => {
                    let from = sent_rows.get(&std::ptr::from_ref(*arrow)).copied().unwrap_or(y);
                    let ends = (x(arrow.from.address()), x(arrow.to.address()));
                    line(&mut svg, arrow, ends, (from, y), "stroke=\"#357\"")
                }
                Row::Lost(arrow) => {
                    let (from, to) = (x(arrow.from.address()), x(arrow.to.address()));
                    let ends = (from, (from + to) / 2);
                    line(&mut svg, arrow, ends, (y, y), "stroke=\"#c33\" stroke-dasharray=\"4 3\"")
                }
                Row::Marked(mark) => writeln!(
                    svg,
                    "<circle cx=\"{0}\" cy=\"{y}\" r=\"4\" fill=\"#c63\"/>\
                     <text x=\"{1}\" y=\"{2}\">{3}</text>",
                    x(mark.node),
                    x(mark.node) + 8,
                    y + 4,
                    mark.what
                ),
            };
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn line(
    svg: &mut String,
    arrow: &Arrow,
    (from, to): (usize, usize),
    (sent, arrived): (usize, usize),
    style: &str,
) -> std::fmt::Result {
    let label = escaped(&format!("{} {} → {}", arrow.name, arrow.from.id(), arrow.to.id()));
    writeln!(
        svg,
        "<line x1=\"{from}\" y1=\"{sent}\" x2=\"{to}\" y2=\"{arrived}\" {style} \
         marker-end=\"url(#head)\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
        (from + to) / 2,
        (sent + arrived) / 2 - 3,
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn chart() -> Chart {
        let envelope = |name: &str| Envelope {
            from: "a@10.0.0.1:1".parse().unwrap(),
            to: "b@10.0.0.2:1".parse().unwrap(),
            name: name.into(),
            body: "".into(),
        };
        let at = |millis| super::super::START + Duration::from_millis(millis);
        let mut chart = Chart::default();
        chart.message(at(1), Some(at(4)), &envelope("x.<Ping>"));
        chart.message(at(2), None, &envelope("x.Lost"));
        chart.mark(at(3), "10.0.0.2:1".parse().unwrap(), "freeze");
        chart
    }

    #[test]
    fn chart_as_text_has_a_line_for_each_event_in_order() {
        let expected = "    0.001000 a@10.0.0.1:1 -> b@10.0.0.2:1 x.<Ping>\n    \
            0.002000 a@10.0.0.1:1 -x b@10.0.0.2:1 x.Lost\n    \
            0.003000 10.0.0.2:1 freeze\n    \
            0.004000 a@10.0.0.1:1 => b@10.0.0.2:1 x.<Ping>\n";
        assert_eq!(chart().to_text(), expected);
    }

    #[test]
    fn chart_as_page_draws_all_and_escapes_names() {
        let page = chart().to_html("a <b> run");
        assert!(page.contains("<title>a &lt;b&gt; run</title>"));
        assert!(page.contains("x.&lt;Ping&gt; a → b") && page.contains("stroke-dasharray"));
        assert_eq!(page.matches("marker-end").count(), 2);
        assert_eq!(page.matches("<circle").count(), 1);
        let only = chart().filtered(|arrow| arrow.arrives.is_some());
        assert_eq!(only.arrows().len(), 1);
    }
}
