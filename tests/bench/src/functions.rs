//! The functions as they are deployed: their sizes, and what they do before the first request and for each one.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use parkade_domain::geometry::Shape;
use serde_json::{Value, json};

use crate::Failure;
use crate::figure::{Figure, Milli, Section};
use crate::fixture::Fixture;
use crate::host::Host;
use crate::webhooks;

/// Where cargo leaves the release binaries.
const BINARIES: &str = "target/release";
/// What a zip file with one member named `bootstrap` adds to the compressed bytes.
const ZIP_HEADERS_BYTES: u64 = 30 + 46 + 22 + 2 * 9;
/// Requests after which everything that is done once is done.
pub(crate) const WARM: usize = 21;
/// Requests that the warm figure averages over.
pub(crate) const COUNTED: usize = 100;

/// The functions to look at: `BENCH_FUNCTIONS`, separated by blanks or commas, or all.
pub(crate) fn names() -> Result<Vec<String>, Failure> {
    let wanted = std::env::var("BENCH_FUNCTIONS").unwrap_or_default();
    let mut names: Vec<String> = wanted.split([' ', ',']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.is_empty() {
        for entry in fs::read_dir("functions")? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn binary(name: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(BINARIES).join(name);
    let why = "is not there: build it with `cargo build --release -p <name>`, or leave it out with BENCH_FUNCTIONS";
    if path.is_file() { Ok(path) } else { Err(format!("{} {why}", path.display()).into()) }
}

/// Bytes of each binary and of the zip that is uploaded, and what each does until it asks for work.
pub(crate) async fn measure() -> Result<Section, Failure> {
    let columns = &["binary, bytes", "zip, bytes", "instructions to first poll", "peak memory at first poll, KB"];
    let mut section = Section::new("Functions", columns);
    let lot = Fixture::new(8, Shape::Hourly).await?;
    let host = Host::start(lot.engine.clone())?;
    for name in names()? {
        let path = binary(&name)?;
        let bytes = fs::read(&path)?;
        let mut zip = DeflateEncoder::new(Vec::new(), Compression::default());
        zip.write_all(&bytes)?;
        let zipped = zip.finish()?.len() as u64 + ZIP_HEADERS_BYTES;
        let cold = host.instructions(&path, Vec::new())?;
        let idle = host.run(&path, Vec::new())?;
        let figures = [
            Figure::whole(bytes.len()).at_most(Milli::whole(6_000_000)),
            Figure::whole(zipped).at_most(Milli::whole(2_500_000)),
            Figure::whole(cold).at_most(Milli::whole(2_000_000)),
            Figure::whole(idle.peak_kb),
        ];
        section.row(name, figures);
    }
    Ok(section)
}

/// What asking Stripe adds to a program that settles payments anyway.
pub(crate) fn stripe_client() -> Result<Section, Failure> {
    let mut section = Section::new("The Stripe client", &["bytes added to a binary"]);
    let bytes = |name: &str| -> Result<u64, Failure> { Ok(fs::metadata(binary(name)?)?.len()) };
    let added = bytes("with_stripe")?.saturating_sub(bytes("without_stripe")?);
    section.row(
        "with_stripe − without_stripe (`tests/bench/size`)",
        [Figure::whole(added).at_most(Milli::whole(600_000))],
    );
    Ok(section)
}

/// Warm requests to `reserve` and `payment-webhook`, and ticks of a sweep, in processes of their own.
pub(crate) async fn warm() -> Result<Section, Failure> {
    let columns = &["instructions", "voluntary switches", "calls to the store", "peak memory, KB"];
    let mut section = Section::new("Per warm request", columns);
    let wanted = names()?;
    for (spots, shape, named) in
        [(100, Shape::Hourly, false), (100, Shape::Hourly, true), (2_000, Shape::Hourly, false)]
    {
        if !wanted.iter().any(|name| name == "reserve") {
            break;
        }
        let lot = Fixture::new(spots, shape).await?;
        let events = |count: usize, run: usize| -> Vec<Value> {
            (0..count).map(|n| reserve_event(&lot, n, named, run)).collect()
        };
        let host = Host::start(lot.engine.clone())?;
        let path = binary("reserve")?;
        let one = host.instructions(&path, events(WARM, 0))?;
        let all = host.instructions(&path, events(WARM + COUNTED, 1))?;
        let few = host.run(&path, events(WARM, 2))?;
        let many = host.run(&path, events(WARM + COUNTED, 3))?;
        let which = if named { "a named spot" } else { "best spot" };
        let mut instructions = Figure::from(per_request(all, one));
        let mut switches = Figure::from(per_request(many.switches, few.switches));
        if spots == 100 && !named {
            (instructions, switches) = (instructions.at_most(Milli::whole(700_000)), switches.at_most(Milli::whole(2)));
        }
        let calls = per_request(many.calls, few.calls);
        section.row(
            format!("reserve, {which} of {spots}"),
            [instructions, switches, calls.into(), Figure::whole(many.peak_kb)],
        );
    }
    if wanted.iter().any(|name| name == "payment-webhook") {
        webhooks::rows(&mut section, &binary("payment-webhook")?).await?;
    }
    Ok(section)
}

pub(crate) fn per_request(all: u64, few: u64) -> Milli {
    Milli::ratio(all.saturating_sub(few), COUNTED)
}

/// What API Gateway sends: two hours on one of 60 days, under a key of its own; runs take different spots.
fn reserve_event(lot: &Fixture, n: usize, named: bool, run: usize) -> Value {
    let day = chrono::Utc::now().date_naive() + chrono::Days::new(1 + (n % 60) as u64);
    let hour = 6 + 3 * (n / 60);
    let mut body = json!({
        "lot_id": lot.lot.as_str(),
        "vehicle": {"class": "standard"},
        "plate": {"region": "DE", "text": format!("B AB {}", 1_000 + n)},
        "start_time": format!("{day}T{hour:02}:00:00Z"),
        "end_time": format!("{day}T{:02}:00:00Z", hour + 2),
    });
    if let (true, Some(fields)) = (named, body.as_object_mut()) {
        fields.insert("spot_id".into(), format!("{:04}", 1 + (n + 25 * run) % 100).into());
    }
    json!({
        "version": "2.0",
        "routeKey": "POST /v1/reservations",
        "rawPath": "/v1/reservations",
        "rawQueryString": "",
        "headers": {
            "accept": "application/json",
            "authorization": "Bearer dev.driver.alice",
            "content-type": "application/json",
            "host": "api.example.com",
            "idempotency-key": format!("bench-{run}-{named}-{n}"),
            "user-agent": "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36",
            "x-amzn-trace-id": "Root=1-69a5f5c0-0123456789abcdef01234567",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "bench",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": "POST",
                "path": "/v1/reservations",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36",
            },
            "requestId": format!("bench-{n}"),
            "routeKey": "POST /v1/reservations",
            "stage": "$default",
            "time": "02/Mar/2026:08:00:00 +0000",
            "timeEpoch": 1_772_438_400_000_i64,
        },
        "body": body.to_string(),
        "isBase64Encoded": false,
    })
}
