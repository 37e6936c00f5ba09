//! Where everything stands on the pages of the PDF, and what it is: a reader sees pieces of text, a screen reader a tree.
#![expect(clippy::float_arithmetic, reason = "positions on paper, never money")]

use crate::font::{Fonts, printable};
use crate::sheet::{Sheet, Table};

/// A4, in points.
pub(crate) const PAGE_WIDTH: f32 = 595.28;
/// A4, in points.
pub(crate) const PAGE_HEIGHT: f32 = 841.89;
/// On all sides: 18 mm, as the page prints.
const MARGIN: f32 = 51.0;
const WIDTH: f32 = PAGE_WIDTH - 2.0 * MARGIN;
/// Below this stands the foot of the page.
const BOTTOM: f32 = PAGE_HEIGHT - MARGIN - 20.0;
const TEXT: f32 = 9.0;
const CAPTION: f32 = 11.0;
const HEADING: f32 = 18.0;
/// Baseline to baseline, in parts of the size.
const LEADING: f32 = 1.4;
/// Between the cells of a row.
const GAP: f32 = 8.0;
/// Above and below a row's text.
const PADDING: f32 = 2.5;

/// What a part of the document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Heading,
    Paragraph,
    Table,
    Caption,
    Head,
    Body,
    Foot,
    Row,
    /// The header of a column.
    ColumnHeader,
    /// The header of a row, over so many columns.
    RowHeader(u32),
    Cell,
}

/// The document as a screen reader walks through it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Group(Role, Vec<Node>),
    /// A piece of text, by its position in [`Layout::pieces`].
    Leaf(usize),
}

/// A line of text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub(crate) page: usize,
    pub(crate) x: f32,
    pub(crate) baseline: f32,
    pub(crate) size: f32,
    pub(crate) bold: bool,
    pub(crate) text: String,
    /// Not part of the document: a table's head on its further pages, the foot of a page.
    pub(crate) artifact: bool,
}

/// A line across the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) page: usize,
    pub(crate) y: f32,
    pub(crate) strong: bool,
}

/// The whole document.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) strokes: Vec<Stroke>,
    pub(crate) tree: Vec<Node>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) pages: usize,
}

/// Where a part begins, for the reader's table of contents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    pub(crate) title: String,
    pub(crate) page: usize,
    pub(crate) y: f32,
}

/// From margin to margin.
pub(crate) const SPAN: (f32, f32) = (MARGIN, MARGIN + WIDTH);

pub(crate) fn layout(sheet: &Sheet, fonts: &Fonts) -> Layout {
    let mut flow = Flow { fonts, layout: Layout { pages: 1, ..Layout::default() }, y: MARGIN };
    for (position, line) in sheet.issuer.iter().enumerate() {
        flow.paragraph(Role::Paragraph, line, TEXT, position == 0);
    }
    flow.y += 14.0;
    flow.mark(&sheet.title);
    flow.paragraph(Role::Heading, sheet.heading, HEADING, true);
    for table in [&sheet.details, &sheet.price].into_iter().chain(&sheet.taxes) {
        flow.table(table);
    }
    flow.y += 18.0;
    flow.paragraph(Role::Paragraph, &sheet.note, TEXT, false);
    flow.feet(&sheet.title);
    flow.layout
}

/// Text that flows down the pages.
struct Flow<'a> {
    fonts: &'a Fonts,
    layout: Layout,
    y: f32,
}

/// A cell that is to be written.
struct Cell<'a> {
    role: Role,
    text: &'a str,
    x: f32,
    width: f32,
    right: bool,
}

impl Flow<'_> {
    fn paragraph(&mut self, role: Role, text: &str, size: f32, bold: bool) {
        let mut leaves = Vec::new();
        for line in self.fonts.face(bold).wrapped(&printable(text), size, WIDTH) {
            self.room(size * LEADING);
            self.y += size * LEADING;
            leaves.push(self.piece(MARGIN, self.y, size, bold, line, false));
        }
        self.layout.tree.push(Node::Group(role, leaves));
    }

    fn table(&mut self, table: &Table) {
        self.y += 14.0;
        // A caption is not left alone at the foot of a page.
        self.room(CAPTION * LEADING + 4.0 * TEXT * LEADING);
        self.mark(table.caption);
        self.y += CAPTION * LEADING;
        let caption = self.piece(MARGIN, self.y, CAPTION, true, table.caption.to_owned(), false);
        self.y += 4.0;
        let mut parts = vec![Node::Group(Role::Caption, vec![caption])];
        if table.head {
            parts.push(Node::Group(Role::Head, vec![self.head(table, false)]));
        }
        let mut body = Vec::new();
        for row in &table.rows {
            let cells = self.cells(table, row);
            if self.breaks(&cells, false) && table.head {
                self.head(table, true);
            }
            body.push(self.row(&cells, false, false));
        }
        parts.push(Node::Group(Role::Body, body));
        let mut foot = Vec::new();
        for sum in &table.sums {
            let last = table.columns.last().map_or(20, |column| column.width_percent);
            let amount_width = WIDTH * f32::from(last) / 100.0;
            let span = u32::try_from(table.columns.len().saturating_sub(1)).unwrap_or(1);
            let (text, width) = (sum.text, WIDTH - amount_width);
            let cells = [
                Cell { role: Role::RowHeader(span), text, x: MARGIN, width, right: false },
                Cell { role: Role::Cell, text: &sum.amount, x: MARGIN + width, width: amount_width, right: true },
            ];
            self.breaks(&cells, sum.total);
            foot.push(self.row(&cells, sum.total, false));
        }
        parts.push(Node::Group(Role::Foot, foot));
        self.layout.tree.push(Node::Group(Role::Table, parts));
    }

    fn head(&mut self, table: &Table, artifact: bool) -> Node {
        let titles: Vec<String> = table.columns.iter().map(|column| column.title.to_owned()).collect();
        let mut cells = self.cells(table, &titles);
        cells.iter_mut().for_each(|cell| cell.role = Role::ColumnHeader);
        self.row(&cells, true, artifact)
    }

    fn cells<'a>(&self, table: &Table, row: &'a [String]) -> Vec<Cell<'a>> {
        let mut x = MARGIN;
        let cell = |(position, (column, text)): (usize, (&crate::sheet::Column, &'a String))| {
            let width = WIDTH * f32::from(column.width_percent) / 100.0;
            let role = if position == 0 { Role::RowHeader(1) } else { Role::Cell };
            let cell = Cell { role, text, x, width, right: column.amounts };
            x += width;
            cell
        };
        table.columns.iter().zip(row).enumerate().map(cell).collect()
    }

    /// Goes to the next page if a row has no room on this one.
    fn breaks(&mut self, cells: &[Cell<'_>], bold: bool) -> bool {
        let lines = cells.iter().map(|cell| self.lines(cell, bold).len()).max().unwrap_or(1);
        let height = lines as f32 * TEXT * LEADING + 2.0 * PADDING;
        self.room(height)
    }

    fn lines(&self, cell: &Cell<'_>, bold: bool) -> Vec<String> {
        self.fonts.face(bold).wrapped(&printable(cell.text), TEXT, cell.width - GAP)
    }

    fn row(&mut self, cells: &[Cell<'_>], bold: bool, artifact: bool) -> Node {
        let stroke = Stroke { page: self.layout.pages - 1, y: self.y, strong: bold };
        self.layout.strokes.push(stroke);
        let (top, mut bottom, mut nodes) = (self.y + PADDING, self.y, Vec::new());
        for cell in cells {
            let mut leaves = Vec::new();
            let mut baseline = top;
            for line in self.lines(cell, bold) {
                baseline += TEXT * LEADING;
                let indent = if cell.right { cell.width - self.fonts.face(bold).width(&line, TEXT) } else { 0.0 };
                if !line.is_empty() {
                    leaves.push(self.piece(cell.x + indent, baseline - 3.0, TEXT, bold, line, artifact));
                }
            }
            bottom = bottom.max(baseline);
            nodes.push(Node::Group(cell.role, leaves));
        }
        self.y = bottom + PADDING;
        Node::Group(Role::Row, nodes)
    }

    fn piece(&mut self, x: f32, baseline: f32, size: f32, bold: bool, text: String, artifact: bool) -> Node {
        let page = self.layout.pages - 1;
        self.layout.pieces.push(Piece { page, x, baseline, size, bold, text, artifact });
        Node::Leaf(self.layout.pieces.len() - 1)
    }

    fn mark(&mut self, title: &str) {
        let mark = Mark { title: printable(title), page: self.layout.pages - 1, y: self.y };
        self.layout.marks.push(mark);
    }

    /// Whether there was no room and a new page began.
    fn room(&mut self, height: f32) -> bool {
        let full = self.y + height > BOTTOM;
        if full {
            self.layout.pages += 1;
            self.y = MARGIN;
        }
        full
    }

    /// At the foot of every page, which document it belongs to and which of how many it is.
    fn feet(&mut self, title: &str) {
        let pages = self.layout.pages;
        for page in 0..pages {
            let text = format!("{} · {}/{pages}", printable(title), page + 1);
            let piece =
                Piece { page, x: MARGIN, baseline: PAGE_HEIGHT - MARGIN, size: 8.0, bold: false, text, artifact: true };
            self.layout.pieces.push(piece);
        }
    }
}
