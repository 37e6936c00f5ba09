//! no-show-sweep
