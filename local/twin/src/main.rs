//! `payment-twin`: the twin on a loopback port of its own, for `make stack` and for trying Stripe's clients against it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Parser;
use parkade_twin::Twin;
use tokio::net::TcpListener;

/// A local stand-in for the payment provider. It listens on loopback only.
#[derive(Debug, Parser)]
struct Arguments {
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 12111)]
    port: u16,
    /// File that keeps charges, refunds and idempotency keys across restarts; without it they are forgotten.
    #[arg(long)]
    journal: Option<PathBuf>,
    /// URL that events go to, plain http.
    #[arg(long, requires = "webhook_secret")]
    webhook_url: Option<String>,
    /// Signs them.
    #[arg(long, requires = "webhook_url")]
    webhook_secret: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let twin = Twin::open(arguments.journal)?;
    if let (Some(url), Some(secret)) = (arguments.webhook_url, arguments.webhook_secret) {
        twin.send_events_to(&url, &secret)?;
    }
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port))).await?;
    println!("payment twin on http://{} (books: GET /_twin/books)", listener.local_addr()?);
    axum::serve(listener, twin.router()).with_graceful_shutdown(stop_asked()).await?;
    Ok(())
}

/// Ends on Ctrl-C; if that cannot be listened for, never.
async fn stop_asked() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
