//! publish-events
