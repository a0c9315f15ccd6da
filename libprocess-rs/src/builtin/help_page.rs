//! Help as a page for browsers, from the markdown that help consists of: headings, `> path  summary`
//! lines, paragraphs and `code`.

use std::fmt::Write;

const HEAD: &str = "<!DOCTYPE html><html lang=en><meta charset=utf-8>\
<meta name=viewport content=\"width=device-width\"><title>Help</title><style>\
body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}\
code{background:#f2f2f2;padding:0 .25em}table{border-collapse:collapse;width:100%}\
td{padding:.2em 1em .2em 0;border-bottom:1px solid #ddd;vertical-align:top}\
td:first-child{white-space:nowrap;font-family:monospace}\
@media(prefers-color-scheme:dark){body{background:#222;color:#ddd}code{background:#333}\
a{color:#8bf}td{border-color:#444}}</style>";

pub(super) fn html(markdown: &str) -> String {
    let mut page = format!("{HEAD}<p><a href=\"/help\">All endpoints</a></p>");
    let mut in_table = false;
    for line in markdown.lines() {
        let row = line.strip_prefix("> ");
        if row.is_some() != in_table {
            page.push_str(if in_table { "</table>" } else { "<table>" });
            in_table = !in_table;
        }
        // Writing to a text cannot fail.
        let _ = match (row, line.strip_prefix("# ")) {
            (Some(row), _) => {
                let (path, summary) = row.split_once(' ').unwrap_or((row, ""));
                let (path, summary) = (escaped(path), inline(summary.trim()));
                write!(
                    page,
                    "<tr><td><a href=\"/help{path}\">{path}</a></td><td>{summary}</td></tr>"
                )
            }
            (None, Some(heading)) => {
                write!(page, "<h1>{}</h1>", inline(heading.trim_end_matches(" #")))
            }
            (None, None) if line.is_empty() => Ok(()),
            (None, None) => write!(page, "<p>{}</p>", inline(line)),
        };
    }
    if in_table {
        page.push_str("</table>");
    }
    page.push_str("</html>\n");
    page
}

/// Text with what stands between backticks as code.
fn inline(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let marked = parts.map(|(at, part)| match at % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    });
    marked.collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_of_an_index_links_each_endpoint_to_its_own_page() {
        let page = html("# HELP #\n\n> /a/b     Does `x` <fast>\n> /c       Rests\n");
        assert!(page.contains("<h1>HELP</h1><table><tr><td><a href=\"/help/a/b\">/a/b</a></td>"));
        assert!(page.contains("<td>Does <code>x</code> &lt;fast&gt;</td></tr>"), "{page}");
        assert_eq!(page.matches("<table>").count(), 1);
        assert_eq!(page.matches("</table>").count(), 1);
    }
}
