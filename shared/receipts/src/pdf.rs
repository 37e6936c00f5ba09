//! The PDF.

use std::num::{NonZeroU16, NonZeroU32};

use chrono::{DateTime as Instant, Datelike as _, Timelike as _};
use krilla::configure::{Accessibility, Archival, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point};
use krilla::metadata::{DateTime, Metadata};
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke as Pen};
use krilla::surface::Surface;
use krilla::tagging::{
    Artifact, ArtifactType, ContentTag, Identifier, SpanTag, TableHeaderScope, Tag, TagGroup, TagKind, TagTree,
};
use krilla::{Document, SerializeSettings};

use crate::font::Fonts;
use crate::layout::{Layout, Node, PAGE_HEIGHT, PAGE_WIDTH, Piece, Role, SPAN, layout};
use crate::{RenderError, Sheet};

/// The sheet as PDF: the same bytes for the same sheet.
///
/// # Errors
/// [`RenderError::Font`], [`RenderError::Pdf`]: bugs.
pub fn pdf(sheet: &Sheet) -> Result<Vec<u8>, RenderError> {
    let fonts = Fonts::new()?;
    let layout = layout(sheet, &fonts);
    let formats = ConfigurationBuilder::new()
        .with_archival_validator(Archival::A2_A)
        .with_accessibility_validator(Accessibility::UA1)
        .finish();
    let configuration = formats.map_err(|error| RenderError::Pdf(format!("{error:?}")))?;
    let mut document = Document::new_with(SerializeSettings { configuration, ..SerializeSettings::default() });
    let size = PageSettings::from_wh(PAGE_WIDTH, PAGE_HEIGHT);
    let size = size.ok_or_else(|| RenderError::Pdf("no page".to_owned()))?;
    let mut identifiers: Vec<Option<Identifier>> = vec![None; layout.pieces.len()];
    for number in 0..layout.pages {
        let mut page = document.start_page_with(size.clone());
        let mut surface = page.surface();
        strokes(&mut surface, &layout, number);
        surface.set_fill(Some(Fill::default()));
        for (piece, identifier) in layout.pieces.iter().zip(&mut identifiers).filter(|(piece, _)| piece.page == number)
        {
            let written = text(&mut surface, &fonts, piece);
            *identifier = (!piece.artifact).then_some(written);
        }
        surface.finish();
        page.finish();
    }
    let mut tree = TagTree::new().with_lang(Some(sheet.lang.to_owned()));
    layout.tree.iter().filter_map(|node| tagged(node, &mut identifiers, sheet)).for_each(|node| tree.push(node));
    document.set_tag_tree(tree);
    document.set_outline(outline(&layout));
    document.set_metadata(metadata(sheet));
    document.finish().map_err(|error| RenderError::Pdf(format!("{error:?}")))
}

fn outline(layout: &Layout) -> Outline {
    let mut outline = Outline::new();
    for mark in &layout.marks {
        let there = XyzDestination::new(mark.page, Point::from_xy(SPAN.0, mark.y));
        outline.push_child(OutlineNode::new(mark.title.clone(), there));
    }
    outline
}

/// The lines of the tables: nothing to read aloud.
fn strokes(surface: &mut Surface<'_>, layout: &Layout, page: usize) {
    surface.set_fill(None);
    for stroke in layout.strokes.iter().filter(|stroke| stroke.page == page) {
        let mut path = PathBuilder::new();
        path.move_to(SPAN.0, stroke.y);
        path.line_to(SPAN.1, stroke.y);
        let Some(path) = path.finish() else { continue };
        let width = if stroke.strong { 1.0 } else { 0.4 };
        surface.set_stroke(Some(Pen { width, ..Pen::default() }));
        surface.start_tagged(ContentTag::Artifact(Artifact::with_kind(ArtifactType::Layout)));
        surface.draw_path(&path);
        surface.end_tagged();
    }
    surface.set_stroke(None);
}

fn text(surface: &mut Surface<'_>, fonts: &Fonts, piece: &Piece) -> Identifier {
    let tag = if piece.artifact {
        ContentTag::Artifact(Artifact::with_kind(ArtifactType::PaginationOther))
    } else {
        ContentTag::Span(SpanTag::empty())
    };
    let face = fonts.face(piece.bold);
    let identifier = surface.start_tagged(tag);
    let at = Point::from_xy(piece.x, piece.baseline);
    surface.draw_glyphs(at, &face.glyphs(&piece.text), face.font.clone(), &piece.text, piece.size, false);
    surface.end_tagged();
    identifier
}

/// `None` where nothing is left to say: a part without text.
fn tagged(node: &Node, identifiers: &mut [Option<Identifier>], sheet: &Sheet) -> Option<krilla::tagging::Node> {
    let (role, children) = match node {
        Node::Leaf(position) => return identifiers.get_mut(*position)?.take().map(Into::into),
        Node::Group(role, children) => (*role, children),
    };
    let mut group = TagGroup::new(tag(role, sheet));
    children.iter().filter_map(|child| tagged(child, identifiers, sheet)).for_each(|child| group.push(child));
    // An empty cell still is one.
    let cell = matches!(role, Role::Cell | Role::ColumnHeader | Role::RowHeader(_));
    (cell || !group.children.is_empty()).then(|| group.into())
}

fn tag(role: Role, sheet: &Sheet) -> TagKind {
    match role {
        Role::Heading => Tag::Hn(NonZeroU16::MIN, Some(sheet.title.clone())).into(),
        Role::Paragraph => Tag::P.into(),
        Role::Table => Tag::Table.into(),
        Role::Caption => Tag::Caption.into(),
        Role::Head => Tag::THead.into(),
        Role::Body => Tag::TBody.into(),
        Role::Foot => Tag::TFoot.into(),
        Role::Row => Tag::TR.into(),
        Role::ColumnHeader => Tag::TH(TableHeaderScope::Column).into(),
        Role::RowHeader(columns) => {
            Tag::TH(TableHeaderScope::Row).with_col_span(NonZeroU32::new(columns).filter(|n| n.get() > 1)).into()
        }
        Role::Cell => Tag::TD.into(),
    }
}

/// The date is the document's own, so that the bytes do not depend on when they are asked for.
fn metadata(sheet: &Sheet) -> Metadata {
    let issued = Instant::from_timestamp(sheet.issued_at_s, 0).unwrap_or_default();
    let part = |number: u32| u8::try_from(number).unwrap_or_default();
    let date = DateTime::new(u16::try_from(issued.year()).unwrap_or_default())
        .month(part(issued.month()))
        .day(part(issued.day()))
        .hour(part(issued.hour()))
        .minute(part(issued.minute()))
        .second(part(issued.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0);
    Metadata::new()
        .title(sheet.title.clone())
        .language(sheet.lang.to_owned())
        .authors(vec![sheet.issuer[0].clone()])
        .creator("Parkade".to_owned())
        .creation_date(date)
        .document_id(sheet.title.clone())
}
