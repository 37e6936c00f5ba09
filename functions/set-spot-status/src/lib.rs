//! set-spot-status
