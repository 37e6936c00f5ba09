//! The wiring, read from `template.yaml`: what SAM deploys is what runs here.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::bus::{Pattern, Rule};
use crate::queue::{DeadLetters, QueueSpec};

/// Everything the template says that a laptop needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiring {
    /// The functions by name.
    pub functions: BTreeMap<String, Function>,
    /// The rules of the bus.
    pub rules: Vec<Rule>,
    /// The queues by logical name.
    pub queues: BTreeMap<String, QueueSpec>,
}

/// One function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Longest run of one invocation.
    pub timeout: Duration,
    /// What invokes it.
    pub sources: Vec<Source>,
    /// Queue for scheduled invocations that failed.
    pub failures: Option<String>,
}

/// What invokes a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A route of the API.
    Http {
        /// Upper case.
        method: String,
        /// With `{name}` parameters.
        path: String,
    },
    /// The clock.
    Schedule {
        /// Minutes from one run to the next.
        every_minutes: u32,
    },
    /// A queue.
    Queue {
        /// Logical name.
        queue: String,
        /// Messages per invocation at most.
        batch_size: usize,
    },
    /// A table's stream.
    Stream(StreamSource),
}

impl Source {
    /// The kind of function it invokes.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Schedule { .. } => "schedule",
            Self::Queue { .. } => "queue",
            Self::Stream(_) => "stream",
        }
    }
}

/// A table's stream as a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSource {
    /// Logical name of the table.
    pub table: String,
    /// Records per invocation at most.
    pub batch_size: usize,
    /// Whether a failed batch is halved.
    pub bisects: bool,
    /// Retries of a record before it is given up.
    pub retries_max: u32,
    /// Queue for what was given up.
    pub dead_letters: Option<String>,
}

/// Why a template cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("cannot read {0}; start in the repository's root or pass --template")]
    Read(String, #[source] std::io::Error),
    /// Not YAML.
    #[error("the template is not YAML")]
    Yaml(#[source] serde_norway::Error),
    /// Something in it is not understood here.
    #[error("the template's {at}: {what}")]
    Unsupported {
        /// Where.
        at: String,
        /// What is wrong with it.
        what: String,
    },
}

/// Reads a template.
///
/// # Errors
/// When the file is absent or names something that does not run on a laptop.
pub fn read(path: &Path) -> Result<Wiring, TemplateError> {
    let text = std::fs::read_to_string(path).map_err(|error| TemplateError::Read(path.display().to_string(), error))?;
    parse(&text)
}

/// Reads a template's text.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str) -> Result<Wiring, TemplateError> {
    let template = to_json(serde_norway::from_str(text).map_err(TemplateError::Yaml)?);
    let default_timeout = seconds(&template, "/Globals/Function/Timeout", 3);
    let mut wiring = Wiring { functions: BTreeMap::new(), rules: Vec::new(), queues: BTreeMap::new() };
    for (name, resource) in resources(&template) {
        match text_at(resource, "/Type") {
            "AWS::Serverless::Function" => {
                let function = function(name, resource, default_timeout)?;
                wiring.functions.insert(function_name(name, resource)?, function);
            }
            "AWS::Events::Rule" => wiring.rules.push(rule(name, resource)?),
            "AWS::SQS::Queue" => {
                wiring.queues.insert(name.clone(), queue(resource));
            }
            _ => {}
        }
    }
    check_references(&wiring)?;
    Ok(wiring)
}

/// The template as JSON, its tags in their long form: `!Ref X` is `{"Ref": "X"}`.
///
/// # Errors
/// When the text is not YAML.
pub fn as_json(text: &str) -> Result<Value, TemplateError> {
    Ok(to_json(serde_norway::from_str(text).map_err(TemplateError::Yaml)?))
}

fn to_json(yaml: serde_norway::Value) -> Value {
    use serde_norway::Value as Yaml;
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => flag.into(),
        Yaml::Number(number) => number.as_i64().map_or_else(|| json!(number.as_f64()), Value::from),
        Yaml::String(text) => text.into(),
        Yaml::Sequence(items) => items.into_iter().map(to_json).collect::<Vec<_>>().into(),
        Yaml::Mapping(entries) => {
            let entry = |(key, value): (Yaml, Yaml)| (key.as_str().unwrap_or_default().to_owned(), to_json(value));
            Value::Object(entries.into_iter().map(entry).collect::<Map<_, _>>())
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let short = tag.trim_start_matches('!');
            let long = if short == "Ref" || short == "Condition" { short.to_owned() } else { format!("Fn::{short}") };
            json!({ long: to_json(tagged.value) })
        }
    }
}

fn resources(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
    template.get("Resources").and_then(Value::as_object).into_iter().flatten()
}

/// The folder of the function's binary: `target/lambda/check-in/` is `check-in`.
fn function_name(logical: &str, resource: &Value) -> Result<String, TemplateError> {
    let name = text_at(resource, "/Properties/CodeUri").trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if name.is_empty() { Err(unsupported(logical, "a function without CodeUri")) } else { Ok(name.to_owned()) }
}

fn function(logical: &str, resource: &Value, timeout: Duration) -> Result<Function, TemplateError> {
    let timeout_s = timeout.as_secs();
    let events = resource.pointer("/Properties/Events").and_then(Value::as_object).into_iter().flatten();
    let sources =
        events.map(|(name, event)| source(&format!("{logical}.Events.{name}"), event)).collect::<Result<_, _>>()?;
    let destination = resource.pointer("/Properties/EventInvokeConfig/DestinationConfig/OnFailure/Destination");
    Ok(Function {
        timeout: seconds(resource, "/Properties/Timeout", timeout_s),
        sources,
        failures: destination.and_then(referenced),
    })
}

fn source(at: &str, event: &Value) -> Result<Source, TemplateError> {
    let needed = |pointer: &str| {
        event.pointer(pointer).and_then(referenced).ok_or_else(|| unsupported(at, &format!("{pointer} is missing")))
    };
    match text_at(event, "/Type") {
        "HttpApi" => Ok(Source::Http {
            method: text_at(event, "/Properties/Method").to_ascii_uppercase(),
            path: text_at(event, "/Properties/Path").to_owned(),
        }),
        "ScheduleV2" | "Schedule" => {
            let expression = ["/Properties/ScheduleExpression", "/Properties/Schedule"].map(|at| text_at(event, at));
            let every = expression.iter().find_map(|text| minutes(text));
            every
                .map(|every_minutes| Source::Schedule { every_minutes })
                .ok_or_else(|| unsupported(at, "only schedules of the form rate(n minutes) run here"))
        }
        "SQS" => Ok(Source::Queue {
            queue: needed("/Properties/Queue")?,
            batch_size: count(event, "/Properties/BatchSize", 10),
        }),
        "DynamoDB" => Ok(Source::Stream(StreamSource {
            table: needed("/Properties/Stream")?,
            batch_size: count(event, "/Properties/BatchSize", 100),
            bisects: event.pointer("/Properties/BisectBatchOnFunctionError") == Some(&Value::Bool(true)),
            retries_max: u32::try_from(count(event, "/Properties/MaximumRetryAttempts", 10)).unwrap_or(u32::MAX),
            dead_letters: event.pointer("/Properties/DestinationConfig/OnFailure/Destination").and_then(referenced),
        })),
        other => Err(unsupported(at, &format!("a source of type {other:?} does not run here"))),
    }
}

fn rule(logical: &str, resource: &Value) -> Result<Rule, TemplateError> {
    let pattern = resource.pointer("/Properties/EventPattern").unwrap_or(&Value::Null);
    let pattern = Pattern::parse(pattern).map_err(|what| unsupported(&format!("{logical}.EventPattern"), &what))?;
    let targets = resource.pointer("/Properties/Targets").and_then(Value::as_array).into_iter().flatten();
    let queues = targets
        .map(|target| {
            let arn = target.get("Arn").and_then(referenced);
            arn.ok_or_else(|| unsupported(&format!("{logical}.Targets"), "a target is not a queue of the template"))
        })
        .collect::<Result<_, _>>()?;
    Ok(Rule { name: logical.to_owned(), pattern, queues })
}

fn queue(resource: &Value) -> QueueSpec {
    let redrive = resource.pointer("/Properties/RedrivePolicy");
    let target = redrive.and_then(|policy| policy.get("deadLetterTargetArn")).and_then(referenced);
    let receives_max = redrive.and_then(|policy| policy.get("maxReceiveCount")).and_then(Value::as_u64).unwrap_or(10);
    QueueSpec {
        delay: seconds(resource, "/Properties/DelaySeconds", 0),
        visibility: seconds(resource, "/Properties/VisibilityTimeout", 30),
        dead_letters: target.map(|queue| DeadLetters { queue, receives_max }),
    }
}

/// Every queue that is named exists.
fn check_references(wiring: &Wiring) -> Result<(), TemplateError> {
    let of_functions = wiring.functions.iter().flat_map(|(name, function)| {
        let of_sources = function.sources.iter().filter_map(|source| match source {
            Source::Queue { queue, .. } => Some(queue),
            Source::Stream(stream) => stream.dead_letters.as_ref(),
            Source::Http { .. } | Source::Schedule { .. } => None,
        });
        of_sources.chain(&function.failures).map(move |queue| (name, queue))
    });
    let of_rules = wiring.rules.iter().flat_map(|rule| rule.queues.iter().map(move |queue| (&rule.name, queue)));
    let of_queues =
        wiring.queues.iter().filter_map(|(name, spec)| spec.dead_letters.as_ref().map(|dead| (name, &dead.queue)));
    for (at, queue) in of_functions.chain(of_rules).chain(of_queues) {
        if !wiring.queues.contains_key(queue) {
            return Err(unsupported(at, &format!("{queue} is not a queue of the template")));
        }
    }
    Ok(())
}

/// The logical name in `{"Ref": "X"}` or `{"Fn::GetAtt": "X.Arn"}`.
fn referenced(value: &Value) -> Option<String> {
    let target = value.get("Ref").or_else(|| value.get("Fn::GetAtt"))?;
    let text = target.as_str().or_else(|| target.get(0).and_then(Value::as_str))?;
    text.split('.').next().map(str::to_owned)
}

/// `rate(1 minute)`, `rate(2 hours)`, `rate(1 day)` in minutes.
fn minutes(expression: &str) -> Option<u32> {
    let (number, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let factor = match unit {
        "minute" | "minutes" => 1,
        "hour" | "hours" => 60,
        "day" | "days" => 24 * 60,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(factor).filter(|minutes| *minutes > 0)
}

fn seconds(value: &Value, pointer: &str, default_s: u64) -> Duration {
    Duration::from_secs(value.pointer(pointer).and_then(Value::as_u64).unwrap_or(default_s))
}

fn count(value: &Value, pointer: &str, default: usize) -> usize {
    value.pointer(pointer).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
}

fn text_at<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn unsupported(at: &str, what: &str) -> TemplateError {
    TemplateError::Unsupported { at: at.to_owned(), what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"
Globals: {Function: {Timeout: 7}}
Resources:
  Sell:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/sell/
      Events:
        A: {Type: HttpApi, Properties: {ApiId: !Ref Api, Method: post, Path: "/v1/things/{id}"}}
        B: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(2 hours)}}
  Ship:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: target/lambda/ship/
      Timeout: 60
      EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Dead.Arn}}}
      Events:
        Q: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn, BatchSize: 5}}
        S:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Records.StreamArn
            BisectBatchOnFunctionError: true
            MaximumRetryAttempts: 3
            DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Dead.Arn}}
  Wanted:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [shop], detail-type: [sold.v1]}
      Targets: [{Id: work, Arn: !GetAtt Work.Arn}]
  Work:
    Type: AWS::SQS::Queue
    Properties: {DelaySeconds: 7, VisibilityTimeout: 400, RedrivePolicy: {deadLetterTargetArn: !GetAtt Dead.Arn, maxReceiveCount: 8}}
  Dead: {Type: AWS::SQS::Queue}
"#;

    #[test]
    fn every_kind_of_source_is_read_with_its_settings() {
        let wiring = parse(TEMPLATE).unwrap();
        let sell = &wiring.functions["sell"];
        assert_eq!(sell.timeout, Duration::from_secs(7));
        let route = Source::Http { method: "POST".into(), path: "/v1/things/{id}".into() };
        assert_eq!(sell.sources, [route, Source::Schedule { every_minutes: 120 }]);
        let ship = &wiring.functions["ship"];
        assert_eq!((ship.timeout, ship.failures.as_deref()), (Duration::from_secs(60), Some("Dead")));
        let stream = StreamSource {
            table: "Records".into(),
            batch_size: 100,
            bisects: true,
            retries_max: 3,
            dead_letters: Some("Dead".into()),
        };
        assert_eq!(ship.sources, [Source::Queue { queue: "Work".into(), batch_size: 5 }, Source::Stream(stream)]);
        let dead = DeadLetters { queue: "Dead".into(), receives_max: 8 };
        let (delay, visibility) = (Duration::from_secs(7), Duration::from_secs(400));
        assert_eq!(wiring.queues["Work"], QueueSpec { delay, visibility, dead_letters: Some(dead) });
        assert_eq!(wiring.rules[0].queues, ["Work"]);
    }

    #[test]
    fn what_cannot_run_here_is_refused_by_name() {
        for (good, bad, named) in [
            ("rate(2 hours)", "cron(0 12 * * ? *)", "Sell.Events.B"),
            ("Queue: !GetAtt Work.Arn", "Queue: !GetAtt Lost.Arn", "Lost"),
            ("Type: SQS, Properties: {Queue", "Type: Kinesis, Properties: {Queue", "Kinesis"),
            ("detail-type: [sold.v1]", "detail: {lot: [{exists: true}]}", "Wanted.EventPattern"),
        ] {
            assert!(TEMPLATE.contains(good));
            let error = parse(&TEMPLATE.replace(good, bad)).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
