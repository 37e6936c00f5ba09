//! One measured figure with its target, and how a run is printed.

use std::fmt;

use serde_json::{Map, Value, json};

/// A number in thousandths: counts, ratios and sizes without floating point, printed without a superfluous zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Milli(pub(crate) i64);

impl Milli {
    pub(crate) fn whole(n: impl TryInto<i64>) -> Self {
        Self(n.try_into().unwrap_or(i64::MAX).saturating_mul(1_000))
    }

    /// `a / b`, rounded to the nearest thousandth; 0 / 0 is 1.
    pub(crate) fn ratio(a: impl TryInto<i64>, b: impl TryInto<i64>) -> Self {
        let (a, b) = (a.try_into().unwrap_or(i64::MAX), b.try_into().unwrap_or(i64::MAX));
        if b == 0 {
            return if a == 0 { Self(1_000) } else { Self(i64::MAX) };
        }
        Self((a.saturating_mul(2_000) / b + 1) / 2)
    }
}

impl fmt::Display for Milli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        let digits = whole.to_string();
        let grouped: Vec<&str> =
            digits.as_bytes().rchunks(3).rev().map(|part| std::str::from_utf8(part).unwrap_or("")).collect();
        f.write_str(&grouped.join(" "))?;
        if rest > 0 {
            f.write_str(format!(".{rest:03}").trim_end_matches('0'))?;
        }
        Ok(())
    }
}

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
enum Target {
    AtMost(Milli),
    AtLeast(Milli),
}

/// One measured figure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    value: Milli,
    target: Option<Target>,
}

impl Figure {
    pub(crate) fn whole(n: impl TryInto<i64>) -> Self {
        Milli::whole(n).into()
    }

    pub(crate) fn at_most(self, limit: Milli) -> Self {
        Self { target: Some(Target::AtMost(limit)), ..self }
    }

    pub(crate) fn at_least(self, limit: Milli) -> Self {
        Self { target: Some(Target::AtLeast(limit)), ..self }
    }

    /// Whether the target is reached; `None` without one.
    fn met(&self) -> Option<bool> {
        self.target.map(|target| match target {
            Target::AtMost(limit) => self.value <= limit,
            Target::AtLeast(limit) => self.value >= limit,
        })
    }

    fn to_json(self) -> Value {
        let number = |milli: Milli| {
            let text = format!("{}.{:03}", milli.0 / 1_000, milli.0 % 1_000);
            serde_json::from_str::<Value>(&text).unwrap_or(Value::Null)
        };
        match self.target {
            None => json!({"value": number(self.value)}),
            Some(Target::AtMost(limit)) => {
                json!({"value": number(self.value), "at_most": number(limit), "met": self.met()})
            }
            Some(Target::AtLeast(limit)) => {
                json!({"value": number(self.value), "at_least": number(limit), "met": self.met()})
            }
        }
    }
}

impl From<Milli> for Figure {
    fn from(value: Milli) -> Self {
        Self { value, target: None }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.met() == Some(true) { "✓" } else { "✗" };
        match self.target {
            None => write!(f, "{}", self.value),
            Some(Target::AtMost(limit)) => write!(f, "{} ≤ {limit} {mark}", self.value),
            Some(Target::AtLeast(limit)) => write!(f, "{} ≥ {limit} {mark}", self.value),
        }
    }
}

/// One table of a run.
#[derive(Debug)]
pub(crate) struct Section {
    title: &'static str,
    columns: &'static [&'static str],
    rows: Vec<(String, Vec<Figure>)>,
}

impl Section {
    /// A table whose rows have a name and, per column, a figure.
    pub(crate) fn new(title: &'static str, columns: &'static [&'static str]) -> Self {
        Self { title, columns, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, name: impl Into<String>, figures: impl IntoIterator<Item = Figure>) {
        self.rows.push((name.into(), figures.into_iter().collect()));
    }

    fn figures(&self) -> impl Iterator<Item = (&str, &'static str, Figure)> {
        self.rows.iter().flat_map(|(name, figures)| {
            self.columns.iter().zip(figures).map(|(column, figure)| (name.as_str(), *column, *figure))
        })
    }

    fn to_json(&self) -> Value {
        let row = |(name, figures): &(String, Vec<Figure>)| {
            let cells = self.columns.iter().zip(figures);
            let mut object: Map<String, Value> =
                cells.map(|(column, figure)| ((*column).to_owned(), figure.to_json())).collect();
            object.insert("name".to_owned(), name.as_str().into());
            Value::Object(object)
        };
        self.rows.iter().map(row).collect()
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## {}\n\n| | {} |", self.title, self.columns.join(" | "))?;
        writeln!(f, "|---|{}", "---:|".repeat(self.columns.len()))?;
        for (name, figures) in &self.rows {
            let cells = figures.iter().map(Figure::to_string).collect::<Vec<_>>();
            writeln!(f, "| {name} | {} |", cells.join(" | "))?;
        }
        Ok(())
    }
}

/// All tables of a run, in order.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Section>);

impl Report {
    /// Prints a table and keeps it.
    pub(crate) fn add(&mut self, section: Section) {
        print!("{section}");
        self.0.push(section);
    }

    /// How many targets there are, and the figures that miss theirs.
    pub(crate) fn verdict(&self) -> (usize, Vec<String>) {
        let figures = || self.0.iter().flat_map(Section::figures);
        let missed = figures().filter(|(_, _, figure)| figure.met() == Some(false));
        let missed = missed.map(|(name, column, figure)| format!("{name}, {column}: {figure}"));
        (figures().filter(|(_, _, figure)| figure.target.is_some()).count(), missed.collect())
    }

    pub(crate) fn to_json(&self) -> Value {
        Value::Object(self.0.iter().map(|section| (section.title.to_owned(), section.to_json())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_people_read_them() {
        assert_eq!(Milli::whole(1_234_567).to_string(), "1 234 567");
        assert_eq!(Milli(19_500).to_string(), "19.5");
        assert_eq!(Milli::ratio(2_176, 2_000).to_string(), "1.088");
        assert_eq!(Milli::ratio(2, 3).to_string(), "0.667");
        assert_eq!(Milli::ratio(0, 0).to_string(), "1");
    }

    #[test]
    fn a_limit_is_inclusive() {
        let figure = |value| Figure::from(Milli(value)).at_most(Milli::whole(7));
        assert_eq!((figure(7_000).met(), figure(7_001).met()), (Some(true), Some(false)));
        let share = |value| Figure::from(Milli(value)).at_least(Milli(970));
        assert_eq!((share(970).met(), share(969).met()), (Some(true), Some(false)));
    }
}
