//! The loop of functions that answer requests.

use std::future::Future;

use chrono::{DateTime, Utc};
use http::{Request, Response};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use parkade_api::RequestId;

use crate::gateway::{GatewayRequest, GatewayResponse, NotFromGateway};
use crate::{EventFailure, Fatal, telemetry};

/// Serves HTTP API events with `handler` until the process ends. Each request gets the present time, read once, and carries
/// [`parkade_api::PathParameters`] and [`RequestId`] as extensions.
///
/// A panic of the handler is left to the runtime, which reports it to Lambda and goes on.
///
/// # Errors
/// [`Fatal`] if the runtime's own protocol fails.
pub async fn run_http<'a, D, F, Fut>(deps: &'a D, handler: F) -> Result<(), Fatal>
where
    F: Fn(&'a D, DateTime<Utc>, Request<Vec<u8>>) -> Fut,
    Fut: Future<Output = Response<Vec<u8>>> + Send + 'a,
{
    let serve = |event: LambdaEvent<GatewayRequest>| {
        telemetry::set_request_id(&event.context.request_id);
        let answer = event.payload.into_request().map(|mut request| {
            request.extensions_mut().insert(RequestId(event.context.request_id));
            // Boxed, because a store's command nests deeper than the compiler follows within the runtime's own futures.
            Box::pin(handler(deps, Utc::now(), request))
        });
        async move {
            match answer {
                Ok(answer) => Ok(GatewayResponse(answer.await)),
                Err(error) => Err(refused(error)),
            }
        }
    };
    lambda_runtime::run(service_fn(serve)).await.map_err(|error| Fatal::of(error.as_ref()))
}

fn refused(error: NotFromGateway) -> Diagnostic {
    EventFailure::new("unreadable_event", &error).into()
}
