//! The tree as lines: branches, columns that line up, what is wrong below its line, in colours that a pipe does not see.

use clap::builder::styling::{AnsiColor, Style};

use super::tree::Node;
use crate::table::aligned;

const RED: Style = AnsiColor::Red.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const FAINT: Style = Style::new().dimmed();

/// One line of output before it is aligned: the cells, and what stands below them.
struct Row<'a> {
    cells: [String; 3],
    node: &'a Node,
    /// What continues the branches below this line.
    below: String,
}

/// All lines, with the namespaces as headings.
pub(super) fn lines(nodes: &[Node]) -> Vec<String> {
    let mut rows = Vec::new();
    for node in nodes {
        collect(node, "", "", &mut rows);
    }
    let cells: Vec<_> = rows.iter().map(|row| row.cells.to_vec()).collect();
    let mut lines = Vec::new();
    let mut namespace = None;
    for (row, line) in rows.iter().zip(aligned(&cells)) {
        if namespace != Some(&row.node.namespace) {
            namespace = Some(&row.node.namespace);
            lines.push(format!("namespace {}", row.node.namespace));
        }
        lines.push(coloured(&line, row.node));
        lines.extend(row.node.messages.iter().map(|message| below(row, message)));
    }
    lines
}

fn collect<'a>(node: &'a Node, branch: &str, stem: &str, rows: &mut Vec<Row<'a>>) {
    let place = node.availability_zone.as_ref().map(|zone| format!(" in {zone}")).unwrap_or_default();
    let name = format!("{branch}{} {}{place}", node.kind, node.name);
    let state = [node.state, node.error_code].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let deeper = if node.children.is_empty() { "   " } else { "│  " };
    let cells = [name, state, node.id.clone().unwrap_or_default()];
    rows.push(Row { cells, node, below: format!("{stem}{deeper}") });
    for (index, child) in node.children.iter().enumerate() {
        let last = index + 1 == node.children.len();
        let (branch, further) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        collect(child, &format!("{stem}{branch}"), &format!("{stem}{further}"), rows);
    }
}

fn coloured(line: &str, node: &Node) -> String {
    let (Some(state), style) = (node.state, if node.wrong { RED } else { GREEN }) else { return line.to_owned() };
    // The state stands behind the name: the last place where the word occurs before the id.
    let upto = node.id.as_deref().and_then(|id| line.rfind(id)).unwrap_or(line.len());
    match line[..upto].rfind(state) {
        Some(at) => {
            let (before, after) = (&line[..at], &line[at + state.len()..]);
            format!("{before}{style}{state}{style:#}{after}")
        }
        None => line.to_owned(),
    }
}

fn below(row: &Row<'_>, message: &str) -> String {
    let (mark, style) = if row.node.wrong { ("! ", RED) } else { ("  ", FAINT) };
    format!("{}{style}{mark}{message}{style:#}", row.below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(kind: &'static str, name: &str, state: &'static str, children: Vec<Node>) -> Node {
        Node { kind, namespace: "team-a".into(), name: name.into(), state: Some(state), children, ..Node::default() }
    }

    fn plain(nodes: &[Node]) -> Vec<String> {
        lines(nodes).iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    #[test]
    fn branches_columns_and_messages_line_up() {
        let key =
            Node { wrong: true, messages: vec!["connect it".into()], ..node("KmsKey", "k", "Unavailable", vec![]) };
        let mut hsm = node("Hsm", "pod-0", "ACTIVE", vec![]);
        hsm.availability_zone = Some("local-1a".into());
        hsm.id = Some("hsm-a".into());
        let mut store = node("CustomKeyStore", "s", "FAILED", vec![key]);
        store.error_code = Some("USER_LOCKED_OUT");
        store.messages = vec!["it is locked".into()];
        let cluster = node("CloudHsmCluster", "c", "ACTIVE", vec![hsm, store]);
        let want = [
            "namespace team-a",
            "CloudHsmCluster c         ACTIVE",
            "├─ Hsm pod-0 in local-1a  ACTIVE                  hsm-a",
            "└─ CustomKeyStore s       FAILED USER_LOCKED_OUT",
            "   │    it is locked",
            "   └─ KmsKey k            Unavailable",
            "         ! connect it",
        ];
        assert_eq!(plain(&[cluster]), want);
    }

    #[test]
    fn a_state_that_is_also_a_name_is_coloured_where_it_is_the_state() {
        let line = coloured(
            "KmsKey Enabled  Enabled  0a1b",
            &Node { id: Some("0a1b".into()), ..node("KmsKey", "Enabled", "Enabled", vec![]) },
        );
        assert!(line.starts_with("KmsKey Enabled  \u{1b}["), "{line:?}");
    }
}
