//! expire-holds
